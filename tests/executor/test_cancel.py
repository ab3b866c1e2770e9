"""Cancelling against a real local Braket: quantum tasks, many jobs, jobs that have ended."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from covalent._shared_files.exceptions import TaskCancelledError

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.braket import BraketExecutor
from tests.support.braket_server import SV1, BraketServer, eventually
from tests.support.quantum import LONG

MANY = 16


@pytest.fixture
def strict_braket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BraketServer]:
    """A local Braket with AWS's request rates; most of its jobs stay in the queue."""
    server = BraketServer.started(
        tmp_path / "braket",
        local_endpoint.worker_command(),
        local_endpoint.worker_image(),
        slots=1,
        rate_limits=True,
        grace_seconds=1.0,
    )
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(server.state_dir))
    yield server
    server.stop()


@pytest.fixture
def on_local_braket(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch) -> BraketServer:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    return local_braket


def metadata(node_id: int = 0) -> dict[str, Any]:
    return {"dispatch_id": str(uuid.uuid4()), "node_id": node_id}


def circuits(action: str, device: str, bucket: str, mark: str) -> None:
    """Create quantum tasks that stay open, then wait."""
    import json
    import os
    import time

    import boto3

    header = {"name": "braket.ir.openqasm.program", "version": "1"}
    source = {"braketSchemaHeader": header, "source": action, "inputs": {}}
    for _ in range(3):
        boto3.client("braket").create_quantum_task(
            deviceArn=device,
            outputS3Bucket=bucket,
            outputS3KeyPrefix="tasks",
            shots=0,
            action=json.dumps(source),
            jobToken=os.environ["AMZN_BRAKET_JOB_TOKEN"],
        )
    Path(mark).touch()
    time.sleep(120)


def endless(mark: str) -> None:
    import time

    Path(mark).touch()
    time.sleep(120)


def jobs_of(server: BraketServer, task: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        job
        for job in server.client("braket").search_jobs(filters=[])["jobs"]
        if job["tags"].get("covalent:dispatch_id") == task["dispatch_id"]
    ]


def task_statuses(server: BraketServer, job_arn: str) -> set[str]:
    filters = [{"name": "jobArn", "operator": "EQUAL", "values": [job_arn]}]
    found = server.client("braket").search_quantum_tasks(filters=filters)["quantumTasks"]
    assert len(found) == 3
    return {task["status"] for task in found}


REFUSED = {
    "operation": "CancelQuantumTask",
    "kind": "error",
    "code": "AccessDeniedException",
    "status": 403,
}
FAULTY = {
    "operation": "SearchQuantumTasks",
    "kind": "error",
    "code": "InternalServiceException",
    "status": 500,
}


@pytest.mark.parametrize(
    "faults",
    [[], [{"times": 2, **REFUSED}], [{"times": 8, **FAULTY}]],
    ids=["all_heard", "two_refused_at_first", "not_told_at_first"],
)
async def test_quantum_tasks_that_the_job_left_open_are_cancelled(
    on_local_braket: BraketServer,
    tmp_path: Path,
    no_blocking: None,
    faults: list[dict[str, Any]],
) -> None:
    server, mark, task = on_local_braket, tmp_path / "mark", metadata()
    executor = BraketExecutor(local=True, cache_dir=str(tmp_path))
    arguments = [LONG, SV1, server.info["bucket"], str(mark)]
    running = asyncio.ensure_future(executor.run(circuits, arguments, {}, task))
    await asyncio.to_thread(eventually, mark.exists, 60)
    (job,) = await asyncio.to_thread(jobs_of, server, task)
    server.faults({"operation": "CancelJob", "kind": "leave_tasks"}, *faults)
    assert await executor.cancel(task, job["jobArn"]) is True
    with pytest.raises(TaskCancelledError):
        await running
    cancelled = {"CANCELLED"}
    await asyncio.to_thread(eventually, lambda: task_statuses(server, job["jobArn"]) == cancelled)


