"""The daemon: one per state directory, found, replaced when stale, gone when stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from covalent_braket_plugin.errors import LocalBraketError
from covalent_braket_plugin.local import daemon
from covalent_braket_plugin.local.state import StateDir
from tests.local.conftest import IMAGE, PROGRAM, Lab, alive
from tests.support.braket_server import eventually

WORKER = [sys.executable, str(PROGRAM)]


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose server, if one was started, is ended afterwards."""
    yield tmp_path / "state"
    daemon.stop(tmp_path / "state")


def start(state_dir: Path, **options: Any) -> dict[str, Any]:
    return daemon.start(state_dir, worker=WORKER, worker_image=IMAGE, **options)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "covalent_braket_plugin.local", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def test_start_says_where_it_is_and_stop_leaves_nothing(state_dir: Path) -> None:
    info = start(state_dir)
    assert info == json.loads((state_dir / "endpoint.json").read_text())
    assert info["endpoint_url"] == f"http://127.0.0.1:{info['port']}"
    assert info["image_uri"] == f"000000000000.dkr.ecr.us-east-1.amazonaws.com/{IMAGE}"
    assert alive(info["pid"])
    found = daemon.status(state_dir)
    assert found is not None
    assert found["health"]["pid"] == info["pid"]
    assert daemon.stop(state_dir)
    eventually(lambda: not alive(info["pid"]), 2)
    assert not (state_dir / "endpoint.json").exists()
    assert daemon.status(state_dir) is None
    assert not daemon.stop(state_dir)


def test_starting_again_finds_the_one_that_runs(state_dir: Path) -> None:
    assert start(state_dir) == start(state_dir)


def test_starters_at_once_end_with_one_server(state_dir: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: start(state_dir), range(4)))
    assert len({info["pid"] for info in found}) == 1


def test_two_starting_processes_end_with_one_server(state_dir: Path) -> None:
    arguments = ("start", "--json", "--state-dir", str(state_dir))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: command(*arguments), range(2)))
    first, second = (json.loads(item.stdout) for item in done)
    assert first == second


def test_a_file_left_by_a_killed_server_is_replaced(state_dir: Path) -> None:
    dead = start(state_dir)
    os.kill(dead["pid"], signal.SIGKILL)
    eventually(lambda: not alive(dead["pid"]))
    assert daemon.status(state_dir) is None
    assert start(state_dir)["pid"] != dead["pid"]


