"""The container's program as a real process, with the local Braket's S3 behind a real socket."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import direct, packing
from covalent_braket_plugin.protocol import (
    HP_MANIFEST,
    HP_MANIFEST_SHA256,
    Keys,
    Manifest,
    Outcome,
    Task,
)
from tests.support.braket_server import BraketServer

WORKER = (sys.executable, "-m", "covalent_braket_plugin.worker")


@dataclass
class Container:
    """What SageMaker would have laid out for one job."""

    root: Path
    keys: Keys
    s3: Any
    environment: dict[str, str]
    program: Sequence[str] = WORKER
    directory: Path | None = None

    def start(self, *arguments: str, own_group: bool = False) -> subprocess.Popen[str]:
        """Start the worker."""
        return subprocess.Popen(
            [*self.program, *arguments],
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0 if own_group else None,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the worker to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def outcome(self) -> Outcome:
        """What it left."""
        got = self.s3.get_object(Bucket=self.keys.bucket, Key=self.keys.outcome)
        return Outcome.from_json(got["Body"].read())

    def failure(self) -> str:
        """The reason for Braket."""
        return (self.root / "output/failure").read_text()

    def left(self) -> set[str]:
        """Names of the task's objects."""
        listed = self.s3.list_objects_v2(Bucket=self.keys.bucket, Prefix=self.keys.base)
        return {item["Key"].rpartition("/")[2] for item in listed.get("Contents", [])}

    def give(self, hyperparameters: dict[str, str]) -> None:
        """Write the hyperparameter file."""
        path = self.root / "input/config/hyperparameters.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(hyperparameters))


Make = Callable[..., Container]


@pytest.fixture
def container(local_braket: BraketServer, tmp_path: Path) -> Make:
    """Stage a call of a function for a container."""

    def make(
        function: Callable[..., Any],
        *args: Any,
        edit: Callable[[Manifest], Manifest] = lambda manifest: manifest,
        hooks: Any = None,
    ) -> Container:
        place = tmp_path / "place"
        group = direct.stage(function, args, {}, {"dispatch_id": "d", "node_id": 0}, place)
        if hooks is not None:
            file = tmp_path / "hooks.json"
            file.write_text(json.dumps(hooks, default=lambda hook: hook.to_dict()))
            group = replace(group, electrons=[replace(group.main, hooks=file)])
        manifest = edit(packing.build(group, place / "payload.bin"))
        keys = Keys.of(local_braket.info["bucket"], str(tmp_path), Task("d", 0))
        s3 = local_braket.client("s3")
        s3.upload_file(str(place / "payload.bin"), keys.bucket, keys.payload)
        body = manifest.to_json()
        s3.put_object(Bucket=keys.bucket, Key=keys.manifest, Body=body)
        root = tmp_path / "ml"
        (root / "model").mkdir(parents=True)
        made = Container(root, keys, s3, _environment(local_braket, root))
        digest = hashlib.sha256(body).hexdigest()
        made.give({HP_MANIFEST: keys.uri(keys.manifest), HP_MANIFEST_SHA256: digest})
        return made

    return make


def _environment(server: BraketServer, root: Path) -> dict[str, str]:
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AMZN_BRAKET_HP_FILE": str(root / "input/config/hyperparameters.json"),
        "AMZN_BRAKET_JOB_RESULTS_DIR": str(root / "model"),
    }
