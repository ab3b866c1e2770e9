"""The stage of the end-to-end tests: a real Covalent server and a real local Braket."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

import boto3
import covalent as ct
import psutil
from demo_server import DemoServer


@dataclass(frozen=True)
class Stage:
    """The server and the local Braket of the tests."""

    server: DemoServer
    url: str
    braket: dict[str, Any]

    def dispatch(self, workflow: Any, *args: Any, **kwargs: Any) -> str:
        """Start a workflow."""
        return str(ct.dispatch(workflow, dispatcher_addr=self.url)(*args, **kwargs))

    def result(self, dispatch_id: str) -> Any:
        """Wait for a workflow."""
        return ct.get_result(dispatch_id, wait=True, dispatcher_addr=self.url)

    def run(self, workflow: Any, *args: Any, **kwargs: Any) -> Any:
        """Start a workflow and wait for it."""
        return self.result(self.dispatch(workflow, *args, **kwargs))

    def client(self, service: str) -> Any:
        """A client of the local Braket."""
        return boto3.client(
            service,
            region_name=self.braket["region"],
            endpoint_url=self.braket["endpoint_url"],
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

    def jobs_of(self, dispatch_id: str) -> list[dict[str, Any]]:
        """All jobs of a workflow, oldest first."""
        found = self.client("braket").search_jobs(filters=[])["jobs"]
        tagged = [job for job in found if _dispatch_of(job) == dispatch_id]
        return sorted(tagged, key=lambda job: str(job["createdAt"]))

    def job(self, arn: str) -> dict[str, Any]:
        """A job as GetJob gives it."""
        return dict(self.client("braket").get_job(jobArn=arn))

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the local Braket's control interface."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.braket['endpoint_url']}/_local/{path}"
        asked = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def server_process(self) -> psutil.Process:
        """The Covalent server's process."""
        state = json.loads((self.server.folder / "covalent-server.json").read_text())
        return psutil.Process(state["pid"])


def _dispatch_of(job: dict[str, Any]) -> str | None:
    tag = job.get("tags", {}).get("covalent:dispatch_id")
    return str(tag) if tag else None
