"""The directory of one job: what would be the file system of its container.

The layout under ``opt/ml`` is SageMaker's, which Braket runs jobs on: ``code``, ``input/config``,
``input/data/<channel>``, ``model``, ``output`` and ``output/data``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covalent_braket_plugin.local.jobs.job import Job

__all__ = ["JobTree"]

HOST = "algo-1"
_DIRECTORIES = ("code", "input/config", "input/data", "model", "output/data")


@dataclass(frozen=True)
class JobTree:
    """Paths of a job's directory.

    Attributes:
        root: The directory; everything of the job is under it.
    """

    root: Path

    @property
    def ml(self) -> Path:
        """What the job sees as ``/opt/ml``."""
        return self.root / "opt" / "ml"

    @property
    def braket(self) -> Path:
        """What the job sees as ``/opt/braket`` where it has no mount namespace of its own."""
        return self.root / "opt" / "braket"

    @property
    def home(self) -> Path:
        """The job's home directory."""
        return self.root / "home"

    @property
    def log(self) -> Path:
        """Its stdout and stderr."""
        return self.root / "log.txt"

    @property
    def container(self) -> Path:
        """What the launcher of its container is told, if it runs in one."""
        return self.root / "container.json"

    @property
    def model(self) -> Path:
        """Results; become ``model.tar.gz``."""
        return self.ml / "model"

    @property
    def output_data(self) -> Path:
        """Further output; becomes ``output.tar.gz``."""
        return self.ml / "output" / "data"

    @property
    def failure(self) -> Path:
        """Where the program writes why it failed."""
        return self.ml / "output" / "failure"

    @property
    def staging(self) -> Path:
        """A file of the local Braket's own, for what is about to be uploaded."""
        return self.root / "staged"

    def channel(self, name: str) -> Path:
        """Directory of an input channel."""
        return self.ml / "input" / "data" / name

    def checkpoints(self, local_path: str) -> Path:
        """Where checkpoints with this local path are kept."""
        inside = local_path.removeprefix("/opt/braket/")
        if inside != local_path:
            return self.ml / inside.strip("/")
        return self.root / "checkpoints" / local_path.strip("/")

    def make(self, job: Job) -> None:
        """Make the directories and the configuration files."""
        for name in _DIRECTORIES:
            (self.ml / name).mkdir(parents=True, exist_ok=True)
        self.home.mkdir()
        if job.checkpoint is not None:
            self.checkpoints(job.checkpoint[1]).mkdir(parents=True, exist_ok=True)
        config = self.ml / "input" / "config"
        for name, content in _configuration(job).items():
            (config / f"{name}.json").write_text(json.dumps(content))

    def checkpoint_mount(self, job: Job) -> tuple[str, str] | None:
        """(directory, path that the job shall see it at) of its checkpoints, if it keeps any."""
        if job.checkpoint is None:
            return None
        return str(self.checkpoints(job.checkpoint[1])), job.checkpoint[1]

    def failure_text(self, limit: int) -> str:
        """What the program wrote to its failure file, at most so many characters."""
        try:
            with self.failure.open(encoding="utf-8", errors="replace") as file:
                return file.read(limit).strip()
        except OSError:
            return ""

    def remove(self) -> None:
        """Remove the directory, also where a job has locked itself out; nothing is raised."""
        # Its own owner may not empty a directory that is not writable.
        for directory, names, _ in os.walk(self.root):
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    with contextlib.suppress(OSError):
                        os.chmod(path, 0o700)
        shutil.rmtree(self.root, ignore_errors=True)


def _configuration(job: Job) -> dict[str, Any]:
    channels = job.request.get("inputDataConfig") or []
    return {
        "hyperparameters": job.request.get("hyperParameters") or {},
        "inputdataconfig": {channel["channelName"]: _channel(channel) for channel in channels},
        "resourceconfig": {
            "current_host": HOST,
            "hosts": [HOST],
            "network_interface_name": "lo",
        },
    }


def _channel(channel: dict[str, Any]) -> dict[str, str]:
    described = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    if channel.get("contentType"):
        described["ContentType"] = channel["contentType"]
    return described
