"""Electrons that fail, in every way they can: what the user gets to read."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import covalent as ct
import pytest

from tests.support.stage import Stage

pytestmark = pytest.mark.e2e

LOCAL = ct.executor.BraketExecutor(local=True)


def failed_node(stage: Stage, function: Any, *args: Any, **options: Any) -> dict[str, Any]:
    """Run one electron that must fail."""
    electron = ct.electron(function, **{"executor": LOCAL, **options})

    @ct.lattice
    def flow() -> Any:
        return electron(*args)

    result = stage.run(flow)
    assert str(result.status) == "FAILED"
    node: dict[str, Any] = result.get_node_result(0)
    assert str(node["status"]) == "FAILED"
    return node


def raises(number: int) -> None:
    print("before the error")
    print("a warning", file=sys.stderr)
    raise ValueError(f"energy {number} is not finite")


def test_exception_arrives_with_type_message_line_and_streams(stage: Stage) -> None:
    node = failed_node(stage, raises, 7)
    assert "ValueError: energy 7 is not finite" in node["error"]
    assert "test_failures.py" in node["error"]
    assert "arn:aws:braket:" in node["error"]
    assert node["stdout"] == "before the error\n"
    assert node["stderr"].startswith("a warning\nTraceback (most recent call last)")
    assert 'raise ValueError(f"energy {number} is not finite")' in node["stderr"]
    assert "covalent_braket_plugin" not in node["stderr"]


def test_causes_of_an_exception_arrive_too(stage: Stage) -> None:
    def chained() -> None:
        try:
            dict[str, int]()["missing"]
        except KeyError as error:
            raise RuntimeError("no such device") from error

    stderr = failed_node(stage, chained)["stderr"]
    assert "KeyError: 'missing'" in stderr
    assert "direct cause" in stderr


def test_sys_exit_is_a_failure_that_says_so(stage: Stage) -> None:
    def leaves() -> None:
        sys.exit(3)

    assert "sys.exit(3)" in failed_node(stage, leaves)["error"]


def test_process_that_exits_leaves_its_output(stage: Stage) -> None:
    def gone() -> None:
        print("last words", flush=True)
        os._exit(4)

    node = failed_node(stage, gone)
    assert "exit code 4" in node["error"]
    assert node["stdout"] == "last words\n"


def test_killed_process_leaves_its_output_and_the_signal(stage: Stage) -> None:
    def killed() -> None:
        print("last words", flush=True)
        os.kill(os.getpid(), 9)

    node = failed_node(stage, killed)
    assert "SIGKILL" in node["error"]
    assert node["stdout"] == "last words\n"


def test_killed_worker_is_told_from_its_log(stage: Stage) -> None:
    def kills_the_worker() -> None:
        print("last words", flush=True)
        time.sleep(1.5)
        os.kill(os.getppid(), 9)
        time.sleep(60)

    node = failed_node(stage, kills_the_worker)
    assert "left no outcome" in node["error"]
    assert "last words" in node["stdout"]


def test_time_limit(stage: Stage) -> None:
    def slow() -> None:
        print("started", flush=True)
        time.sleep(60)

    node = failed_node(stage, slow, executor=ct.executor.BraketExecutor(local=True, time_limit=2))
    assert "time limit" in node["error"]
    assert "`time_limit`" in node["error"]
    assert "started" in node["stdout"]


def test_result_that_cannot_be_pickled_is_named(stage: Stage) -> None:
    def returns_a_generator() -> Any:
        return {"counts": [1, (n for n in [1])]}

    node = failed_node(stage, returns_a_generator)
    assert "returns_a_generator() returned" in node["error"]
    assert "value['counts'][1]" in node["error"]


def test_output_of_a_failing_bash_dependency_is_shown(stage: Stage) -> None:
    node = failed_node(
        stage, raises, 1, deps_bash=ct.DepsBash("echo the reason; echo details >&2; exit 5")
    )
    assert "in deps_bash" in node["error"]
    assert "exit code 5" in node["error"]
    assert "the reason\ndetails" in node["error"]


def test_output_of_a_failing_pip_dependency_is_shown(stage: Stage) -> None:
    node = failed_node(
        stage, raises, 1, deps_pip=ct.DepsPip(["--no-index", "no-such-package-anywhere"])
    )
    assert "in deps_pip" in node["error"]
    assert "No matching distribution found" in node["error"]


def test_unconfigured_executor_says_what_is_missing_and_the_ways_out(stage: Stage) -> None:
    node = failed_node(stage, raises, 1, executor=ct.executor.BraketExecutor(local=False))
    for text in ("region not set", "deploy up", "local=True"):
        assert text in node["error"]


def test_image_with_another_python_is_refused_before_a_job_is_made(stage: Stage) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/covalent-braket-worker:py39"
    executor = ct.executor.BraketExecutor(local=True, ecr_image_uri=image)
    node = failed_node(stage, raises, 1, executor=executor)
    assert "would be loaded by Python 3.9" in node["error"]
    assert 'python_mismatch="warn"' in node["error"]


def test_bad_value_of_the_constructor_is_refused_at_once() -> None:
    with pytest.raises(Exception, match=r"time_limit=0 is not valid.*1 to 432000"):
        ct.executor.BraketExecutor(time_limit=0)
