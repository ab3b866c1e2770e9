"""A place for uploads on a real local Braket, in a bucket of the test's own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import aws
from covalent_braket_plugin.inputs import Target
from covalent_braket_plugin.settings import resolve
from covalent_braket_plugin.storage import Storage
from tests.support.braket_server import BraketServer


@dataclass
class Bench:
    """Local files, and the bucket that they go to."""

    server: BraketServer
    place: Path
    bucket: str = field(default_factory=lambda: f"amazon-braket-{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        keys = self.place / "credentials"
        keys.write_text("[default]\naws_access_key_id = x\naws_secret_access_key = x\n")
        self.settings = {
            "endpoint_url": self.server.endpoint_url,
            "region": self.server.info["region"],
            "credentials": str(keys),
        }
        self.s3 = self.server.client("s3")
        self.s3.create_bucket(Bucket=self.bucket)

    def target(self, **more: Any) -> Target:
        """Where uploads go; each is a process of its own, as far as memory goes."""
        clients = aws.clients_for(resolve(self.settings, {}, {}))
        options = {"prefix": "covalent", "service": uuid.uuid4(), "bucket": self.bucket, **more}
        return Target(Storage(clients), **options)

    def file(self, name: str, data: bytes = b"data") -> Path:
        """Write a local file."""
        path = self.place / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def left(self) -> list[str]:
        """All that is in the bucket."""
        found = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [each["Key"] for each in found]

    def read(self, uri: str) -> bytes:
        """What is at an S3 URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def calls(self) -> dict[str, int]:
        """How often S3 was called by the dispatcher's code, since the last `reset_calls`."""
        found = self.server.calls().get("dispatcher", {})
        return {name.removeprefix("s3:"): n for name, n in found.items() if name[:3] == "s3:"}


@pytest.fixture
def bench(local_braket: BraketServer, tmp_path: Path) -> Bench:
    return Bench(local_braket, tmp_path)
