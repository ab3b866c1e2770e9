"""A local Braket whose worker is a program of the tests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.braket_server import BraketServer, eventually

PROGRAM = Path(__file__).parent / "programs" / "job.py"
IMAGE = "lab-worker:py311-cloudpickle2.2.1"


class Lab(BraketServer):
    """A local Braket with short words for what the tests do most."""

    def create(self, do: str, **changes: Any) -> str:
        """Create a job that does something; returns its ARN."""
        parameters = {"do": do, **changes.pop("parameters", {})}
        changes = {"name": do.replace("_", "-"), **changes}
        request = self.job_request(**changes, hyperParameters=parameters)
        arn: str = self.client("braket").create_job(**request)["jobArn"]
        return arn

    def run(self, do: str, **changes: Any) -> dict[str, Any]:
        """Create a job and wait for its end."""
        return self.wait(self.create(do, **changes))

    def shown(self, job: dict[str, Any]) -> dict[str, Any]:
        """What the job's program showed."""

        def look() -> dict[str, Any] | None:
            lines = [line for line in self.lines(job) if line.startswith("SHOW ")]
            return json.loads(lines[0].removeprefix("SHOW ")) if lines else None

        return eventually(look)

    def lines(self, job: dict[str, Any]) -> list[str]:
        return self.log_lines(f"{job['jobName']}/{job['jobArn'].rpartition('/')[2]}")

    def keys(self, prefix: str) -> list[str]:
        pages = self.client("s3").list_objects_v2(Bucket=self.info["bucket"], Prefix=prefix)
        return [item["Key"] for item in pages.get("Contents", [])]

    def put(self, key: str, body: bytes | str) -> str:
        self.client("s3").put_object(Bucket=self.info["bucket"], Key=key, Body=body)
        return f"s3://{self.info['bucket']}/{key}"

    def get(self, key: str) -> bytes:
        answer = self.client("s3").get_object(Bucket=self.info["bucket"], Key=key)
        body: bytes = answer["Body"].read()
        return body


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Runs the tests' program; three jobs at once, short grace time."""
    os.environ["SECRET_OF_THE_USER"] = "do not tell"
    os.environ["AWS_SESSION_TOKEN"] = "do not tell either"
    try:
        server = Lab.started(
            tmp_path_factory.mktemp("lab"),
            [sys.executable, str(PROGRAM), "train"],
            IMAGE,
            slots=3,
            grace_seconds=1.0,
        )
    finally:
        del os.environ["SECRET_OF_THE_USER"], os.environ["AWS_SESSION_TOKEN"]
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_lab_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "lab" in request.fixturenames:
        server: Lab = request.getfixturevalue("lab")
        server.faults()


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
