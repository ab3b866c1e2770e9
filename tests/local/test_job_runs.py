"""Jobs that really run: processes, directories, environment, results, ends."""

from __future__ import annotations

import io
import os
import signal
import sys
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.conftest import IMAGE, PROGRAM, Lab, alive
from tests.support.braket_server import SV1, eventually

NAMESPACES = sys.platform == "linux"


@pytest.fixture(scope="module")
def plain_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab without mount namespaces, as on macOS or in a locked-down container."""
    server = Lab.started(
        tmp_path_factory.mktemp("plain"),
        [sys.executable, str(PROGRAM)],
        IMAGE,
        slots=2,
        grace_seconds=1.0,
        namespaces=False,
        keep_job_dirs=True,
    )
    yield server
    server.stop()


def events(job: dict[str, Any]) -> list[str]:
    return [event["eventType"] for event in job["events"]]


def test_job_runs_the_worker_command_and_completes(lab: Lab) -> None:
    job = lab.run("see")
    assert job["status"] == "COMPLETED"
    assert lab.shown(job)["arguments"] == ["train"]
    assert events(job) == [
        "QUEUED_FOR_EXECUTION",
        "STARTING_INSTANCE",
        "DOWNLOADING_DATA",
        "RUNNING",
        "UPLOADING_RESULTS",
        "COMPLETED",
    ]
    assert "failureReason" not in job
    assert job["startedAt"] <= job["endedAt"]
    span = (job["endedAt"] - job["startedAt"]).total_seconds()
    assert job["billableDuration"] == round(span * 1000)


def test_environment_has_every_variable_of_the_service(lab: Lab) -> None:
    job = lab.run("see", parameters={"alpha": "0.5"})
    seen = lab.shown(job)["environment"]
    bucket = lab.info["bucket"]
    expected = {
        "AMZN_BRAKET_INPUT_DIR": "/opt/braket/input/data",
        "AMZN_BRAKET_JOB_RESULTS_DIR": "/opt/braket/model",
        "AMZN_BRAKET_JOB_NAME": "see",
        "AMZN_BRAKET_HP_FILE": "/opt/braket/input/config/hyperparameters.json",
        "AMZN_BRAKET_DEVICE_ARN": SV1,
        "AMZN_BRAKET_OUT_S3_BUCKET": bucket,
        "AMZN_BRAKET_TASK_RESULTS_S3_URI": f"s3://{bucket}/jobs/see/tasks",
        "AMZN_BRAKET_JOB_RESULTS_S3_PATH": "out/see/see/output",
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_HPS": '{"do": "see", "alpha": "0.5"}',
        "SM_HP_ALPHA": "0.5",
        "SM_CURRENT_HOST": "algo-1",
        "TRAINING_JOB_NAME": "BraketJob-000000000000-see",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": lab.endpoint_url,
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert len(seen["AMZN_BRAKET_JOB_TOKEN"]) <= 128


def test_nothing_secret_of_the_daemons_environment_reaches_a_job(lab: Lab) -> None:
    seen = lab.shown(lab.run("see"))["environment"]
    assert "do not tell" not in " ".join(seen.values())
    assert "SECRET_OF_THE_USER" not in seen
    assert seen["HOME"] != os.environ.get("HOME")


@pytest.mark.skipif(not NAMESPACES, reason="mount namespaces are a thing of Linux")
def test_opt_ml_is_the_real_path_and_the_hosts_opt_stays_as_it_is(lab: Lab) -> None:
    before = set(os.listdir("/opt"))
    seen = lab.shown(lab.run("see"))
    assert "/opt/ml" in seen["places"]
    assert before - {"ml", "braket"} <= set(seen["opt"])
    assert seen["directory"] == "/opt/ml/code"
    assert set(os.listdir("/opt")) == before


def test_without_namespaces_the_variables_point_into_the_jobs_directory(plain_lab: Lab) -> None:
    job = plain_lab.run("see")
    seen = plain_lab.shown(job)["environment"]
    root = plain_lab.state_dir / "jobs" / job["jobArn"].rpartition("/")[2]
    assert seen["SAGEMAKER_BASE_DIR"] == str(root / "opt/ml")
    assert seen["AMZN_BRAKET_JOB_RESULTS_DIR"] == str(root / "opt/braket/model")
    assert (root / "opt/braket/input/config/hyperparameters.json").is_file()
    assert (root / "log.txt").read_text().startswith("SHOW ")


def test_results_are_kept_at_the_root_of_the_archives(lab: Lab) -> None:
    job = lab.run("model")
    prefix = "out/model/output"
    assert lab.keys(prefix) == [f"{prefix}/model.tar.gz", f"{prefix}/output.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(lab.get(f"{prefix}/model.tar.gz"))) as archive:
        assert sorted(archive.getnames()) == ["deep", "deep/file", "results.json"]
    assert job["status"] == "COMPLETED"


def test_a_job_that_leaves_nothing_uploads_nothing(lab: Lab) -> None:
    lab.run("end", name="nothing", parameters={"code": "0"})
    assert lab.keys("out/nothing") == []


def test_job_directories_are_removed(lab: Lab) -> None:
    lab.run("see")
    eventually(lambda: not list((lab.state_dir / "jobs").iterdir()))


@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("data/one.txt", {"in/one.txt": "1"}),
        ("data/dir", {"in/a": "a", "in/b/c": "c"}),
        ("data/dir/", {"in/a": "a", "in/b/c": "c"}),
        ("data/o", {"in/one.txt": "1", "in/other.txt": "2"}),
    ],
)
def test_input_channels_take_an_object_a_directory_or_a_prefix(
    lab: Lab, uri: str, files: dict[str, str]
) -> None:
    for key, body in {"one.txt": "1", "other.txt": "2", "dir/a": "a", "dir/b/c": "c"}.items():
        lab.put(f"data/{key}", body)
    source = {"s3DataSource": {"s3Uri": f"s3://{lab.info['bucket']}/{uri}"}}
    channel = {"channelName": "in", "dataSource": source, "contentType": "text/plain"}
    shown = lab.shown(lab.run("channels", inputDataConfig=[channel]))
    assert shown["files"] == files
    assert shown["config"]["in"]["ContentType"] == "text/plain"


def test_a_missing_input_fails_the_job_and_names_it(lab: Lab) -> None:
    source = {"s3DataSource": {"s3Uri": f"s3://{lab.info['bucket']}/nowhere"}}
    job = lab.run("see", inputDataConfig=[{"channelName": "in", "dataSource": source}])
    assert job["status"] == "FAILED"
    assert "nowhere" in job["failureReason"]


@pytest.mark.parametrize(
    ("path", "seen_at"),
    [(None, "/opt/braket/checkpoints/"), ("/opt/jobs/checkpoints", "/opt/jobs/checkpoints")],
)
@pytest.mark.skipif(not NAMESPACES, reason="mount namespaces are a thing of Linux")
def test_checkpoints_are_restored_and_kept(lab: Lab, path: str | None, seen_at: str) -> None:
    folder = f"checkpoints/{len(seen_at)}"
    lab.put(f"{folder}/old.json", "old")
    config = {"s3Uri": f"s3://{lab.info['bucket']}/{folder}"} | (
        {"localPath": path} if path else {}
    )
    job = lab.run("checkpoint", checkpointConfig=config)
    assert lab.shown(job) == {"found": ["old.json"], "directory": seen_at.rstrip("/")}
    assert lab.keys(folder) == [f"{folder}/{name}.json" for name in ("last", "new", "old")]


def test_checkpoints_work_without_namespaces(plain_lab: Lab) -> None:
    config = {"s3Uri": f"s3://{plain_lab.info['bucket']}/cp", "localPath": "/srv/none/cp"}
    plain_lab.run("checkpoint", checkpointConfig=config)
    assert plain_lab.keys("cp/") == ["cp/last.json", "cp/new.json"]


def test_checkpoints_go_up_while_the_job_runs(lab: Lab) -> None:
    config = {"s3Uri": f"s3://{lab.info['bucket']}/live", "localPath": "/opt/jobs/checkpoints"}
    arn = lab.create("checkpoint", parameters={"seconds": "60"}, checkpointConfig=config)
    eventually(lambda: lab.keys("live/new.json"))
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED")


@pytest.mark.parametrize(
    ("do", "parameters", "reason"),
    [
        ("end", {"code": "3"}, "AlgorithmError: , exit code: 3"),
        (
            "kill",
            {},
            "AlgorithmError: The process was killed by signal 9 (SIGKILL), exit code: 137",
        ),
        ("fail", {"text": "ValueError: no"}, "AlgorithmError: ValueError: no, exit code: 1"),
        ("fail", {"text": "late words", "code": "0"}, "AlgorithmError: late words"),
    ],
)
def test_a_job_fails_by_exit_code_signal_or_failure_file(
    lab: Lab, do: str, parameters: dict[str, str], reason: str
) -> None:
    job = lab.run(do, parameters=parameters)
    assert job["status"] == "FAILED"
    assert job["failureReason"] == reason
    assert events(job)[-1] == "FAILED"


def test_failure_reasons_are_cut_to_what_the_service_holds(lab: Lab) -> None:
    job = lab.run("fail", parameters={"text": "x" * 2400})
    assert len(job["failureReason"]) == 1024
    assert job["failureReason"].endswith(", exit code: 1")


def test_killing_a_job_from_outside_fails_it(lab: Lab) -> None:
    arn = lab.create("sleep")
    os.kill(lab.shown(lab.wait(arn, "RUNNING"))["pid"], signal.SIGKILL)
    assert "signal 9" in lab.wait(arn, "FAILED")["failureReason"]


def test_the_time_limit_ends_a_job_and_says_so(lab: Lab) -> None:
    job = lab.run("sleep", stoppingCondition={"maxRuntimeInSeconds": 1})
    assert job["status"] == "FAILED"
    assert "time limit of 1 seconds" in job["failureReason"]
    assert events(job)[-2:] == ["MAX_RUNTIME_EXCEEDED", "FAILED"]
    assert 1000 <= job["billableDuration"] < 5000
    assert not alive(lab.shown(job)["pid"])


def test_cancel_asks_first_and_keeps_what_an_orderly_job_leaves(lab: Lab) -> None:
    arn = lab.create("obey")
    lab.shown(lab.wait(arn, "RUNNING"))
    answer = lab.client("braket").cancel_job(jobArn=arn)
    assert answer["cancellationStatus"] == "CANCELLING"
    job = lab.wait(arn, "CANCELLED")
    assert events(job)[-1] == "CANCELLED"
    assert lab.keys("out/obey/") == ["out/obey/output/model.tar.gz"]


def test_cancel_kills_a_stubborn_job_with_its_children(lab: Lab) -> None:
    arn = lab.create("stubborn")
    shown = lab.shown(lab.wait(arn, "RUNNING"))
    began = time.monotonic()
    lab.client("braket").cancel_job(jobArn=arn)
    lab.client("braket").cancel_job(jobArn=arn)
    lab.wait(arn, "CANCELLED")
    assert 0.9 < time.monotonic() - began < 6
    eventually(lambda: not alive(shown["pid"]) and not alive(shown["child"]))


def test_children_that_a_job_leaves_behind_are_ended(lab: Lab) -> None:
    job = lab.run("leave_child")
    assert job["status"] == "COMPLETED"
    child = lab.shown(job)["child"]
    eventually(lambda: not alive(child))


def test_jobs_over_the_slots_wait_and_can_be_cancelled_before_they_start(lab: Lab) -> None:
    braket = lab.client("braket")
    running = [lab.create("sleep") for _ in range(3)]
    for arn in running:
        lab.wait(arn, "RUNNING")
    first, second = lab.create("model", name="first"), lab.create("model", name="second")

    def queue(arn: str) -> Any:
        return braket.get_job(jobArn=arn, additionalAttributeNames=["QueueInfo"])["queueInfo"]

    assert queue(first) == {"queue": "JOBS_QUEUE", "position": "1"}
    assert queue(second) == {"queue": "JOBS_QUEUE", "position": "2"}
    assert queue(running[0])["position"] == "None"
    assert braket.cancel_job(jobArn=first)["cancellationStatus"] == "CANCELLED"
    assert queue(second)["position"] == "1"
    for arn in running:
        braket.cancel_job(jobArn=arn)
    assert lab.wait(second)["status"] == "COMPLETED"
    assert lab.keys("out/first/") == []
    cancelled = braket.get_job(jobArn=first)
    assert "startedAt" not in cancelled
    assert cancelled["billableDuration"] == 0


def test_a_qpu_runs_one_job_at_a_time(lab: Lab) -> None:
    device = {"device": "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"}
    first, second = (lab.create("sleep", deviceConfig=device) for _ in range(2))
    lab.wait(first, "RUNNING")
    on_simulator = lab.create("see")
    assert lab.wait(on_simulator)["status"] == "COMPLETED"
    assert lab.wait(second, "QUEUED")["status"] == "QUEUED"
    lab.client("braket").cancel_job(jobArn=first)
    lab.wait(second, "RUNNING")
    lab.client("braket").cancel_job(jobArn=second)


def test_an_unknown_image_fails_with_a_reason_that_names_what_is_known(lab: Lab) -> None:
    image = {"uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:latest"}
    job = lab.run("see", algorithmSpecification={"containerImage": image})
    assert job["status"] == "FAILED"
    assert "mine:latest is not known" in job["failureReason"]
    assert "lab-worker" in job["failureReason"]


def test_the_worker_image_may_be_in_any_account_and_region(lab: Lab) -> None:
    image = {"uri": "123456789012.dkr.ecr.eu-west-2.amazonaws.com/lab-worker:other"}
    job = lab.run("see", algorithmSpecification={"containerImage": image})
    assert job["status"] == "COMPLETED"


def test_logs_arrive_line_by_line_while_the_job_runs(lab: Lab) -> None:
    arn = lab.create("talk")
    job = lab.wait(arn, "RUNNING")
    eventually(lambda: "line 1" in lab.lines(job))
    assert lab.client("braket").get_job(jobArn=arn)["status"] == "RUNNING"
    lab.wait(arn)
    lines = lab.lines(job)
    assert [line for line in lines if line.startswith("line")] == [f"line {n}" for n in range(4)]
    assert [line for line in lines if line.startswith("err")] == [f"error {n}" for n in range(4)]
    assert lines[-1] == "no end"
    stream = lab.client("logs").describe_log_streams(
        logGroupName="/aws/braket/jobs", logStreamNamePrefix="talk/"
    )["logStreams"][0]["logStreamName"]
    assert stream.startswith(f"talk/{arn.rpartition('/')[2]}/algo-1-")


def test_a_log_read_forward_shows_each_line_once_within_a_second(lab: Lab) -> None:
    arn = lab.create("clock")
    group, prefix = "/aws/braket/jobs", f"clock/{arn.rpartition('/')[2]}/"
    logs = lab.client("logs")
    eventually(lambda: lab.lines(lab.client("braket").get_job(jobArn=arn)))
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)[
        "logStreams"
    ]
    place = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
    told: list[float] = []
    late: list[float] = []
    token: dict[str, str] = {}

    def read() -> bool:
        page = logs.get_log_events(**place, startFromHead=True, **token)
        # The same token again says that there is nothing new, and only that.
        assert (page["nextForwardToken"] == token.get("nextToken")) == (not page["events"])
        token["nextToken"] = page["nextForwardToken"]
        texts = (event["message"] for event in page["events"])
        times = [float(text[5:]) for text in texts if text.startswith("time ")]
        told.extend(times)
        late.extend(time.time() - each for each in times)
        return len(told) == 5

    eventually(read)
    lab.wait(arn)
    read()
    assert told == sorted(set(told))
    assert max(late) < 1, late


def test_long_lines_and_many_lines_are_logged_whole(lab: Lab) -> None:
    job = lab.run("shout")
    assert job["status"] == "COMPLETED"
    uuid = job["jobArn"].rpartition("/")[2]
    logs, sizes, lines = lab.client("logs"), 0, 0
    streams = logs.describe_log_streams(
        logGroupName="/aws/braket/jobs", logStreamNamePrefix=f"shout/{uuid}"
    )["logStreams"]
    token: dict[str, str] = {}
    while True:
        page = logs.get_log_events(
            logGroupName="/aws/braket/jobs",
            logStreamName=streams[0]["logStreamName"],
            startFromHead=True,
            **token,
        )
        if not page["events"]:
            break
        messages = [event["message"] for event in page["events"]]
        sizes += sum(len(message) for message in messages if message.startswith("x"))
        lines += sum(message.startswith("line ") for message in messages)
        token = {"nextToken": page["nextForwardToken"]}
    assert (sizes, lines) == (700_000, 25_000)
