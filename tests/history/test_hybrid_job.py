"""What a job says of itself, and what can be done with it."""

from __future__ import annotations

import io
import pickle
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import tobj
from covalent_braket_plugin.errors import (
    DigestError,
    IntegrityError,
    JobCancelledError,
    JobFailedError,
    JobNotEndedError,
    ResultGoneError,
    SettingError,
    VersionMismatchError,
)
from covalent_braket_plugin.history import HybridJob, values
from covalent_braket_plugin.protocol import Versions
from tests.history.conftest import Account
from tests.support.braket_server import BraketServer


def energy(angle: float) -> dict[str, Any]:
    print(f"angle {angle}")
    return {"energy": angle / 2, "counts": {"00": 60, "11": 40}}


def leaves_files() -> None:
    import os

    from braket.jobs import save_job_result
    from braket.jobs.metrics import log_metric

    for step in range(3):
        log_metric("energy", -step / 2, iteration_number=step)
    save_job_result({"energy": -1.0})
    with open(f"{os.environ['AMZN_BRAKET_JOB_RESULTS_DIR']}/counts.json", "w") as file:
        file.write('{"0": 3, "1": 1}')


def breaks() -> None:
    raise ValueError("not finite")


def until_told(mark: str) -> str:
    for number in range(600):
        if Path(mark).exists():
            break
        print(f"look {number}", flush=True)
        time.sleep(0.1)
    print("told")
    return "done"


@pytest.fixture(scope="module")
def completed(account: Account) -> HybridJob:
    return account.job_of(energy, 1.5)


@pytest.fixture(scope="module")
def failed(account: Account) -> HybridJob:
    return account.job_of(breaks)


def test_a_job_says_what_it_was(account: Account, completed: HybridJob) -> None:
    assert (completed.status, completed.electron, completed.node_id, completed.attempt) == (
        "COMPLETED",
        "energy",
        0,
        1,
    )
    assert completed.instance_type == "ml.m5.large"
    assert completed.billable_seconds
    times = (completed.created_at, completed.started_at, completed.ended_at)
    assert list(times) == sorted(filter(None, times))
    assert completed.console_url.endswith(completed.arn)
    assert "angle 1.5" in list(completed.logs())
    assert completed.traceback() == ""


def test_a_completed_jobs_result_is_what_the_electron_returned(completed: HybridJob) -> None:
    assert completed.result(timeout_sec=0) == {"energy": 0.75, "counts": {"00": 60, "11": 40}}


def test_a_dictionary_is_a_list_of_results(completed: HybridJob) -> None:
    assert [(item.name, item.type) for item in completed.results()] == [
        ("energy", "number"),
        ("counts", "counts"),
    ]
    table = completed.results()[1].frame
    assert table is not None
    assert list(table["state"]) == ["00", "11"]


def test_a_job_that_left_no_files_has_no_artefacts(completed: HybridJob) -> None:
    assert completed.artifact_files() == []
    assert completed.artifacts() == []


def test_what_a_job_left_and_logged_can_be_had(account: Account, tmp_path: Path) -> None:
    job = account.job_of(leaves_files)
    assert job.status == "COMPLETED", job.report() + "\n".join(job.logs())
    assert {file.name for file in job.artifact_files()} == {"counts.json", "results.json"}
    items = {item.name: item for item in job.artifacts()}
    assert items["results.json"].value == {"energy": -1.0}
    assert items["counts.json"].type == "counts"
    assert job.download(tmp_path / "out", "counts.json") == [tmp_path / "out/counts.json"]
    assert list(job.metrics()["value"]) == [0.0, -0.5, -1.0]
    with pytest.raises(IntegrityError, match="raise max_bytes"):
        job.artifacts(max_bytes=10)
    assert job.result_archive().endswith("/job/output/model.tar.gz")
    (tmp_path / "out/counts.json").write_text("mine")
    with pytest.raises(FileExistsError):
        job.download(tmp_path / "out")
    assert not (tmp_path / "out/results.json").exists()
    assert len(job.download(tmp_path / "out", "*.json", overwrite=True)) == 2
    bucket, _, key = job.result_archive().removeprefix("s3://").partition("/")
    account.owner("s3").delete_object(Bucket=bucket, Key=key)
    assert (job.artifact_files(), job.artifacts(), job.result_archive()) == ([], [], "")


