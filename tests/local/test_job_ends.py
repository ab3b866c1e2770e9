"""The ends of jobs that make it hard: that write on, leave offspring, talk much, lock files."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin.local.aws_clients import AwsClients
from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_logs import MAX_JOB_EVENTS, LogShipper
from tests.local.conftest import IMAGE, PROGRAM, Lab, host_pids
from tests.support.braket_server import SV1, eventually

LINUX = sys.platform == "linux"


@pytest.fixture
def own_lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab that a test may kill; its parameter says whether jobs get namespaces."""
    server = Lab.started(
        tmp_path / "state",
        [sys.executable, str(PROGRAM)],
        IMAGE,
        slots=2,
        grace_seconds=1.0,
        namespaces=getattr(request, "param", True),
    )
    yield server
    server.stop()


both = pytest.mark.parametrize("own_lab", [True, False], indirect=True)


@pytest.mark.skipif(not LINUX, reason="needs /proc")
@both
def test_offspring_in_its_own_session_ends_with_a_cancelled_job(own_lab: Lab) -> None:
    arn = own_lab.create("leave_session")
    job = own_lab.wait(arn, "RUNNING")
    own_lab.shown(job)
    assert len(host_pids(job)) >= 2
    own_lab.client("braket").cancel_job(jobArn=arn)
    own_lab.wait(arn, "CANCELLED")
    assert host_pids(job) == {}


@pytest.mark.skipif(not LINUX, reason="needs /proc")
@both
def test_a_killed_server_leaves_no_process_of_a_job(own_lab: Lab) -> None:
    job = own_lab.wait(own_lab.create("leave_session"), "RUNNING")
    own_lab.shown(job)
    os.kill(own_lab.info["pid"], signal.SIGKILL)
    eventually(lambda: not host_pids(job), 5)


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_stopping_ends_offspring_and_removes_the_directories(own_lab: Lab) -> None:
    job = own_lab.wait(own_lab.create("leave_session"), "RUNNING")
    own_lab.shown(job)
    own_lab.stop()
    assert host_pids(job) == {}
    assert list((own_lab.state_dir / "jobs").iterdir()) == []


def test_a_checkpoint_that_is_written_on_and_on_holds_nothing_up(lab: Lab) -> None:
    config = {"s3Uri": f"s3://{lab.info['bucket']}/busy", "localPath": "/opt/jobs/checkpoints"}
    arn = lab.create("rewrite", checkpointConfig=config)
    lab.shown(lab.wait(arn, "RUNNING"))
    # Long enough for the first upload to be under way.
    eventually(lambda: lab.keys("busy/quiet"))
    began = time.monotonic()
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED")
    assert time.monotonic() - began < 4
    assert lab.keys("busy/") == ["busy/quiet", "busy/restless"]


def test_a_scripts_handler_of_sigterm_has_the_grace_time(lab: Lab) -> None:
    from tests.local.test_script_mode import AWS_IMAGE, archive

    source = """
import os, signal, sys, time
def go():
    def stop(*_):
        time.sleep(0.5)
        open(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"] + "/stopped", "w").write("in order")
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    print('SHOW {"ready": 1}', flush=True)
    time.sleep(60)
"""
    script = {
        "entryPoint": "user:go",
        "s3Uri": lab.put("scripts/obey#1?.tar.gz", archive({"user.py": source})),
        "compressionType": "GZIP",
    }
    algorithm = {"scriptModeConfig": script, "containerImage": {"uri": AWS_IMAGE}}
    request = lab.job_request("obedient", algorithmSpecification=algorithm)
    arn = lab.client("braket").create_job(**request)["jobArn"]
    lab.shown(lab.wait(arn, "RUNNING"))
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED")
    assert lab.keys("out/obedient/") == ["out/obedient/output/model.tar.gz"]


def test_a_chatty_job_is_cancelled_at_once_and_its_log_says_what_is_missing(lab: Lab) -> None:
    arn = lab.create("chatter")
    job = lab.wait(arn, "RUNNING")
    eventually(lambda: lab.lines(job))
    log = lab.state_dir / "jobs" / arn.rpartition("/")[2] / "log.txt"
    eventually(lambda: log.stat().st_size > 4_000_000)
    began = time.monotonic()
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED")
    assert time.monotonic() - began < 5
    assert "the rest of the log is left out" in _last_line(lab, job)


def test_a_log_ends_after_so_many_lines(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("x\n" * (MAX_JOB_EVENTS + 5))
    request = {"jobName": "lines", "deviceConfig": {"device": SV1}}
    job = Job("arn:aws:braket:us-east-1:000000000000:job/u", "us-east-1", "0" * 12, request)
    sent: list[int] = []
    clients = AwsClients(lab.endpoint_url)
    clients.client("logs", *job.place).meta.events.register(
        "provide-client-params.cloudwatch-logs.PutLogEvents",
        lambda params, **_: sent.append(len(params["logEvents"])),
    )
    LogShipper(clients, job, path).close(60)
    assert sum(sent) == MAX_JOB_EVENTS + 1
    assert "longer than 200,000 lines" in _last_line(lab, {"jobName": "lines", "jobArn": job.arn})


def _last_line(lab: Lab, job: dict[str, Any]) -> str:
    logs, group = lab.client("logs"), "/aws/braket/jobs"
    prefix = f"{job['jobName']}/{job['jobArn'].rpartition('/')[2]}"
    stream = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)
    name = stream["logStreams"][0]["logStreamName"]
    last = logs.get_log_events(logGroupName=group, logStreamName=name, limit=1)["events"][-1]
    text: str = last["message"]
    return text


