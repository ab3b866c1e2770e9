"""Cancelling: before the job, while it is queued, while it runs, and after it has ended."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import covalent as ct
import pytest

from tests.support.braket_server import eventually
from tests.support.stage import Stage

pytestmark = pytest.mark.e2e


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
    eventually(mark.exists)
    result = cancelled(stage, dispatch_id)
    assert statuses(stage, dispatch_id) == ["CANCELLED"]
    node = result.get_node_result(0)
    assert str(node["status"]) == "CANCELLED"
    # Covalent keeps no error of it.
    assert "Cancelled: the job of sleeper() was cancelled\nJob: sleeper-" in node["stderr"]
    url = f"{stage.url}/braket/api/dispatches/{dispatch_id}"
    with urllib.request.urlopen(url, timeout=20) as answer:
        (told,) = json.load(answer)["electrons"]
    assert told["error"] == "Cancelled: the job of sleeper() was cancelled"


def test_queued_job_is_cancelled_and_never_runs(stage: Stage, tmp_path: Path) -> None:
    # A QPU runs one job at a time: the second waits in its queue.
    garnet = ct.executor.BraketExecutor(
        local=True,
        quantum_device="arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet",
        max_cost=None,
    )
    marks = [str(tmp_path / name) for name in ("first", "second")]
    dispatch_id = stage.dispatch(flow_of(garnet, garnet), marks)
    eventually(lambda: len(stage.jobs_of(dispatch_id, "eu-north-1")) == 2)
    eventually(lambda: any(Path(mark).exists() for mark in marks))
    cancelled(stage, dispatch_id)
    found = {job["status"] for job in stage.jobs_of(dispatch_id, "eu-north-1")}
    assert found == {"CANCELLED"}
    assert sum(Path(mark).exists() for mark in marks) == 1


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
    eventually(mark.exists)
    cancelled(stage, dispatch_id)
    assert statuses(stage, dispatch_id) == ["CANCELLED"]


def test_cancel_while_submitting_leaves_no_running_job(stage: Stage, tmp_path: Path) -> None:
    flow = flow_of(*[ct.executor.BraketExecutor(local=True)] * 4)
    marks = [str(tmp_path / str(number)) for number in range(4)]
    dispatch_id = stage.dispatch(flow, marks)
    cancelled(stage, dispatch_id)
    eventually(lambda: set(statuses(stage, dispatch_id)) <= {"CANCELLED"})


def test_cancelling_what_has_ended_is_no_error(stage: Stage) -> None:
    @ct.lattice
    def flow() -> Any:
        return ct.electron(abs, executor=ct.executor.BraketExecutor(local=True))(-1)

    dispatch_id = stage.dispatch(flow)
    stage.result(dispatch_id)
    ct.cancel(dispatch_id, dispatcher_addr=stage.url)
    assert stage.result(dispatch_id).result == 1
