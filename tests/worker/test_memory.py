"""Electrons that take more memory than there is, and others that are killed: what the outcome says.

The kernel really ends them: in a cgroup with a small limit, which only root can make.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from covalent_braket_plugin.failure import FailureClass, class_of
from covalent_braket_plugin.protocol import Outcome
from covalent_braket_plugin.supervisor import Ended, how_it_ended
from tests.worker.conftest import Make

LIMIT_BYTES = 150_000_000
TOO_MUCH = 4 * LIMIT_BYTES


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole() -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A memory cgroup with a small limit, of either version."""
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"covalent-braket-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
            (group / limit).write_text(str(LIMIT_BYTES))
            break
    else:
        pytest.skip("a cgroup with a limit of memory can only be made by root on Linux")
    yield group
    group.rmdir()


def takes_too_much() -> int:
    return len(bytearray(TOO_MUCH))


def has_a_child_that_takes_too_much() -> None:
    command = [sys.executable, "-c", f"bytearray({TOO_MUCH})"]
    subprocess.run(command, check=True)


def is_limited() -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (TOO_MUCH, TOO_MUCH))
    return len(bytearray(2 * TOO_MUCH))


def in_group(make: Make, group: Path, function: object) -> Outcome:
    container = make(function)
    enter = f'echo $$ > {group}/cgroup.procs && exec "$0" "$@"'
    container.program = ("sh", "-c", enter, *container.program)
    assert container.run()[0] == 1
    return container.outcome()


def test_kernel_that_ends_an_electron_for_lack_of_memory_is_heard(
    container: Make, small_group: Path
) -> None:
    outcome = in_group(container, small_group, takes_too_much)
    assert outcome.error is not None
    assert outcome.error.type == "OutOfMemory"
    assert "SIGKILL: the kernel ended a process of the job" in outcome.error.message
    assert class_of(None, outcome) is FailureClass.OUT_OF_MEMORY


def test_so_is_the_end_of_a_process_that_an_electron_had_started(
    container: Make, small_group: Path
) -> None:
    outcome = in_group(container, small_group, has_a_child_that_takes_too_much)
    assert outcome.error is not None
    assert outcome.error.type == "subprocess.CalledProcessError"
    assert class_of(None, outcome) is FailureClass.OUT_OF_MEMORY


def test_memory_that_python_itself_does_not_get_is_out_of_memory(container: Make) -> None:
    job = container(is_limited)
    job.run()
    assert class_of(None, job.outcome()) is FailureClass.OUT_OF_MEMORY


def test_kill_without_lack_of_memory_is_not_called_so_and_says_when_it_came(
    container: Make,
) -> None:
    def killed() -> None:
        import time

        time.sleep(0.2)
        os.kill(os.getpid(), 9)

    job = container(killed)
    job.run()
    outcome = job.outcome()
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.phase) == ("Killed", "electron")
    assert "counted no process" in outcome.error.message
    assert 0.1 < outcome.seconds["electron"] < 10
    assert "load" in outcome.seconds
    assert class_of(None, outcome) is FailureClass.YOUR_CODE


@pytest.mark.parametrize(
    "text", ["", "[]", '{"phase": "electron", "seconds": 1}', '{"phase": 1, "seconds": {"a": "b"}}']
)
def test_what_an_electron_wrote_over_its_phases_costs_nobody_the_outcome(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "phase.json").write_text(text)
    error, seconds = how_it_ended(tmp_path, Ended(-9, stopped=False))
    assert (error.type, error.phase, seconds) == ("Killed", "killed", {})
