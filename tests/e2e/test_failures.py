"""Electrons that fail, in every way they can: what the user gets to read."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
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
    lines = node["error"].splitlines()
    assert lines[0] == (
        "Your code: raises() failed in the electron: ValueError: energy 7 is not finite"
    )
    assert "test_failures.py" in lines[1]
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "Line",
        "Job",
        "ARN",
        "Status",
        "Failed while",
        "Braket's phases",
        "In the job",
    ]
    assert lines[5] == "Failed while: running, in the electron"
    for phase in ("queued", "starting the instance", "downloading data", "running"):
        assert f"{phase} " in lines[6]
    for phase in ("fetch", "verify", "load", "electron", "upload"):
        assert f"{phase} " in lines[7]
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

    error = failed_node(stage, leaves)["error"]
    assert error.startswith("Your code: leaves() failed in the electron: SystemExit: ")
    assert "sys.exit(3)" in error


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
    assert node["error"].startswith("Your code: killed() failed in the electron: Killed: ")
    assert "SIGKILL" in node["error"]
    assert node["stdout"] == "last words\n"


def test_killed_worker_is_told_from_its_log(stage: Stage) -> None:
    def kills_the_worker() -> None:
        print("last words", flush=True)
        time.sleep(1.5)
        os.kill(os.getppid(), 9)
        time.sleep(60)

    node = failed_node(stage, kills_the_worker)
    assert node["error"].startswith("Infrastructure: kills_the_worker() left no outcome")
    assert "last words" in node["stdout"]


def test_time_limit(stage: Stage) -> None:
    def slow() -> None:
        print("started", flush=True)
        time.sleep(60)

    node = failed_node(stage, slow, executor=ct.executor.BraketExecutor(local=True, time_limit=2))
    assert node["error"].startswith("Time limit: slow() ran into its time limit")
    assert "`time_limit`" in node["error"]
    assert "started" in node["stdout"]


def test_result_that_cannot_be_pickled_is_named(stage: Stage) -> None:
    def returns_a_generator() -> Any:
        return {"counts": [1, (n for n in [1])]}

    node = failed_node(stage, returns_a_generator)
    assert node["error"].startswith("Your code: returns_a_generator() failed while pickling")
    assert "returns_a_generator() returned" in node["error"]
    assert "value['counts'][1]" in node["error"]


def test_output_of_a_failing_bash_dependency_is_shown(stage: Stage) -> None:
    node = failed_node(
        stage, raises, 1, deps_bash=ct.DepsBash("echo the reason; echo details >&2; exit 5")
    )
    assert node["error"].startswith("Environment: raises() failed in deps_bash")
    assert "exit code 5" in node["error"]
    assert "the reason\ndetails" in node["error"]


def test_output_of_a_failing_pip_dependency_is_shown(stage: Stage) -> None:
    node = failed_node(
        stage, raises, 1, deps_pip=ct.DepsPip(["--no-index", "no-such-package-anywhere"])
    )
    assert node["error"].startswith("Environment: raises() failed in deps_pip")
    assert "No matching distribution found" in node["error"]


def test_unconfigured_executor_says_what_is_missing_and_the_ways_out(stage: Stage) -> None:
    node = failed_node(stage, raises, 1, executor=ct.executor.BraketExecutor(local=False))
    assert node["error"].startswith("Settings: The Braket executor is not configured")
    for text in ("region not set", "deploy up", "local=True"):
        assert text in node["error"]


def test_image_with_another_python_is_refused_before_a_job_is_made(stage: Stage) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/covalent-braket-worker:py39"
    executor = ct.executor.BraketExecutor(local=True, ecr_image_uri=image)
    node = failed_node(stage, raises, 1, executor=executor)
    assert node["error"].startswith("Environment: ")
    assert "would be loaded by Python 3.9" in node["error"]
    assert 'python_mismatch="warn"' in node["error"]


def test_module_that_is_not_in_the_image_says_how_to_get_it_there(stage: Stage) -> None:
    def imports() -> None:
        print("importing")
        import no_such_module_anywhere  # type: ignore[import-not-found]  # noqa: F401

    node = failed_node(stage, imports)
    assert node["error"].startswith(
        "Environment: imports() failed in the electron: ModuleNotFoundError: No module named"
    )
    assert "DepsPip" in node["error"]
    assert node["stdout"] == "importing\n"
    assert "no_such_module_anywhere" in node["stderr"]


SENTENCE = (
    "User: arn:aws:sts::123456789012:assumed-role/Runner/x is not authorized to perform: "
    "{} on resource: arn:aws:braket:us-east-1:123456789012:*"
)
DENIED = {"kind": "error", "code": "AccessDeniedException", "status": 403}


@pytest.fixture
def denied(stage: Stage) -> Iterator[Callable[[str], None]]:
    """Have an operation of Braket be refused."""

    def deny(operation: str) -> None:
        text = SENTENCE.format(f"braket:{operation}")
        stage.braket.faults({"operation": operation, "message": text, **DENIED})

    yield deny
    stage.braket.faults()


def test_permission_that_the_role_lacks_is_named_with_its_fix(
    stage: Stage, denied: Callable[[str], None]
) -> None:
    def looks_for_devices() -> None:
        import boto3

        print("looking")
        boto3.client("braket").search_devices(filters=[])

    denied("SearchDevices")
    node = failed_node(stage, looks_for_devices)
    assert node["error"].startswith("Permissions: the job's role lacks braket:SearchDevices: ")
    assert "\nMissing: braket:SearchDevices on arn:aws:braket:us-east-1" in node["error"]
    assert "covalent-braket policy role" in node["error"]
    assert node["stdout"] == "looking\n"
    assert "search_devices" in node["stderr"]


def test_permission_that_the_caller_lacks_is_named_though_there_is_no_job(
    stage: Stage, denied: Callable[[str], None]
) -> None:
    denied("CreateJob")
    node = failed_node(stage, raises, 1)
    assert node["error"].startswith(
        "Permissions: the caller (Covalent's server) lacks braket:CreateJob: CreateJob was refused"
    )
    assert "covalent-braket policy caller" in node["error"]


def test_bad_value_of_the_constructor_is_refused_at_once() -> None:
    with pytest.raises(Exception, match=r"time_limit=0 is not valid.*1 to 432000"):
        ct.executor.BraketExecutor(time_limit=0)
