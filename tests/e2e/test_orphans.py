"""Jobs that nobody waits for, found and cancelled on a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import covalent as ct
import pytest

from tests.support.braket_server import eventually
from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# A QPU runs one job at a time: what is made after the first one stays queued.
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
REGION = "eu-north-1"


def when_told(mark: str) -> None:
    while not Path(mark).exists():
        time.sleep(0.1)


def dispatch(stage: Stage, mark: Path) -> str:
    @ct.lattice
    def flow(mark: str) -> Any:
        executor = ct.executor.BraketExecutor(local=True, quantum_device=GARNET)
        return ct.electron(when_told, executor=executor)(mark)

    return stage.dispatch(flow, str(mark))


def job_like(stage: Stage, dispatch_id: str | None, attempt: int) -> str:
    """Make a job that looks like one of ours, or like a stranger's."""
    name = f"lost-{uuid.uuid4().hex[:8]}-0-{attempt}"
    tags = {"covalent:dispatch_id": dispatch_id, "covalent:node_id": "0"} if dispatch_id else {}
    request = stage.braket.job_request(name, deviceConfig={"device": GARNET}, tags=tags)
    return str(stage.braket.client("braket", REGION).create_job(**request)["jobArn"])


def orphans(stage: Stage, *arguments: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "covalent_braket_plugin.cli", "jobs", "orphans", "--json"]
    settings = ["--set", "local=yes", "--set", f"quantum_device={GARNET}"]
    done = subprocess.run(
        [*command, *settings, *arguments],
        env=stage.server.environment(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {row["job"]: row for row in json.loads(done.stdout)}


def test_only_jobs_that_nobody_waits_for_are_cancelled_and_those_of_others_only_if_asked(
    stage: Stage, tmp_path: Path
) -> None:
    there, later = tmp_path / "there", tmp_path / "later"
    there.touch()
    ended = dispatch(stage, there)
    stage.result(ended)
    running = dispatch(stage, later)
    (waited_for,) = eventually(lambda: stage.jobs_of(running, REGION), 60)
    stage.braket.wait(waited_for["jobArn"], "RUNNING")
    lost, earlier = job_like(stage, ended, 2), job_like(stage, running, 0)
    others, strangers = job_like(stage, str(uuid.uuid4()), 1), job_like(stage, None, 1)

    found = orphans(stage)
    assert set(found) == {lost, earlier, others}
    assert {row["result"] for row in found.values()} == {None}
    assert found[lost]["why"] == "its dispatch is COMPLETED"
    assert found[earlier]["why"] == "a later attempt of its electron was made"

    done = orphans(stage, "--cancel")
    assert {arn: row["result"] for arn, row in done.items()} == {
        lost: "cancelled",
        earlier: "cancelled",
        others: None,
    }
    assert set(orphans(stage, "--cancel", "--all")) == {others}
    later.touch()
    assert str(stage.result(running).status) == "COMPLETED"
    for arn in (lost, earlier, others):
        stage.braket.wait(arn, "CANCELLED")
    assert stage.braket.wait(strangers)["status"] == "FAILED"  # it ran, and was not ours
