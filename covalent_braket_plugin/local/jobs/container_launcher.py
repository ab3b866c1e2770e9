"""Runs a job's container to its end, as SageMaker does: ``docker run IMAGE train``.

Run as ``python -m ... SPEC``, where SPEC is a JSON file. What the container prints goes to stdout.
Signals: SIGTERM asks the program to end, SIGUSR1 ends everything at once. It comes too when the
local Braket is gone (Linux), so that no container outlives it. Ends as the program did.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from docker.errors import DockerException, NotFound
from docker.types import LogConfig

from covalent_braket_plugin.engine import connect
from covalent_braket_plugin.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docker.models.containers import Container

__all__ = ["main"]

PR_SET_PDEATHSIG = 1
LAST_WORDS_SECONDS = 5.0
KILLED = 128 + signal.SIGKILL
ASK, KILL, ENDED = signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2


def main(spec_file: str) -> NoReturn:
    """Run the container that the file describes; ends this process."""
    # They are waited for below; threads inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {ASK, KILL, ENDED})
    spec = json.loads(Path(spec_file).read_text())
    _die_with(spec["parent"])
    try:
        code = _run_new(spec)
    except (ImageError, DockerException) as error:
        # It has no program of its own that could say so.
        text = f"The container cannot be run: {getattr(error, 'explanation', None) or error}"
        Path(spec["failure"]).write_text(text)
        sys.exit(text)
    if code == KILLED:
        # So that it counts as a process that was killed, not as one that said 137.
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(code)


def _run_new(spec: dict[str, Any]) -> int:
    """Run a new container, which is removed afterwards; returns its exit code."""
    container = _created(spec)
    try:
        return _run(container)
    finally:
        with contextlib.suppress(NotFound):  # the local Braket may have removed it
            container.remove(force=True, v=True)


def _created(spec: dict[str, Any]) -> Container:
    return connect().containers.create(
        spec["image"],
        ["train"],
        environment=spec["environment"],
        user=spec["user"],
        labels=spec["labels"],
        volumes=[f"{here}:{there}" for here, there in spec["mounts"]],
        # The local Braket listens on this machine's loopback.
        network_mode="host",
        # The launcher reads the output: the engine keeps no copy.
        log_config=LogConfig(type="none"),
        security_opt=["no-new-privileges"],
    )


def _run(container: Container) -> int:
    """Start it and wait for its end or for a signal; returns its exit code."""
    output = container.attach(stream=True, stdout=True, stderr=True, logs=False)
    container.start()
    copying = threading.Thread(target=_copy, args=(output,), daemon=True)
    copying.start()
    threading.Thread(target=_wait, args=(container, copying), daemon=True).start()
    while (number := signal.sigwait({ASK, KILL, ENDED})) != ENDED:
        if number == KILL:
            return KILLED
        with contextlib.suppress(Exception):  # it may have ended this moment
            container.kill(signal="SIGTERM")
    code = int(container.wait()["StatusCode"])
    container.reload()
    if container.attrs["State"].get("OOMKilled"):
        _write(b"[local Braket: the container used up the memory that it may have]\n")
    return code


def _copy(output: Iterable[bytes]) -> None:
    for chunk in output:
        _write(chunk)


def _wait(container: Container, copying: threading.Thread) -> None:
    """Wait for the container's end and for the last of its output, and say so."""
    try:
        container.wait()
        copying.join(LAST_WORDS_SECONDS)
    finally:
        os.kill(os.getpid(), ENDED)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, KILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the local Braket is gone")


if __name__ == "__main__":
    main(sys.argv[1])
