"""Result files of electrons that did not complete: the worker keeps them itself."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import time
from pathlib import Path

import pytest

from covalent_braket_plugin.protocol import ResultFile
from tests.worker.conftest import Container, Make


def writes_and(then: str) -> None:
    folder = Path(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])
    (folder / "deep").mkdir()
    (folder / "deep/energies.csv").write_text("step,energy\n0,-1.0\n")
    (folder / "large.bin").write_bytes(os.urandom(3_000_000))
    print("written", flush=True)
    if then == "fails":
        raise ValueError("not finite")
    if then == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    while then == "is told to stop":
        time.sleep(0.05)


def kept(job: Container) -> dict[str, int]:
    """Sizes of the files that the worker kept, by name."""
    body = job.s3.get_object(Bucket=job.keys.bucket, Key=job.keys.results)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        return {member.name: member.size for member in tar}


@pytest.mark.parametrize("then", ["fails", "is killed", "is told to stop"])
def test_files_of_an_electron_are_kept_after_its_outcome_however_it_ends(
    container: Make, then: str
) -> None:
    job = container(writes_and, then)
    process = job.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    if then == "is told to stop":
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert kept(job) == {"deep/energies.csv": 19, "large.bin": 3_000_000}
    outcome = job.outcome()
    assert outcome.status == ("terminated" if then == "is told to stop" else "failed")
    assert outcome.result_files == 2
    assert outcome.files == [
        ResultFile("large.bin", 3_000_000),
        ResultFile("deep/energies.csv", 19),
    ]
    objects = job.s3.list_objects_v2(Bucket=job.keys.bucket, Prefix=job.keys.base)["Contents"]
    written = {item["Key"]: item["LastModified"] for item in objects}
    assert written[job.keys.outcome] <= written[job.keys.results]


def test_files_of_an_electron_that_completed_are_left_to_braket(container: Make) -> None:
    job = container(writes_and, "returns")
    assert job.run()[0] == 0
    assert job.outcome().result_files == 2
    assert "results.tar.gz" not in job.left()


def leaves_what_cannot_be_packed() -> None:
    folder = Path(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])
    (folder / "ours").write_text("x")
    (folder / "memory").symlink_to("/proc/self/mem")
    os.mkfifo(folder / "pipe")
    raise ValueError("not finite")


def test_what_is_no_file_does_not_keep_files_from_being_kept(container: Make) -> None:
    job = container(leaves_what_cannot_be_packed)
    assert job.run()[0] == 1
    assert kept(job)["ours"] == 1
    assert job.outcome().files == [ResultFile("ours", 1)]