def leaves_files_and_breaks() -> None:
    import os
    from pathlib import Path

    folder = Path(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])
    (folder / "energies.csv").write_text("step,energy\n0,-1.0\n")
    (folder / "noise.bin").write_bytes(os.urandom(3_000_000))
    raise ValueError("not finite")


def test_files_of_a_failed_job_come_from_the_worker_whole_if_braket_keeps_none(
    account: Account, tmp_path: Path
) -> None:
    job = account.job_of(leaves_files_and_breaks)
    keys = job.description.keys
    account.owner("s3").delete_object(Bucket=keys.bucket, Key=keys.model_archive)
    assert job.result_archive() == keys.uri(keys.results)
    assert f"Files that it left: 2 (covalent-braket jobs artifacts {job.id[:8]})" in job.report()
    account.server.reset_calls()
    [table] = job.artifacts("energies.csv")
    assert list(table.value["energy"]) == [-1.0]
    assert account.server.calls()["dispatcher"]["s3:GetObject"] == 1, "the archive"
    account.server.faults({"operation": "s3:GetObject", "kind": "truncate", "times": 1})
    job.download(tmp_path)  # goes on where it broke off
    assert (tmp_path / "noise.bin").stat().st_size == 3_000_000
    assert account.server.calls()["dispatcher"]["s3:GetObject"] == 3


def test_a_job_says_what_it_cost(completed: HybridJob) -> None:
    cost = completed.cost()
    assert [part.what for part in cost.parts] == ["ml.m5.large"]
    assert completed.quantum_tasks() == []


def test_a_failed_jobs_result_is_an_error_with_the_report(failed: HybridJob) -> None:
    with pytest.raises(JobFailedError) as raised:
        failed.result(timeout_sec=0)
    assert str(raised.value) == failed.report()
    assert "ValueError: not finite" in failed.report()
    assert failed.arn in failed.report()
    assert 'raise ValueError("not finite")' in failed.traceback()


@pytest.mark.slow
def test_a_running_job_has_no_result_yet_is_followed_and_is_not_deleted(
    account: Account, tmp_path: Path
) -> None:
    job = account.running(until_told, str(tmp_path / "mark"))
    with pytest.raises(JobNotEndedError, match="has not ended: it is RUNNING"):
        job.result(timeout_sec=0)
    with pytest.raises(TimeoutError):
        job.wait(0.1)
    with pytest.raises(JobNotEndedError, match="needs what it has in S3"):
        job.delete()
    lines = job.logs(follow=True)
    while next(lines) != "look 0":
        pass
    assert job.status == "RUNNING"
    (tmp_path / "mark").touch()
    assert "told" in list(lines)
    assert job.status == "COMPLETED"  # nobody had to ask
    assert job.result() == "done"


def test_a_job_is_cancelled_once_and_that_twice_says_so(account: Account, tmp_path: Path) -> None:
    job = account.running(until_told, str(tmp_path / "never"))
    assert job.cancel() is True
    assert job.status == "CANCELLED"
    assert job.cancel() is True
    with pytest.raises(JobCancelledError, match="CANCELLED"):
        job.result()


async def test_a_job_is_cancelled_where_an_event_loop_runs_as_in_notebooks(
    account: Account,
) -> None:
    job = account.history.job(account.make(dispatch_id="d", node_id="0"))
    assert job.cancel() is (job.status == "CANCELLED")


