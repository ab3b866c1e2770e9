"""`covalent-braket watch` beside a real server, on a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import covalent as ct
import pytest

from covalent_braket_plugin.job import update_status
from tests.support.braket_server import eventually
from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def released(tmp_path: Path) -> Iterator[Path]:
    """Electrons that wait for this file end with the test at the latest."""
    file = tmp_path / "go"
    yield file
    file.touch()


def waits(go: str) -> str:
    update_status("waiting for its turn")
    print("\x1b[31mhello", flush=True)
    while not os.path.exists(go):
        time.sleep(0.1)
    return "done"


def fails(go: str) -> None:
    waits(go)
    raise ValueError("not finite")


def command(stage: Stage, *arguments: str, home: Path | None = None) -> tuple[list[str], Any]:
    """The command and the environment in which it finds the server."""
    given = [sys.executable, "-m", "covalent_braket_plugin.cli", "watch", *arguments]
    environ = stage.server.environment(os.environ)
    return given, environ if home is None else {**environ, "HOME": str(home)}


def run(stage: Stage, *arguments: str, home: Path | None = None) -> Any:
    given, environ = command(stage, *arguments, home=home)
    return subprocess.run(given, env=environ, capture_output=True, text=True, timeout=60)


def home_of(folder: Path, port: str) -> Path:
    """A home in which Covalent's server is to be at that port."""
    file = folder / port / ".config/covalent/covalent.conf"
    file.parent.mkdir(parents=True)
    file.write_text(f'[dispatcher]\naddress = "127.0.0.1"\nport = {port}\n')
    return folder / port


def flow_of(function: Any, go: Path) -> Any:
    @ct.lattice
    def flow() -> Any:
        return ct.electron(function, executor=ct.executor.BraketExecutor(local=True))(str(go))

    return flow


def test_on_a_terminal_it_shows_a_table_until_the_dispatch_has_ended(
    stage: Stage, released: Path
) -> None:
    dispatch_id = stage.dispatch(flow_of(waits, released))
    given, environ = command(stage, dispatch_id[:8])
    terminal, end = pty.openpty()
    environ |= {"COLUMNS": "160", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(given, env=environ, stdout=end, stderr=end)
    os.close(end)
    shown = b""

    def reads(words: bytes) -> bool:
        nonlocal shown
        shown += os.read(terminal, 65536)
        return words in shown

    eventually(lambda: reads(b"waiting for its turn"), 30)
    eventually(lambda: reads("\N{REPLACEMENT CHARACTER}[31mhello".encode()), 30)
    eventually(lambda: reads(b"cost so far $"), 30)
    released.touch()
    eventually(lambda: reads(b": COMPLETED"), 30)
    assert process.wait(30) == 0
    os.close(terminal)
    assert b"\x1b[31mhello" not in shown


def test_in_a_pipe_it_prints_a_line_for_each_phase_and_exits_as_the_dispatch_ended(
    stage: Stage, released: Path
) -> None:
    dispatch_id = stage.dispatch(flow_of(fails, released))
    given, environ = command(stage)  # the newest one that runs
    process = subprocess.Popen(given, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(re.sub(r"^\d\d:\d\d:\d\d  ", "", line.rstrip()))
        if "says: waiting for its turn" in line:
            released.touch()
    assert process.wait(30) == 1
    assert f"flow {dispatch_id}: RUNNING" in lines
    for phase in ("staging", "waiting", "queued", "running"):
        assert any(line.startswith(f"fails (node 0): {phase}") for line in lines), phase
    assert any(re.match(r"fails \(node 0\): failed: .*not finite", line) for line in lines)
    assert f"flow {dispatch_id}: FAILED" in lines
    documents = [json.loads(line) for line in run(stage, dispatch_id, "--json").stdout.splitlines()]
    assert documents[-1]["status"] == "FAILED"
    assert "not finite" in documents[-1]["electrons"][0]["error"]


def test_ctrl_c_leaves_the_workflow_running_and_says_so(stage: Stage, released: Path) -> None:
    dispatch_id = stage.dispatch(flow_of(waits, released))
    given, environ = command(stage, dispatch_id, "--plain")
    process = subprocess.Popen(
        given, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "The workflow goes on." in said
    released.touch()
    assert stage.result(dispatch_id).result == "done"


def test_mistakes_are_named_with_what_helps(stage: Stage, tmp_path: Path) -> None:
    unknown = run(stage, str(uuid.uuid4()))
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "There is no dispatch" in unknown.stderr
    assert "No dispatch whose id begins with 'zz'" in run(stage, "zz").stderr
    silent = run(stage, home=home_of(tmp_path, "1"))
    assert (silent.returncode, silent.stdout) == (1, "")
    assert "Covalent's server does not answer at http://127.0.0.1:1 " in silent.stderr
    assert "covalent start" in silent.stderr
    # Something else answers there, such as a server with `repair_ui` off.
    other = run(stage, home=home_of(tmp_path, stage.braket.endpoint_url.rpartition(":")[2]))
    assert other.returncode == 1
    assert "repair_ui" in other.stderr
