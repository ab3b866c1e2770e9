"""A local Braket whose worker is a program of the tests."""

from __future__ import annotations

import contextlib
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
        """What the job's program showed; its process ids as this process knows them."""

        def look() -> dict[str, Any] | None:
            lines = [line for line in self.lines(job) if line.startswith("SHOW ")]
            return json.loads(lines[0].removeprefix("SHOW ")) if lines else None

        shown = eventually(look)
        pids = {name: shown[name] for name in ("pid", "child") if name in shown}
        known = host_pids(job) if pids else {}
        return shown | {name: known.get(pid, 0) for name, pid in pids.items()}

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


def host_pids(job: dict[str, Any]) -> dict[int, int]:
    """The processes of a job: their ids in its own namespace, and here."""
    mark = job["jobArn"].rpartition("/")[2].encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes() and alive(int(entry.name)):
                status = (entry / "status").read_text()
                inner = next(line for line in status.splitlines() if line.startswith("NSpid"))
                found[int(inner.split()[-1])] = int(entry.name)
    return found
