"""What is made of what a job left, where that is not as a worker of ours leaves it: a real S3."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import collecting, failure, pipeline
from covalent_braket_plugin.collecting import Collected
from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.protocol import (
    HP_MANIFEST,
    ErrorData,
    Keys,
    NodeOutcome,
    Outcome,
    Stream,
    Task,
)
from tests.support.braket_server import BraketServer

ARN = "arn:aws:braket:us-east-1:000000000000:job/none"
VALUE = b"a value, pickled"


@dataclass
class Left:
    """What a job left at its keys, and what is made of it."""

    s3: Any
    keys: Keys
    place: Path

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.keys.bucket, Key=key, Body=body)

    def there(self, key: str) -> bool:
        found = self.s3.list_objects_v2(Bucket=self.keys.bucket, Prefix=key)
        return bool(found["KeyCount"])

    def outcome(self, **changes: Any) -> Outcome:
        digest = hashlib.sha256(VALUE).hexdigest()
        key = self.keys.value(3)
        node = NodeOutcome(3, "completed", key, len(VALUE), digest, "f")
        return Outcome(**{"status": "completed", "nodes": [node], "main_node": 3, **changes})

    def all(self) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.keys.bucket, Prefix=self.keys.base)
        return [each["Key"] for each in found.get("Contents", [])]

    def context(self) -> pipeline.Context:
        return pipeline.context({"local": True}, {}, os.environ, may_start=False)

    def job(self, status: str, made: datetime | None = None) -> Job:
        manifest = {HP_MANIFEST: self.keys.uri(self.keys.manifest)}
        return Job(arn=ARN, name="f-1", status=status, hyperparameters=manifest, created_at=made)

    def collect(
        self,
        status: str = "COMPLETED",
        *nodes: int,
        made: datetime | None = None,
        **more: Any,
    ) -> Collected:
        ctx, job = self.context(), self.job(status, made)
        found = collecting.collect(ctx, job, "f", self.place, nodes=nodes, **more)
        collecting.clear(ctx, found, nodes)
        return found

    def refused(self, status: str = "COMPLETED", *nodes: int) -> str:
        """The error's text; nothing of what was left may have been used."""
        found = self.collect(status, *nodes)
        assert (found.kind, found.values) == ("infrastructure", {})
        text = found.texts_of(3).error
        assert text is not None
        return text.read_text()