def test_a_file_that_names_another_program_is_replaced(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.settimeout(0.01)
        state = StateDir(state_dir)
        state.make()
        state.write({"endpoint_url": f"http://127.0.0.1:{port}", "pid": os.getpid()})
        other.close()
        assert start(state_dir)["pid"] != os.getpid()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_broken_file_is_replaced(state_dir: Path, text: str) -> None:
    state_dir.mkdir()
    (state_dir / "endpoint.json").write_text(text)
    assert daemon.status(state_dir) is None
    assert start(state_dir)["pid"]


def test_a_server_that_answers_for_another_is_not_taken_for_it(state_dir: Path, lab: Lab) -> None:
    state = StateDir(state_dir)
    state.make()
    state.write({**lab.info, "pid": os.getpid()})
    assert daemon.status(state_dir) is None


def test_a_server_that_does_not_answer_is_named(state_dir: Path) -> None:
    info = start(state_dir)
    os.kill(info["pid"], signal.SIGSTOP)
    try:
        (state_dir / "endpoint.json").unlink()
        with pytest.raises(LocalBraketError, match=f"process {info['pid']}.*does not answer"):
            start(state_dir)
    finally:
        os.kill(info["pid"], signal.SIGCONT)


def test_a_port_that_is_taken_is_said_with_the_end_of_the_log(state_dir: Path, lab: Lab) -> None:
    with pytest.raises(LocalBraketError, match="Cannot listen on port"):
        start(state_dir, port=lab.info["port"])


def test_a_start_that_takes_too_long_is_ended(state_dir: Path) -> None:
    with pytest.raises(LocalBraketError, match="took over"):
        start(state_dir, timeout=0.05)
    assert StateDir(state_dir).server_pid() is None


def test_it_starts_in_about_two_seconds(state_dir: Path) -> None:
    began = time.monotonic()
    start(state_dir)
    assert time.monotonic() - began < 5


def test_stopping_ends_the_jobs_with_all_their_processes(state_dir: Path) -> None:
    lab = Lab(state_dir, start(state_dir, grace_seconds=0.5))
    shown = lab.shown(lab.wait(lab.create("stubborn"), "RUNNING"))
    assert daemon.stop(state_dir)
    eventually(lambda: not alive(shown["pid"]), 2)
    eventually(lambda: not alive(shown["child"]))
    assert not list((state_dir / "jobs").iterdir())


def test_stopping_ends_calls_that_hang(state_dir: Path) -> None:
    lab = Lab(state_dir, start(state_dir))
    lab.faults({"operation": "SearchJobs", "kind": "hang"})
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(lab.client("braket").search_jobs, filters=[])
        eventually(lambda: not lab.control("GET", "faults")["faults"])
        assert daemon.stop(state_dir)
        with pytest.raises(ConnectionClosedError):
            call.result(10)


def test_a_killed_server_takes_its_jobs_along(state_dir: Path) -> None:
    lab = Lab(state_dir, start(state_dir))
    shown = lab.shown(lab.wait(lab.create("sleep"), "RUNNING"))
    os.kill(lab.info["pid"], signal.SIGKILL)
    if sys.platform == "linux":
        eventually(lambda: not alive(shown["pid"]))


def test_the_state_directory_is_its_owners_only(state_dir: Path) -> None:
    start(state_dir)
    assert state_dir.stat().st_mode & 0o077 == 0


def test_a_profile_of_the_user_does_not_disturb(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert start(state_dir)["pid"]


def test_commands_speak_json_and_end_with_codes(state_dir: Path) -> None:
    directory = ("--state-dir", str(state_dir), "--json")
    assert command("status", *directory).returncode == 1
    started = command("start", *directory, "--worker", json.dumps(WORKER))
    info = json.loads(started.stdout)
    assert json.loads(command("status", *directory).stdout)["pid"] == info["pid"]
    assert "ready at" in command("logs", *directory).stdout
    assert json.loads(command("stop", *directory).stdout) == {"stopped": True}


def test_a_second_server_in_one_directory_refuses_to_serve(state_dir: Path) -> None:
    start(state_dir)
    done = command("serve", "--state-dir", str(state_dir))
    assert done.returncode == 1
    assert "already" in done.stderr


def test_a_state_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalBraketError, match="cannot be made"):
        start(tmp_path / "file" / "state")


def test_a_state_directory_that_cannot_be_written_to_is_said(state_dir: Path) -> None:
    # Permissions would not keep root out.
    (state_dir / "start.lock").mkdir(parents=True)
    done = command("start", "--state-dir", str(state_dir))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(state_dir) in done.stderr
    assert "COVALENT_BRAKET_LOCAL_DIR" in done.stderr


def test_an_error_of_a_file_is_not_taken_for_one_of_the_port(state_dir: Path) -> None:
    (state_dir / "access.log").mkdir(parents=True)
    done = command("serve", "--state-dir", str(state_dir))
    assert done.returncode == 1
    assert f"Cannot serve from {state_dir}" in done.stderr
    assert "port" not in done.stderr.splitlines()[-1]


def test_a_look_at_the_lock_does_not_keep_a_server_from_starting(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    (tmp_path / "server.lock").touch()
    with (tmp_path / "server.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert state.server_pid() is None
        threading.Timer(0.1, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        state.serve()
    assert state.server_pid() == os.getpid()
