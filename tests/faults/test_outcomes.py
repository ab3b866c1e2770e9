"""What a job left is damaged, incomplete, foreign or missing: nothing of it is used."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import cloudpickle
import pytest

from covalent_braket_plugin.protocol import HP_MANIFEST, Keys, NodeOutcome, Outcome
from tests.support.bad_line import ANSWER, BadLine, Ended, answering, waiting
from tests.support.braket_server import BraketServer

pytestmark = pytest.mark.e2e
cloudpickle.register_pickle_by_value(sys.modules[__name__])

FORBIDDEN = "ml.p3.2xlarge"
"""Its quota is zero in a new account."""
VALUE = "KEY-OF-THE-VALUE"


def killing_its_worker(runs: str, release: str) -> None:
    """Wait, then end as a container that is killed."""
    waiting(runs, release)
    os.kill(os.getppid(), signal.SIGKILL)


def killed(line: BadLine, place: Path, *objects: tuple[str, bytes]) -> Ended:
    """Run a job that is killed and leaves these objects: attributes of `Keys`, and bytes.

    In the bytes `VALUE` stands for the key of the value.
    """
    args = str(place / "runs"), str(place / "release")
    dispatch_id = line.start(killing_its_worker, *args)
    line.until_it_runs(place)
    job = line.stage.job(line.stage.jobs_of(dispatch_id)[0]["jobArn"])
    keys = Keys.from_manifest_uri(job["hyperParameters"][HP_MANIFEST])
    for name, body in objects:
        key = keys.value(0) if name == "value" else getattr(keys, name)
        body = body.replace(VALUE.encode(), keys.value(0).encode())
        line.stage.braket.client("s3").put_object(Bucket=keys.bucket, Key=key, Body=body)
    (place / "release").touch()
    return line.ended(dispatch_id)


def assert_failed(ended: Ended, *texts: str) -> None:
    assert ended.status == "FAILED"
    assert len(ended.jobs) == 1
    for text in (*texts, ended.jobs[0]["jobArn"]):
        assert text in ended.error


def test_job_without_an_outcome_is_a_failure(line: BadLine, place: Path) -> None:
    assert_failed(killed(line, place), "left no outcome")


def test_value_without_a_commit_mark_is_not_used(line: BadLine, place: Path) -> None:
    assert_failed(killed(line, place, ("value", b"half of a value")), "commit")


def test_outcome_of_another_protocol_version_is_not_read(line: BadLine, place: Path) -> None:
    foreign = json.dumps({"protocol": 99, "status": "completed"}).encode()
    assert_failed(killed(line, place, ("outcome", foreign)), "protocol", "99")


def test_value_that_is_shorter_than_the_outcome_says_is_not_used(
    line: BadLine, place: Path
) -> None:
    node = NodeOutcome(0, "completed", key=VALUE, size=1000, sha256="0" * 64)
    outcome = Outcome("completed", [node], main_node=0).to_json()
    ended = killed(line, place, ("value", b"x" * 500), ("outcome", outcome))
    assert_failed(ended, "has 500 bytes", "says 1000")
    assert ended.left != []  # it was paid for: it stays where it is


def test_value_with_a_flipped_byte_is_not_used(line: BadLine) -> None:
    flip_stored(line, "job")
    ended = line.ended(line.start(answering))
    assert_failed(ended, "DigestError", "checksum")
    assert ended.left != []


def test_payload_with_a_flipped_byte_is_not_unpickled_in_the_job(
    line: BadLine, place: Path
) -> None:
    flip_stored(line, "dispatcher")
    ended = line.ended(line.start(waiting, str(place / "runs"), str(place / "release")))
    assert_failed(ended, "checksum")
    assert not (place / "runs").exists()


def flip_stored(line: BadLine, caller: str) -> None:
    """Have one byte of the next object changed that S3 stores for the caller."""
    rule = {"operation": "s3:PutObject", "kind": "flip", "where": "request", "caller": caller}
    line.stage.braket.faults(rule)


@pytest.mark.parametrize("kind", ["flip", "truncate"])
def test_result_that_is_damaged_on_the_way_is_read_again(line: BadLine, kind: str) -> None:
    rule = {"operation": "s3:GetObject", "kind": kind, "caller": "dispatcher", "times": 2}
    line.stage.braket.faults(rule)
    ended = line.ended(line.start(answering))
    assert (ended.status, ended.value, len(ended.jobs)) == ("COMPLETED", ANSWER, 1), ended.error
    assert ended.unused == []


def test_instance_type_without_quota_fails_at_once(
    line: BadLine, new_account: BraketServer
) -> None:
    other = {"endpoint_url": new_account.endpoint_url, "classical_device": FORBIDDEN}
    ended = line.ended(line.start(answering, **other))
    assert ended.status == "FAILED"
    assert FORBIDDEN in ended.error
    assert new_account.client("braket").search_jobs(filters=[])["jobs"] == []