async def test_cancel_says_how_a_job_had_ended(
    on_local_braket: BraketServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Nobody waited for this job in this process, so that only Braket knows.
    braket = on_local_braket.client("braket")
    arn = braket.create_job(**on_local_braket.job_request("ended"))["jobArn"]
    end = await asyncio.to_thread(on_local_braket.wait, arn, "FAILED", "COMPLETED")
    with caplog.at_level(logging.INFO, logger="covalent_braket_plugin"):
        assert await BraketExecutor(local=True).cancel(metadata(), arn) is False
    assert f"{arn} ended {end['status']} before it could be cancelled" in caplog.text


async def test_cancel_of_a_job_whose_end_is_known_makes_no_call(
    on_local_braket: BraketServer, tmp_path: Path
) -> None:
    executor, task = BraketExecutor(local=True, cache_dir=str(tmp_path)), metadata()
    await executor.run(abs, [-1], {}, task)
    (job,) = await asyncio.to_thread(jobs_of, on_local_braket, task)
    on_local_braket.reset_calls()
    assert await executor.cancel(task, job["jobArn"]) is False
    assert "braket:CancelJob" not in on_local_braket.calls().get("dispatcher", {})


async def test_job_that_braket_does_not_know_yet_is_cancelled_all_the_same(
    on_local_braket: BraketServer, tmp_path: Path
) -> None:
    executor, task = BraketExecutor(local=True, cache_dir=str(tmp_path)), metadata()
    running = asyncio.ensure_future(executor.run(endless, [str(tmp_path / "mark")], {}, task))
    await asyncio.to_thread(eventually, (tmp_path / "mark").exists)
    (job,) = await asyncio.to_thread(jobs_of, on_local_braket, task)
    on_local_braket.faults({"operation": "CancelJob", "kind": "not_found", "times": 2})
    assert await executor.cancel(task, job["jobArn"]) is False
    await asyncio.to_thread(on_local_braket.wait, job["jobArn"], "CANCELLED")
    with pytest.raises(TaskCancelledError):
        await running


async def test_job_of_a_run_whose_caller_is_cancelled_is_cancelled_too(
    on_local_braket: BraketServer, tmp_path: Path, no_blocking: None
) -> None:
    executor, task = BraketExecutor(local=True, cache_dir=str(tmp_path)), metadata()
    running = asyncio.ensure_future(executor.run(endless, [str(tmp_path / "mark")], {}, task))
    await asyncio.to_thread(eventually, (tmp_path / "mark").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 40)
    (job,) = await asyncio.to_thread(jobs_of, on_local_braket, task)
    assert job["status"] == "CANCELLED"


def test_job_of_an_interrupted_program_is_cancelled(
    on_local_braket: BraketServer, tmp_path: Path
) -> None:
    mark, task = tmp_path / "mark", metadata()
    program = f"""
import asyncio
from covalent_braket_plugin.braket import BraketExecutor
from tests.executor.test_cancel import endless
executor = BraketExecutor(local=True, cache_dir={str(tmp_path)!r})
asyncio.run(executor.run(endless, [{str(mark)!r}], {{}}, {task!r}))
"""
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    try:
        eventually(mark.exists, 60)
        child.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in child.communicate(timeout=60)[1]
    finally:
        child.kill()
        child.wait()
    (job,) = jobs_of(on_local_braket, task)
    assert job["status"] in ("CANCELLING", "CANCELLED")


async def test_refused_cancellation_names_the_job_and_is_not_repeated(
    on_local_braket: BraketServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    executor, task = BraketExecutor(local=True, cache_dir=str(tmp_path)), metadata()
    running = asyncio.ensure_future(executor.run(endless, [str(tmp_path / "mark")], {}, task))
    await asyncio.to_thread(eventually, (tmp_path / "mark").exists)
    (job,) = await asyncio.to_thread(jobs_of, on_local_braket, task)
    refusal = {"kind": "error", "code": "AccessDeniedException", "status": 403}
    on_local_braket.reset_calls()
    on_local_braket.faults({"operation": "CancelJob", "times": 1, **refusal})
    assert await executor.cancel(task, job["jobArn"]) is False
    assert job["jobArn"] in caplog.text
    await asyncio.sleep(2)
    assert on_local_braket.calls()["dispatcher"]["braket:CancelJob"] == 1
    assert await executor.cancel(task, job["jobArn"]) is True
    with pytest.raises(TaskCancelledError):
        await running


def test_cancellation_that_is_not_heard_before_the_loop_ends_is_said_in_the_end(
    on_local_braket: BraketServer, tmp_path: Path
) -> None:
    """As when the server stops; nothing but threads goes on then."""
    mark = tmp_path / "mark"

    async def stopped_while_cancelling() -> str:
        executor, task = BraketExecutor(local=True, cache_dir=str(tmp_path)), metadata()
        running = asyncio.ensure_future(executor.run(endless, [str(mark)], {}, task))
        await asyncio.to_thread(eventually, mark.exists)
        (job,) = await asyncio.to_thread(jobs_of, on_local_braket, task)
        fault = {"kind": "error", "code": "InternalServiceException", "status": 500}
        on_local_braket.faults({"operation": "CancelJob", "times": 5, **fault})
        assert await executor.cancel(task, job["jobArn"]) is False
        running.cancel()
        return str(job["jobArn"])

    arn = asyncio.run(stopped_while_cancelling())
    on_local_braket.wait(arn, "CANCELLED", seconds=40)


@pytest.mark.slow
async def test_many_electrons_are_cancelled_at_the_rate_that_aws_allows(
    strict_braket: BraketServer, tmp_path: Path, no_blocking: None
) -> None:
    executor, first = BraketExecutor(local=True, cache_dir=str(tmp_path)), metadata()
    running = asyncio.ensure_future(executor.run(endless, [str(tmp_path / "mark")], {}, first))
    await asyncio.to_thread(eventually, (tmp_path / "mark").exists)
    braket = strict_braket.client("braket", retries={"mode": "adaptive", "max_attempts": 20})
    request = strict_braket.job_request()
    (running_job,) = await asyncio.to_thread(jobs_of, strict_braket, first)
    arns = []
    for number in range(MANY):  # they stay in the queue behind the first
        job = await asyncio.to_thread(braket.create_job, **{**request, "jobName": f"j{number}"})
        arns.append(job["jobArn"])
    await asyncio.to_thread(strict_braket.control, "DELETE", "answers")
    cancels = [executor.cancel(metadata(n), arn) for n, arn in enumerate(arns)]
    assert await asyncio.wait_for(asyncio.gather(*cancels), 120) == [True] * len(arns)
    # The last of all: its slot would be another's, which would run and not be cancelled.
    assert await executor.cancel(first, running_job["jobArn"])
    answers = await asyncio.to_thread(strict_braket.control, "GET", "answers")
    assert "429" not in str(answers), answers
    found = (await asyncio.to_thread(braket.search_jobs, filters=[]))["jobs"]
    assert {job["status"] for job in found} == {"CANCELLED"}
    with pytest.raises(TaskCancelledError):
        await running