@pytest.fixture
def left(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Left:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    keys = Keys.of(local_braket.info["bucket"], "", Task(str(uuid.uuid4()), 3))
    return Left(local_braket.client("s3"), keys, tmp_path)


def test_whole_outcome_is_taken_and_only_the_record_stays_behind(left: Left) -> None:
    long = Stream(key=left.keys.stream("stdout"), size=5)
    for key in (left.keys.payload, left.keys.manifest, left.keys.source, long.key):
        left.put(key, b"bytes")
    left.put(left.keys.value(3), VALUE)
    left.put(left.keys.outcome, left.outcome(stdout=long).to_json())
    found = left.collect()
    assert (found.kind, found.values[3].read_bytes()) == ("", VALUE)
    assert left.all() == [left.keys.outcome, left.keys.stream("stdout")]


def test_record_of_a_value_that_was_brought_back_is_no_value(left: Left) -> None:
    left.put(left.keys.value(3), VALUE)
    left.put(left.keys.outcome, left.outcome().to_json())
    left.collect()
    assert "was brought back before" in left.refused()


def test_outcome_that_is_older_than_the_job_is_the_record_of_another(left: Left) -> None:
    left.put(left.keys.outcome, left.outcome().to_json())
    found = left.collect("FAILED", made=datetime.now(UTC) + timedelta(minutes=1))
    assert "left no outcome" in found.summary
    found = left.collect("FAILED", made=datetime.now(UTC) - timedelta(minutes=1))
    assert "was brought back before" in found.summary


def test_failure_can_be_told_again_from_the_service_in_the_same_words(left: Left) -> None:
    error = ErrorData("ValueError", "no", 'File "f.py"', phase="electron", node_id=3, name="f")
    failed = left.outcome(status="failed", nodes=[NodeOutcome(3, "failed", name="f")], error=error)
    left.put(left.keys.outcome, failed.to_json())
    text = left.collect("FAILED").texts_of(3).error
    assert text is not None
    outcome, problem = collecting.left(left.context(), left.job("FAILED"))
    assert failure.report(left.job("FAILED"), outcome, problem=problem) == text.read_text()


def test_outcome_counts_even_if_its_job_failed_afterwards(left: Left) -> None:
    left.put(left.keys.value(3), VALUE)
    left.put(left.keys.outcome, left.outcome().to_json())
    assert list(left.collect("FAILED").values) == [3]


@pytest.mark.parametrize("nodes", [(), (3,), (3, 4)])
def test_completed_outcome_without_the_node_is_refused_and_kept(
    left: Left, nodes: tuple[int, ...]
) -> None:
    left.put(left.keys.outcome, left.outcome(nodes=[NodeOutcome(9, "completed", "k")]).to_json())
    text = left.refused("COMPLETED", *nodes)
    assert text.startswith("Integrity: IntegrityError: ")
    assert "nothing about node 3" in text
    assert left.there(left.keys.outcome)


def test_outcome_with_a_field_of_another_type_is_refused_and_kept(left: Left) -> None:
    body = left.outcome().to_json().replace(b'"node_id": 3', b'"node_id": "/../x"')
    left.put(left.keys.outcome, body)
    assert "nodes[0].node_id" in left.refused()
    assert left.there(left.keys.outcome)


def test_outcome_of_another_protocol_is_refused_and_kept(left: Left) -> None:
    newer = {**json.loads(left.outcome().to_json()), "protocol": 99}
    left.put(left.keys.outcome, json.dumps(newer).encode())
    text = left.refused()
    assert text.startswith("Environment: ProtocolError: ")
    assert "same covalent-braket-plugin on both sides" in text
    assert left.there(left.keys.outcome)


def test_outcome_that_cannot_be_decoded_is_refused_and_kept(left: Left) -> None:
    left.put(left.keys.outcome, b"[" * 200_000)
    assert left.refused().startswith("Integrity: IntegrityError: The outcome is not JSON")
    assert left.there(left.keys.outcome)


@pytest.mark.parametrize("what", ["nodes", "stdout", "stderr"])
def test_outcome_that_names_what_is_of_another_task_is_refused(left: Left, what: str) -> None:
    other = f"{left.keys.base.replace('node-3', 'node-4')}/value-3.tobj"
    left.put(other, VALUE)
    left.put(left.keys.value(3), VALUE)
    digest = hashlib.sha256(VALUE).hexdigest()
    node = NodeOutcome(3, "completed", other, len(VALUE), digest, "f")
    changes: dict[str, Any] = {"nodes": [node]} if what == "nodes" else {what: Stream(key=other)}
    left.put(left.keys.outcome, left.outcome(**changes).to_json())
    assert "of another job" in left.refused()
    assert VALUE not in b"".join(file.read_bytes() for file in left.place.iterdir())


def test_value_with_another_byte_is_refused_and_kept(left: Left) -> None:
    left.put(left.keys.value(3), VALUE.upper())
    left.put(left.keys.outcome, left.outcome().to_json())
    assert left.refused().startswith("Integrity: DigestError: The value of node 3")
    assert left.there(left.keys.value(3))


@pytest.mark.parametrize("value", [VALUE[:-1], VALUE + b".", b""])
def test_value_of_another_length_is_refused_and_kept(left: Left, value: bytes) -> None:
    left.put(left.keys.value(3), value)
    left.put(left.keys.outcome, left.outcome().to_json())
    text = left.refused()
    assert text.startswith("Integrity: TruncatedError: The value of node 3")
    assert f"What is there stays there: {left.keys.uri(left.keys.base)}" in text
    assert left.there(left.keys.value(3))


def test_value_that_is_not_there_any_more_is_said_to_be_missing(left: Left) -> None:
    left.put(left.keys.outcome, left.outcome().to_json())
    text = left.refused()
    assert text.startswith("Integrity: TruncatedError: The value of node 3 is not there")
    assert ARN in text


def test_value_counts_although_what_was_printed_is_lost(left: Left) -> None:
    left.put(left.keys.value(3), VALUE)
    stdout = Stream(key=left.keys.stream("stdout"))
    left.put(left.keys.outcome, left.outcome(stdout=stdout).to_json())
    found = left.collect()
    assert (found.kind, found.values[3].read_bytes()) == ("", VALUE)
    text = found.texts_of(3).stdout
    assert text is not None
    assert "could not be read" in text.read_text()


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
def test_job_that_left_nothing_is_said_to_have_left_nothing(left: Left, status: str) -> None:
    left.put(left.keys.payload, b"payload")
    text = left.refused(status)
    assert text.startswith("Infrastructure: f() left no outcome, and its job ended " + status)
    assert not left.there(left.keys.payload)


def test_value_without_its_commit_mark_is_not_used_and_kept(left: Left) -> None:
    left.put(left.keys.value(3), VALUE)
    assert left.refused("FAILED").startswith("Integrity: UncommittedError: f() left no outcome")
    assert left.there(left.keys.value(3))


def test_cancelled_job_may_leave_nothing(left: Left) -> None:
    found = left.collect("CANCELLED")
    assert (found.kind, found.cancelled) == ("cancelled", True)


def test_what_became_of_earlier_attempts_stands_below_stderr(left: Left) -> None:
    left.keys = left.keys.of_attempt(2)
    left.put(left.keys.value(3), VALUE)
    left.put(left.keys.outcome, left.outcome(stderr=Stream("own words\n")).to_json())
    found = left.collect(history=["Attempt 1 of 2 failed"])
    stderr = found.texts_of(3).stderr
    assert stderr is not None
    assert stderr.read_text() == "own words\nAttempt 1 of 2 failed\n"