def test_a_job_that_completed_is_not_cancelled_any_more(completed: HybridJob) -> None:
    assert completed.cancel() is False
    assert completed.status == "COMPLETED"


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 257, "what?"])
def test_a_name_that_aws_would_not_take_as_a_tag_is_refused(
    completed: HybridJob, name: str
) -> None:
    with pytest.raises(SettingError, match="a tag's value has 1 to 256"):
        completed.rename(name)


def test_deleting_leaves_no_object_and_the_job_and_twice_finds_nothing(account: Account) -> None:
    job = account.job_of(energy, 1.0)
    deleted = job.delete()
    names = {uri.rpartition("/")[2] for uri in deleted}
    assert {"manifest.json", "outcome.json", "payload.bin", "value-0.tobj"} <= names
    found = account.owner("s3").list_objects_v2(Bucket=deleted[0].split("/")[2])
    assert not [each for each in found.get("Contents", []) if job.dispatch_id in each["Key"]]
    assert job.delete() == []
    assert job.poll() == "COMPLETED"
    with pytest.raises(ResultGoneError, match="keep_payload=True"):
        job.result()


def saves_and_fails() -> None:
    from covalent_braket_plugin import job

    job.checkpoint.save(7)
    raise ValueError("not yet")


@pytest.mark.parametrize("key", [None, "shared"])
def test_deleting_takes_an_electrons_own_checkpoints_and_no_others(
    account: Account, key: str | None
) -> None:
    job = account.job_of(saves_and_fails, checkpoint_key=key)
    assert job.checkpoints == (1, job.description.checkpoints)
    saved = f"{job.checkpoints[1]}/checkpoint.ckpt"
    assert (saved in job.delete()) is (key is None)


def test_deleting_leaves_checkpoints_to_a_later_job_that_has_saved_some(account: Account) -> None:
    job = account.job_of(saves_and_fails)
    bucket, _, folder = job.checkpoints[1].removeprefix("s3://").partition("/")
    newer = {"Bucket": bucket, "Key": f"{folder}/checkpoint.ckpt"}
    time.sleep(1.1)  # S3 tells whole seconds
    account.owner("s3").put_object(**newer, Body=b"of a job that goes on from here")
    assert not [uri for uri in job.delete() if "/checkpoints/" in uri]
    assert account.owner("s3").head_object(**newer)


def test_a_log_is_read_although_the_service_throttles(
    completed: HybridJob, local_braket: BraketServer
) -> None:
    # botocore itself asks three times.
    local_braket.faults({"operation": "logs:GetLogEvents", "kind": "throttle", "times": 4})
    assert "angle 1.5" in list(completed.logs())


def test_a_value_that_was_changed_in_s3_is_not_loaded(account: Account) -> None:
    job = account.job_of(energy, 1.0)
    keys = job.description.keys
    file = {"Bucket": keys.bucket, "Key": keys.value(0)}
    s3 = account.owner("s3")
    data = s3.get_object(**file)["Body"].read()
    s3.put_object(**file, Body=data[:-4] + b"AAAA")
    with pytest.raises(DigestError, match="is not used"):
        job.result()


def test_a_value_of_another_python_is_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "value.tobj"
    with file.open("wb") as target:
        pickled = io.BytesIO(pickle.dumps(1))
        tobj.write(target, pickled, text="1", name="", versions=Versions("3.9.1", "2.2.1"))
    with pytest.raises(VersionMismatchError, match=r"pickled by Python 3\.9\.1"):
        values.load(file, "energy-0-1")


def test_a_job_that_points_elsewhere_deletes_nothing(account: Account) -> None:
    dispatch_id = str(uuid.uuid4())
    elsewhere = "s3://somebody-elses/covalent/all/manifest.json"
    arn = account.make(
        "odd-0-1",
        hyperparameters={"covalent_manifest": elsewhere},
        dispatch_id=dispatch_id,
        node_id="0",
    )
    job = account.history.job(arn)
    job.wait(20)
    with pytest.raises(IntegrityError, match="nothing is deleted"):
        job.delete()
