"""What is made of an outcome that no worker of ours left as it is, on a real S3."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from covalent_braket_plugin import collecting, pipeline
from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.protocol import Keys, NodeOutcome, Outcome, Task
from tests.support.braket_server import BraketServer

ARN = "arn:aws:braket:us-east-1:000000000000:job/none"


@pytest.fixture
def keys(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    return Keys.of(local_braket.info["bucket"], "", Task(str(uuid.uuid4()), 3))


def collect(server: BraketServer, keys: Keys, place: Path, body: bytes, *nodes: int) -> None:
    server.client("s3").put_object(Bucket=keys.bucket, Key=keys.outcome, Body=body)
    ctx = pipeline.context({"local": True}, {}, os.environ, may_start=False)
    collecting.collect(ctx, ARN, "COMPLETED", "f", place, keys, nodes)


@pytest.mark.parametrize("nodes", [(), (3,), (3, 4)])
def test_completed_outcome_without_the_node_is_refused_and_kept(
    local_braket: BraketServer, keys: Keys, tmp_path: Path, nodes: tuple[int, ...]
) -> None:
    body = Outcome("completed", [NodeOutcome(9, "completed", "k")]).to_json()
    with pytest.raises(IntegrityError, match="nothing about node 3"):
        collect(local_braket, keys, tmp_path, body, *nodes)
    s3 = local_braket.client("s3")
    assert s3.get_object(Bucket=keys.bucket, Key=keys.outcome)["Body"].read() == body


def test_outcome_with_a_field_of_another_type_is_refused_and_kept(
    local_braket: BraketServer, keys: Keys, tmp_path: Path
) -> None:
    body = Outcome("completed", [NodeOutcome(3, "completed", "k")]).to_json()
    body = body.replace(b'"node_id": 3', b'"node_id": "/../x"')
    with pytest.raises(IntegrityError, match=r"nodes\[0\]\.node_id"):
        collect(local_braket, keys, tmp_path, body)
    s3 = local_braket.client("s3")
    assert s3.get_object(Bucket=keys.bucket, Key=keys.outcome)["Body"].read() == body
