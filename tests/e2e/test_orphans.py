"""Jobs that nobody waits for, found and cancelled on a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
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
        executor = ct.executor.BraketExecutor(local=True, quantum_device=GARNET, max_cost=None)
        return ct.electron(when_told, executor=executor)(mark)

    return stage.dispatch(flow, str(mark))


def job_like(stage: Stage, dispatch_id: str | None, attempt: int) -> str:
    """Make a job that looks like one of ours, or like a stranger's."""
    name = f"lost-{uuid.uuid4().hex[:8]}-0-{attempt}"
    tags = {"covalent:dispatch_id": dispatch_id, "covalent:node_id": "0"} if dispatch_id else {}
    request = stage.braket.job_request(name, deviceConfig={"device": GARNET}, tags=tags)
    return str(stage.braket.client("braket", REGION).create_job(**request)["jobArn"])


def orphans(
    stage: Stage, *arguments: str, where: str = f"local=yes quantum_device={GARNET}"
) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "covalent_braket_plugin.cli", "jobs", "orphans", "--json"]
    settings = [f"--set={setting}" for setting in where.split()]
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


@contextmanager
def held_up(stage: Stage, meanwhile: Callable[[], object]) -> Iterator[str]:
    """A way to the local Braket on which the first answer is held back while something happens."""
    held: list[str] = []

    class Way(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            url = f"{stage.braket.endpoint_url}{self.path}"
            with urllib.request.urlopen(
                urllib.request.Request(url, body, dict(self.headers), method="POST")
            ) as answer:
                content = answer.read()
            if not held:
                held.append(self.path)
                meanwhile()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Way) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_job_that_ends_while_it_is_looked_for_is_no_orphan_and_no_role_or_image_is_needed(
    stage: Stage, tmp_path: Path
) -> None:
    later, credentials = tmp_path / "later", tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = x\naws_secret_access_key = x\n")
    running = dispatch(stage, later)
    (job,) = eventually(lambda: stage.jobs_of(running, REGION), 60)
    stage.braket.wait(job["jobArn"], "RUNNING")

    def end() -> None:
        later.touch()
        stage.result(running)

    with held_up(stage, end) as url:
        where = f"endpoint_url={url} region={REGION} credentials={credentials}"
        assert orphans(stage, where=where) == {}


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