def test_the_jobs_own_failure_comes_before_that_of_an_upload(lab: Lab) -> None:
    job = lab.run("remove_model")
    assert job["failureReason"] == "AlgorithmError: ValueError: mine, exit code: 1"
    lab.faults({"operation": "s3:PutObject", "kind": "error", "times": 50})
    job = lab.run("fail", parameters={"text": "ValueError: also", "leave": "1"})
    assert job["failureReason"] == "AlgorithmError: ValueError: also, exit code: 1"


def test_a_directory_without_rights_is_removed_with_the_job(lab: Lab) -> None:
    directory = lab.state_dir / "jobs" / lab.run("lock_files")["jobArn"].rpartition("/")[2]
    eventually(lambda: not directory.exists(), 5)


def test_keys_may_hold_any_character(lab: Lab) -> None:
    lab.put("odd/a#b?c/one.txt", "1")
    job = lab.run(
        "channels",
        inputDataConfig=[_channel(lab, "odd/a#b?c/")],
        outputDataConfig={"s3Path": f"s3://{lab.info['bucket']}/out/odd#1?x"},
    )
    assert lab.shown(job)["files"] == {"in/one.txt": "1"}
    lab.run("model", outputDataConfig={"s3Path": f"s3://{lab.info['bucket']}/out/odd#1?x"})
    assert "out/odd#1?x/output/model.tar.gz" in lab.keys("out/odd#1?x/")


def _channel(lab: Lab, key: str) -> dict[str, Any]:
    source = {"s3DataSource": {"s3Uri": f"s3://{lab.info['bucket']}/{key}"}}
    return {"channelName": "in", "dataSource": source}


@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("near/d6", {"in/d6": "file"}),
        ("near/twice//", {"in/a": "a"}),
        ("near/twice", {"in/a": "a", "in/b": "b"}),
    ],
)
def test_an_exact_object_is_taken_alone_and_empty_parts_vanish(
    lab: Lab, uri: str, files: dict[str, str]
) -> None:
    for key, body in {"d6": "file", "d6/z": "z", "d66": "no", "twice//a": "a"}.items():
        lab.put(f"near/{key}", body)
    lab.put("near/twice/b", "b")
    shown = lab.shown(lab.run("channels", inputDataConfig=[_channel(lab, uri)]))
    assert shown["files"] == files


def test_objects_that_cannot_be_files_together_fail_the_job_in_words(lab: Lab) -> None:
    for key in ("x", "x/y"):
        lab.put(f"clash/{key}", key)
    job = lab.run("channels", inputDataConfig=[_channel(lab, "clash/")])
    assert "'clash/x/y' cannot become a file" in job["failureReason"]


def test_cancel_interrupts_the_download_of_inputs(lab: Lab) -> None:
    for number in range(40):
        lab.put(f"many/{number}", "x")
    lab.faults({"operation": "s3:GetObject", "kind": "slow", "seconds": 0.5, "times": 100})
    arn = lab.create("channels", inputDataConfig=[_channel(lab, "many/")])
    eventually(lambda: _event(lab, arn, "DOWNLOADING_DATA"))
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED", seconds=4)


def _event(lab: Lab, arn: str, name: str) -> bool:
    events = lab.client("braket").get_job(jobArn=arn)["events"]
    return name in [event["eventType"] for event in events]


def test_tasks_that_a_job_leaves_open_are_cancelled(lab: Lab) -> None:
    job = lab.run("leave_task")
    assert job["status"] == "FAILED"
    arn = lab.shown(job)["task"]
    get = lab.client("braket").get_quantum_task
    eventually(lambda: get(quantumTaskArn=arn)["status"] == "CANCELLED", 5)


def _task_statuses(lab: Lab, job_arn: str) -> list[str]:
    filters = [{"name": "jobArn", "operator": "EQUAL", "values": [job_arn]}]
    found = lab.client("braket").search_quantum_tasks(filters=filters)["quantumTasks"]
    return [task["status"] for task in found]


def test_open_tasks_of_a_cancelled_job_are_found_by_its_arn_and_cancelled(lab: Lab) -> None:
    arn = lab.create("hold_task")
    task = lab.shown(lab.wait(arn, "RUNNING"))["task"]
    assert _task_statuses(lab, arn) in (["QUEUED"], ["RUNNING"])
    found = lab.client("braket").get_quantum_task(quantumTaskArn=task)
    assert found["jobArn"] == arn
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED")
    eventually(lambda: _task_statuses(lab, arn) == ["CANCELLED"], 5)


def test_cancelling_can_be_made_to_leave_the_tasks_of_a_job_open(lab: Lab) -> None:
    lab.faults({"operation": "CancelJob", "kind": "leave_tasks"})
    arn = lab.create("hold_task")
    task = lab.shown(lab.wait(arn, "RUNNING"))["task"]
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED")
    assert _task_statuses(lab, arn) in (["QUEUED"], ["RUNNING"])
    lab.client("braket").cancel_quantum_task(quantumTaskArn=task)
    eventually(lambda: _task_statuses(lab, arn) == ["CANCELLED"], 5)
