"""One electron of one dispatch, run by the executor on a real local Braket."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covalent_braket_plugin.braket import BraketExecutor
from tests.support.braket_server import BraketServer


@dataclass
class OneElectron:
    """Runs functions as the electron of one dispatch."""

    server: BraketServer
    place: Path

    def __post_init__(self) -> None:
        self.dispatch_id = str(uuid.uuid4())

    def executor(self, **settings: Any) -> BraketExecutor:
        made = BraketExecutor(local=True, cache_dir=str(self.place / "cache"), **settings)
        made._task_stdout, made._task_stderr = io.StringIO(), io.StringIO()
        return made

    async def run(self, executor: BraketExecutor, function: Callable[..., Any], *args: Any) -> Any:
        metadata = {"dispatch_id": self.dispatch_id, "node_id": 7}
        return await executor.run(function, [str(self.place / "runs"), *args], {}, metadata)

    @property
    def runs(self) -> int:
        """How often the function was begun."""
        file = self.place / "runs"
        return len(file.read_text()) if file.exists() else 0

    def jobs(self) -> list[dict[str, Any]]:
        """The dispatch's jobs, by name."""
        found = self.server.client("braket").search_jobs(filters=[])["jobs"]
        ours = [job for job in found if job["tags"].get("covalent:dispatch_id") == self.dispatch_id]
        return sorted(ours, key=lambda job: str(job["jobName"]))

    def left(self) -> list[str]:
        """What the dispatch has in S3."""
        found = self.server.client("s3").list_objects_v2(Bucket=self.server.info["bucket"])
        return [o["Key"] for o in found.get("Contents", []) if self.dispatch_id in o["Key"]]


def begin(file: str) -> int:
    """Note that a run has begun; returns which one it is."""
    with open(file, "a") as runs:
        runs.write("x")
    return os.stat(file).st_size
