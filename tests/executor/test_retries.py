"""Attempts: what is tried again, how often, and where users read of it; on a real local Braket."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from covalent._shared_files.exceptions import TaskCancelledError, TaskRuntimeError

from tests.support.braket_server import BraketServer, eventually
from tests.support.one_electron import OneElectron as Bench
from tests.support.one_electron import begin


@pytest.fixture
def bench(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    return Bench(local_braket, tmp_path)


def breaks_down_once(file: str) -> str:
    if begin(file) == 1:
        os.kill(os.getppid(), signal.SIGKILL)  # the worker: nobody is left to write an outcome
        time.sleep(30)
    return "done"


def breaks_down(file: str) -> None:
    begin(file)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)


def fails_once(file: str) -> str:
    if begin(file) == 1:
        raise ValueError("not finite")
    return "done"


def is_slow_once(file: str) -> str:
    if begin(file) == 1:
        time.sleep(60)
    return "done"


@pytest.mark.slow
async def test_job_that_broke_down_is_run_again_and_says_so(bench: Bench) -> None:
    executor = bench.executor(retries=2)
    assert await bench.run(executor, breaks_down_once) == "done"
    names = [job["jobName"] for job in bench.jobs()]
    assert [name.rpartition("-")[2] for name in names] == ["1", "2"]
    assert [job["status"] for job in bench.jobs()] == ["FAILED", "COMPLETED"]
    said = executor.task_stderr.getvalue()
    assert "Attempt 1 of 3 failed: Infrastructure: breaks_down_once() left no outcome" in said
    assert bench.jobs()[0]["jobArn"] in said
    assert [key.rpartition("/")[2] for key in bench.left()] == ["outcome.json"]  # of the second


async def test_without_retries_nothing_is_run_again(bench: Bench) -> None:
    with pytest.raises(TaskRuntimeError, match="Infrastructure: breaks_down_once"):
        await bench.run(bench.executor(), breaks_down_once)
    assert bench.runs == 1


async def test_when_retries_are_used_up_the_error_says_which_attempt_it_was(bench: Bench) -> None:
    with pytest.raises(TaskRuntimeError, match=r"Job: breaks-down-\w+-7-2, attempt 2\n") as raised:
        await bench.run(bench.executor(retries=1), breaks_down)
    assert "Attempt 1 of 2 failed" in str(raised.value)
    assert bench.runs == len(bench.jobs()) == 2


async def test_attempt_that_cannot_be_made_is_told_where_the_failure_is(bench: Bench) -> None:
    def breaks_down_late(file: str) -> None:
        begin(file)
        time.sleep(1)
        os.kill(os.getppid(), signal.SIGKILL)

    running = asyncio.ensure_future(bench.run(bench.executor(retries=1), breaks_down_late))
    await asyncio.to_thread(eventually, lambda: bench.runs)
    refused = {"kind": "error", "code": "AccessDeniedException", "status": 403}
    bench.server.faults({"operation": "CreateJob", **refused})
    with pytest.raises(TaskRuntimeError, match="left no outcome") as raised:
        await running
    assert "Attempt 2 could not be made: CreateJob was refused" in str(raised.value)
    assert bench.left() == []


async def test_exception_of_the_users_code_is_not_retried_unless_asked(bench: Bench) -> None:
    with pytest.raises(TaskRuntimeError, match="not finite"):
        await bench.run(bench.executor(retries=3), fails_once)
    assert bench.runs == 1


async def test_exception_of_the_users_code_is_retried_if_asked(bench: Bench) -> None:
    executor = bench.executor(retries=3, retry_on=["electron"])
    assert await bench.run(executor, fails_once) == "done"
    assert bench.runs == 2
    assert (
        "Attempt 1 of 4 failed: Your code: fails_once() failed" in executor.task_stderr.getvalue()
    )


@pytest.mark.slow
async def test_time_limit_is_retried_if_asked(bench: Bench) -> None:
    executor = bench.executor(retries=1, retry_on=["time_limit"], time_limit=4)
    assert await bench.run(executor, is_slow_once) == "done"
    assert (
        "Attempt 1 of 2 failed: Time limit: is_slow_once() ran" in executor.task_stderr.getvalue()
    )


async def test_cancelled_job_is_not_run_again(bench: Bench) -> None:
    executor = bench.executor(retries=3, retry_on=["infrastructure", "electron", "time_limit"])
    running = asyncio.ensure_future(bench.run(executor, is_slow_once))
    await asyncio.to_thread(eventually, lambda: bench.runs)
    arn = bench.jobs()[0]["jobArn"]
    await executor.cancel({"dispatch_id": bench.dispatch_id, "node_id": 7}, arn)
    with pytest.raises(TaskCancelledError):
        await asyncio.wait_for(running, 30)
    assert bench.runs == len(bench.jobs()) == 1


async def test_cancelling_reaches_the_attempt_that_runs_whatever_handle_is_known(
    bench: Bench,
) -> None:
    def breaks_then_sleeps(file: str) -> None:
        if begin(file) == 1:
            os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)

    executor = bench.executor(retries=1)
    running = asyncio.ensure_future(bench.run(executor, breaks_then_sleeps))
    await asyncio.to_thread(eventually, lambda: bench.runs == 2)
    first = bench.jobs()[0]["jobArn"]
    await executor.cancel({"dispatch_id": bench.dispatch_id, "node_id": 7}, first)
    with pytest.raises(TaskCancelledError):
        await asyncio.wait_for(running, 30)
    assert [job["status"] for job in bench.jobs()] == ["FAILED", "CANCELLED"]
