"""Checkpoints: what an electron saved is there for its next job; on a real local Braket."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import cloudpickle
import pytest
from covalent._shared_files.exceptions import TaskRuntimeError

from tests.support import one_electron
from tests.support.braket_server import BraketServer
from tests.support.one_electron import OneElectron, begin


@pytest.fixture(autouse=True, scope="module")
def _the_bench_is_pickled_whole() -> None:
    cloudpickle.register_pickle_by_value(one_electron)


@pytest.fixture
def electron(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> OneElectron:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    return OneElectron(local_braket, tmp_path)


def saved(electron: OneElectron) -> list[str]:
    """Names of the checkpoints that the dispatch has in S3."""
    keys = [key for key in electron.left() if "/checkpoints/" in key]
    return sorted(key.rpartition("/")[2] for key in keys)


def counts(file: str, breaks: int) -> list[int]:
    """Count to 3, a step a job, of which the first few break down; returns the steps."""
    from covalent_braket_plugin import job

    run = begin(file)
    steps = job.checkpoint.load(default=[])
    steps.append(len(steps) + 1)
    job.checkpoint.save(steps)
    if run <= breaks:
        os.kill(os.getppid(), signal.SIGKILL)  # the worker: nobody is left to write an outcome
        time.sleep(30)
    return list(steps)


def fails(file: str, saves: bool) -> None:
    from covalent_braket_plugin import job

    run = begin(file)
    if saves:
        job.checkpoint.save(run)
    raise ValueError(f"run {run}")


def works_until_told(file: str) -> list[float]:
    """Save at each step and stop when asked; the third run is the last."""
    from covalent_braket_plugin import job

    run = begin(file)
    steps: list[float] = job.checkpoint.load(default=[])
    while run < 2:
        steps.append(job.seconds_left() or 0.0)
        job.checkpoint.save(steps)
        if job.should_stop():
            job.stop()
        time.sleep(0.1)
    return steps


@pytest.mark.slow
async def test_electron_goes_on_from_its_checkpoints_and_says_so(electron: OneElectron) -> None:
    executor = electron.executor(resume_on=["infrastructure"])
    assert await electron.run(executor, counts, 2) == [1, 2, 3]
    assert [job["status"] for job in electron.jobs()] == ["FAILED", "FAILED", "COMPLETED"]
    said = executor.task_stderr.getvalue()
    assert "Attempt 2 failed: Infrastructure: counts() left no outcome" in said
    assert "It goes on from its checkpoint, job 3." in said
    assert saved(electron) == []  # it is done: run once more, it would begin anew


async def test_attempt_that_saved_nothing_is_not_gone_on_with_and_says_so(
    electron: OneElectron,
) -> None:
    executor = electron.executor(resume_on=["electron"])
    with pytest.raises(TaskRuntimeError, match="run 1") as raised:
        await electron.run(executor, fails, False)
    assert "It does not go on from a checkpoint: this attempt saved nothing" in str(raised.value)
    assert electron.runs == 1


async def test_no_more_jobs_go_on_than_the_setting_says(electron: OneElectron) -> None:
    executor = electron.executor(resume_on=["electron"], resumes=1)
    with pytest.raises(TaskRuntimeError, match="run 2") as raised:
        await electron.run(executor, fails, True)
    assert "that was done 1 times already (`resumes`)" in str(raised.value)
    assert electron.runs == 2
    assert saved(electron) == ["checkpoint.ckpt", "checkpoint.ckpt.before"]


async def test_what_is_not_named_in_resume_on_is_not_gone_on_with(electron: OneElectron) -> None:
    with pytest.raises(TaskRuntimeError, match="run 1"):
        await electron.run(electron.executor(resume_on=["time_limit"]), fails, True)


@pytest.mark.slow
async def test_electron_stops_before_its_time_limit_and_goes_on(electron: OneElectron) -> None:
    executor = electron.executor(resume_on=["time_limit"], time_limit=4)
    left = await electron.run(executor, works_until_told)
    assert len(left) > 5
    assert left[-1] == 0.0
    assert left == sorted(left, reverse=True)
    first, _ = electron.jobs()
    events = electron.server.client("braket").get_job(jobArn=first["jobArn"])["events"]
    assert "MAX_RUNTIME_EXCEEDED" not in {event["eventType"] for event in events}
    said = executor.task_stderr.getvalue()
    assert "Time limit: works_until_told() failed shortly before its time limit" in said


async def test_another_dispatch_goes_on_with_checkpoints_that_both_name(
    electron: OneElectron, tmp_path: Path
) -> None:
    key = f"count-{tmp_path.name}"
    first = electron.executor(checkpoint_key=key)
    assert await electron.run(first, counts, 0) == [1]
    other = OneElectron(electron.server, tmp_path / "other")
    other.place.mkdir()
    assert await other.run(other.executor(checkpoint_key=key), counts, 0) == [1, 2]
    assert saved(electron) == saved(other) == []


async def test_server_that_finds_a_job_ended_goes_on_from_its_checkpoints(
    electron: OneElectron,
) -> None:
    def fails_once(file: str) -> str:
        from covalent_braket_plugin import job

        before: str = job.checkpoint.load(default="")
        job.checkpoint.save("saved")
        if begin(file) == 1:
            raise ValueError("not yet")
        return before

    with pytest.raises(TaskRuntimeError, match="not yet"):
        await electron.run(electron.executor(keep_payload=True), fails_once)
    (first,) = electron.jobs()
    group = {"dispatch_id": electron.dispatch_id, "node_ids": [7], "task_group_id": 7}
    later = electron.executor(resume_on=["electron"])  # knows of the job no more than its ARN
    (update,) = await later.receive(group, {"job_arn": first["jobArn"]})
    assert str(update.status) == "COMPLETED"
    assert electron.runs == len(electron.jobs()) == 2
    assert saved(electron) == []


async def test_cost_limit_holds_for_all_jobs_that_go_on(electron: OneElectron) -> None:
    executor = electron.executor(
        resume_on=["electron"], max_cost=0.0004, time_limit=12, quantum_device="local:none/none"
    )
    with pytest.raises(TaskRuntimeError, match="run 1") as raised:
        await electron.run(executor, fails, True)
    assert "Attempt 2 could not be made: max_cost=0.0004 is too little" in str(raised.value)


def test_program_outside_a_job_is_never_told_to_stop() -> None:
    from covalent_braket_plugin import job

    assert not job.should_stop()
    assert job.seconds_left() is None
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
