"""Cancelling: before the job, while it is queued, while it runs, and after it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import covalent as ct
import pytest

from tests.support.stage import Stage

pytestmark = pytest.mark.e2e


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("It did not happen in time")


def sleeper(mark: str) -> None:
    Path(mark).touch()
    print("working", flush=True)
    time.sleep(120)


def flow_of(*executors: Any) -> Any:
    @ct.lattice
    def flow(marks: list[str]) -> None:
        for executor, mark in zip(executors, marks, strict=True):
            ct.electron(sleeper, executor=executor)(mark)

    return flow


def cancelled(stage: Stage, dispatch_id: str) -> Any:
    ct.cancel(dispatch_id, dispatcher_addr=stage.url)
    result = stage.result(dispatch_id)
    assert str(result.status) == "CANCELLED"
    return result


def statuses(stage: Stage, dispatch_id: str) -> list[str]:
    return [job["status"] for job in stage.jobs_of(dispatch_id)]


def test_running_job_is_stopped_and_its_node_is_cancelled(stage: Stage, tmp_path: Path) -> None:
    mark = tmp_path / "running"
    flow = flow_of(ct.executor.BraketExecutor(local=True))
    dispatch_id = stage.dispatch(flow, [str(mark)])
    wait_for(mark.exists)
    result = cancelled(stage, dispatch_id)
    assert statuses(stage, dispatch_id) == ["CANCELLED"]
    assert str(result.get_node_result(0)["status"]) == "CANCELLED"


def test_queued_job_is_cancelled_and_never_runs(stage: Stage, tmp_path: Path) -> None:
    # A QPU runs one job at a time: the second waits in its queue.
    garnet = ct.executor.BraketExecutor(
        local=True, quantum_device="arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
    )
    marks = [str(tmp_path / name) for name in ("first", "second")]
    dispatch_id = stage.dispatch(flow_of(garnet, garnet), marks)
    wait_for(lambda: len(_jobs(stage, dispatch_id, "eu-north-1")) == 2)
    wait_for(lambda: any(Path(mark).exists() for mark in marks))
    cancelled(stage, dispatch_id)
    found = {job["status"] for job in _jobs(stage, dispatch_id, "eu-north-1")}
    assert found == {"CANCELLED"}
    assert sum(Path(mark).exists() for mark in marks) == 1


def _jobs(stage: Stage, dispatch_id: str, region: str) -> list[dict[str, Any]]:
    import boto3

    client = boto3.client(
        "braket", region_name=region, endpoint_url=stage.braket["endpoint_url"],
        aws_access_key_id="x", aws_secret_access_key="x",
    )  # fmt: skip
    found = client.search_jobs(filters=[])["jobs"]
    return [job for job in found if job["tags"].get("covalent:dispatch_id") == dispatch_id]


def test_node_that_has_not_started_never_becomes_a_job(stage: Stage, tmp_path: Path) -> None:
    executor = ct.executor.BraketExecutor(local=True)
    mark = tmp_path / "first"

    @ct.electron(executor=executor)
    def later(x: Any) -> Any:
        return x

    @ct.lattice
    def flow(mark: str) -> Any:
        return later(ct.electron(sleeper, executor=executor)(mark))

    dispatch_id = stage.dispatch(flow, str(mark))
    wait_for(mark.exists)
    cancelled(stage, dispatch_id)
    assert statuses(stage, dispatch_id) == ["CANCELLED"]


def test_cancel_while_submitting_leaves_no_running_job(stage: Stage, tmp_path: Path) -> None:
    flow = flow_of(*[ct.executor.BraketExecutor(local=True)] * 4)
    marks = [str(tmp_path / str(number)) for number in range(4)]
    dispatch_id = stage.dispatch(flow, marks)
    cancelled(stage, dispatch_id)
    wait_for(lambda: set(statuses(stage, dispatch_id)) <= {"CANCELLED"})


def test_cancelling_what_has_ended_is_no_error(stage: Stage) -> None:
    @ct.lattice
    def flow() -> Any:
        return ct.electron(abs, executor=ct.executor.BraketExecutor(local=True))(-1)

    dispatch_id = stage.dispatch(flow)
    stage.result(dispatch_id)
    ct.cancel(dispatch_id, dispatcher_addr=stage.url)
    assert stage.result(dispatch_id).result == 1
