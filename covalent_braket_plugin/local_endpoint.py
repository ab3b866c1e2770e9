"""Find the local Braket, or start it: the only thing the package knows about it.

The emulator runs as a process of its own and says where it is in a state file. This room reads
that file and, if nobody is there, starts ``python -m covalent_braket_plugin.local``; it imports
nothing of the emulator.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import LocalBraketError, UnreachableError

__all__ = [
    "default_state_dir",
    "find",
    "find_again",
    "find_or_start",
    "forget",
    "worker_command",
    "worker_image",
]

STATE_DIR_VARIABLE = "COVALENT_BRAKET_LOCAL_DIR"
START_TIMEOUT_SECONDS = 60.0
HEALTH_TIMEOUT_SECONDS = 5.0
HEALTH_BYTES = 65536
"""What answers more is no local Braket."""
TRUSTED_SECONDS = 5.0
"""For so long after an answer we do not ask again whether it still runs."""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy can reach what listens on this machine's loopback."""

_lock = threading.Lock()
_known: dict[Path, tuple[float, dict[str, Any]]] = {}


def default_state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Directory in which the local Braket keeps its state file, logs and jobs.

    ``COVALENT_BRAKET_LOCAL_DIR`` if set, else ``~/.local/share/covalent-braket/local``.
    """
    environ = os.environ if environ is None else environ
    named = environ.get(STATE_DIR_VARIABLE)
    return Path(named) if named else Path.home() / ".local/share/covalent-braket/local"


def worker_command() -> list[str]:
    """The container program that the local Braket runs for our image."""
    return [sys.executable, "-m", "covalent_braket_plugin.worker", "train"]


def worker_image() -> str:
    """Repository and tag of the local image; the tag says what the interpreter holds."""
    major, minor, _ = platform.python_version_tuple()
    return f"covalent-braket-worker:py{major}{minor}-cloudpickle{version('cloudpickle')}"


def find(state_dir: Path | None = None) -> dict[str, Any] | None:
    """Read where the local Braket is, if it runs and answers.

    Returns:
        Its ``endpoint_url``, ``region``, ``account_id``, ``role_arn``, ``image_uri``, ``bucket``
        and ``pid``; None if none runs.
    """
    try:
        return _ask(state_dir or default_state_dir())
    except (OSError, ValueError, KeyError, HTTPException):
        return None


def find_again(state_dir: Path | None = None) -> dict[str, Any] | None:
    """Find it as `find` does, without asking again what it answered a moment ago.

    Raises:
        UnreachableError: It is there, and too busy to answer.
    """
    state_dir = state_dir or default_state_dir()
    with _lock:
        asked_at, running = _known.get(state_dir, (0.0, None))
        if running is not None and time.monotonic() - asked_at <= TRUSTED_SECONDS:
            return running
        try:
            running = _ask(state_dir)
        except TimeoutError as error:
            text = "The local Braket does not answer just now"
            raise UnreachableError(text, transient=True) from error
        except (OSError, ValueError, KeyError, HTTPException):
            running = None
        if running is not None:
            _known[state_dir] = (time.monotonic(), running)
        return running


def _ask(state_dir: Path) -> dict[str, Any] | None:
    # After a crash the file is stale, and anybody may listen at its port.
    info = _json_object((state_dir / "endpoint.json").read_bytes())
    url = f"{info['endpoint_url']}/_local/health"
    try:
        with _DIRECT.open(url, timeout=HEALTH_TIMEOUT_SECONDS) as answer:
            health = _json_object(answer.read(HEALTH_BYTES))
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise error.reason from error
        raise
    return info if health["pid"] == info["pid"] else None


def _json_object(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def find_or_start(state_dir: Path | None = None) -> dict[str, Any]:
    """Read where the local Braket is, starting it first if none runs; takes about two seconds then.

    Raises:
        LocalBraketError: It is not installed, or it did not start; the text says why.
    """
    state_dir = state_dir or default_state_dir()
    with _lock:  # one electron starts it, the others wait
        asked_at, running = _known.get(state_dir, (0.0, None))
        if running is None or time.monotonic() - asked_at > TRUSTED_SECONDS:
            running = find(state_dir) or _install_check_and_start(state_dir)
            _known[state_dir] = (time.monotonic(), running)
        return running


def forget(state_dir: Path | None = None) -> None:
    """Forget where the local Braket was: it refused a connection, so the next one asks again."""
    with _lock:
        _known.pop(state_dir or default_state_dir(), None)


def _install_check_and_start(state_dir: Path) -> dict[str, Any]:
    if find_spec("moto") is None or find_spec("braket") is None:
        raise LocalBraketError(
            "The local Braket is not installed beside Covalent's server. "
            'Install it with: pip install "covalent-braket-plugin[local]"'
        )
    return _start(state_dir)


def _start(state_dir: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "covalent_braket_plugin.local", "start", "--json"]
    command += ["--state-dir", str(state_dir), "--worker", json.dumps(worker_command())]
    command += ["--worker-image", worker_image()]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LocalBraketError(
            f"The local Braket did not start within {START_TIMEOUT_SECONDS:.0f} s. "
            f"See the log in {state_dir}."
        ) from error
    if done.returncode != 0:
        raise LocalBraketError(f"The local Braket did not start: {done.stderr.strip()}")
    info = find(state_dir)
    if info is None:
        raise LocalBraketError(f"The local Braket started but does not answer; see {state_dir}.")
    return info
