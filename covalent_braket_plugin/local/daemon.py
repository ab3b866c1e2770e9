"""Starts, finds and stops a local Braket that runs as a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import LocalBraketError
from covalent_braket_plugin.local.jobs.job_env import package_path
from covalent_braket_plugin.local.memory import ALLOCATOR_SETTINGS
from covalent_braket_plugin.local.options import Options
from covalent_braket_plugin.local.state import StateDir

__all__ = ["start", "status", "stop"]

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.02
LAST_BREATH_SECONDS = 2.0


def start(
    state_dir: Path,
    *,
    worker: Sequence[str],
    worker_image: str,
    port: int = 0,
    timeout: float = START_TIMEOUT_SECONDS,
    **options: Any,
) -> dict[str, Any]:
    """Start a local Braket in the background, if none runs in this state directory.

    Args:
        state_dir: Its state directory.
        worker: Command line of the container program.
        worker_image: Repository and tag of the image that stands for it.
        port: Port to listen on; 0 picks a free one.
        timeout: Seconds to wait until it answers.
        **options: Further fields of `Options`.

    Returns:
        Its ``endpoint.json``: ``endpoint_url``, ``region``, ``account_id``, ``role_arn``,
        ``image_uri``, ``bucket``, ``pid`` and more.

    Raises:
        LocalBraketError: It did not start; the text has the end of its log.
    """
    chosen = Options(Path(state_dir), tuple(worker), worker_image, port, **options)
    state = StateDir(chosen.state_dir)
    with state.starting(timeout):
        running = state.running()
        if running is not None:
            return running
        _refuse_deaf_server(state)
        state.remove()
        return _wait_until_ready(state, _spawn(state, chosen), timeout)


def stop(state_dir: Path, *, timeout: float = STOP_TIMEOUT_SECONDS) -> bool:
    """Stop the local Braket of a state directory, with all jobs that it runs.

    Args:
        state_dir: Its state directory.
        timeout: Seconds to wait before it is killed.

    Returns:
        Whether one ran.

    Raises:
        LocalBraketError: It could not be stopped.
    """
    state = StateDir(Path(state_dir))
    pid = state.server_pid()
    if pid is None:
        state.remove()
        return False
    for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, POLL_SECONDS * 100)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _gone(state, patience):
            state.remove()
            return True
    raise LocalBraketError(f"The local Braket (process {pid}) cannot be stopped")


def status(state_dir: Path) -> dict[str, Any] | None:
    """What is known of a running local Braket.

    Returns:
        ``endpoint.json`` and, under ``health``, what the server says of itself; None if none
        runs.
    """
    state = StateDir(Path(state_dir))
    info = state.running()
    return None if info is None else {**info, "health": state.health(info)}


def _refuse_deaf_server(state: StateDir) -> None:
    # The lock of a server that has just died may still be seen for a moment.
    if _gone(state, LAST_BREATH_SECONDS):
        return
    raise LocalBraketError(
        f"A local Braket (process {state.server_pid()}) runs in {state.path} but does not answer. "
        "Stop it first: covalent-braket local stop"
    )


def _spawn(state: StateDir, options: Options) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "covalent_braket_plugin.local", "serve"]
    with state.open(state.log.name, "wb") as log:
        return subprocess.Popen(
            [*command, *options.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=state.path,
            env=_environment(os.environ),
        )


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The starter's environment without what AWS tools read: this is no place for credentials."""
    kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    return {**kept, **ALLOCATOR_SETTINGS, "PYTHONPATH": package_path()}


def _wait_until_ready(
    state: StateDir, process: subprocess.Popen[bytes], timeout: float
) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < deadline:
        info = state.read()
        if info is not None and info.get("pid") == process.pid:
            return info
        time.sleep(POLL_SECONDS)
    ended = process.poll() is not None
    if not ended:
        process.kill()
        process.wait()
    how = f"ended with exit code {process.returncode}" if ended else f"took over {timeout:.0f} s"
    raise LocalBraketError(f"The local Braket {how}. Its log, {state.log}:\n{state.log_tail()}")


def _gone(state: StateDir, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while state.server_pid() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
