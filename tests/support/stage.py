"""The stage of the end-to-end tests: a real Covalent server and a real local Braket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import covalent as ct
import psutil
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.support.braket_server import BraketServer


def command(server: DemoServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``covalent-braket`` as somebody who uses a server."""
    return subprocess.run(
        [sys.executable, "-m", "covalent_braket_plugin.cli", *arguments],
        env=server.environment(os.environ),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@dataclass(frozen=True)
class Stage:
    """The server and the local Braket of the tests."""

    server: DemoServer
    url: str
    braket: BraketServer

    @classmethod
    @contextmanager
    def started(cls, folder: Path, **options: Any) -> Iterator[Self]:
        """Start both in a folder, the local Braket with these options; end both afterwards."""
        server = DemoServer(folder)
        braket = BraketServer.started(
            server.local_braket,
            local_endpoint.worker_command(),
            local_endpoint.worker_image(),
            **options,
        )
        try:
            yield cls(server, server.find_or_start(), braket)
        finally:
            server.stop()
            braket.stop()

    def dispatch(self, workflow: Any, *args: Any, **kwargs: Any) -> str:
        """Start a workflow."""
        return str(ct.dispatch(workflow, dispatcher_addr=self.url)(*args, **kwargs))

    def result(self, dispatch_id: str) -> Any:
        """Wait for a workflow."""
        return ct.get_result(dispatch_id, wait=True, dispatcher_addr=self.url)

    def run(self, workflow: Any, *args: Any, **kwargs: Any) -> Any:
        """Start a workflow and wait for it."""
        return self.result(self.dispatch(workflow, *args, **kwargs))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``covalent-braket`` as somebody who uses this server."""
        return command(self.server, *arguments)

    def jobs_of(self, dispatch_id: str, region: str | None = None) -> list[dict[str, Any]]:
        """All jobs of a workflow, oldest first."""
        found = self.braket.client("braket", region).search_jobs(filters=[])["jobs"]
        tagged = [job for job in found if job["tags"].get("covalent:dispatch_id") == dispatch_id]
        return sorted(tagged, key=lambda job: str(job["createdAt"]))

    def job(self, arn: str) -> dict[str, Any]:
        """A job as GetJob gives it."""
        return dict(self.braket.client("braket").get_job(jobArn=arn))

    def objects_of(self, dispatch_id: str) -> list[str]:
        """Keys of all that a workflow has in the local Braket's bucket."""
        pages = self.braket.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.braket.info["bucket"])
        keys = [each["Key"] for page in found for each in page.get("Contents", [])]
        return [key for key in keys if dispatch_id in key]

    def server_process(self) -> psutil.Process:
        """The Covalent server's process."""
        state = json.loads((self.server.folder / "covalent-server.json").read_text())
        return psutil.Process(state["pid"])

    def configure(self, **settings: str) -> None:
        """Set what the server finds under [executors.braket]; the values are TOML.

        The server keeps in memory what has left the file, so that it must be told "" instead.
        """
        path = self.server.folder / "home/.config/covalent/covalent.conf"
        lines = path.read_text().splitlines()
        start = lines.index("[executors.braket]") + 1
        end = next((i for i in range(start, len(lines)) if lines[i].startswith("[")), len(lines))
        before = {line.partition(" =")[0] for line in lines[start:end] if " =" in line}
        unset = dict.fromkeys(before, '""')
        body = [f"{name} = {value}" for name, value in {**unset, **settings}.items()]
        path.write_text("\n".join([*lines[:start], *body, "", *lines[end:], ""]))
