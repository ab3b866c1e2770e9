"""The electron's process, as the worker sees it: started, listened to, ended.

Told to stop, the electron is asked first; then all that it started is ended with it.

Its output goes on to the worker's own, which is the job's log, as it comes; a copy of each stream
is kept for the outcome.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from covalent_braket_plugin import runtime
from covalent_braket_plugin.descendants import adopt_orphans, end_descendants

__all__ = ["Ended", "supervise"]

STOP_GRACE_SECONDS = 3.0
"""How long an electron may go on after SIGTERM. Braket promises no time at all, SageMaker 120 s."""

KILL_SECONDS = 2.0
"""How long the electron's processes may take to be gone after SIGKILL."""

DRAIN_SECONDS = 1.0
"""How long we read on after the electron ended: a grandchild may hold its stdout open for ever."""


@dataclass(frozen=True)
class Ended:
    """How the electron's process ended.

    Attributes:
        returncode: Its exit code; negative for a signal.
        stopped: Whether we were told to end it.
    """

    returncode: int
    stopped: bool


def supervise(directory: Path, stop_requested: Callable[[], bool]) -> Ended:
    """Run what a directory holds, passing its output on as it comes.

    Args:
        directory: What `runtime` needs; each stream is also kept there, as ``stdout.log`` and
            ``stderr.log``.
        stop_requested: Asked a few times a second; true ends the electron, and all
            other processes that this one has started.
    """
    adopt_orphans()
    command = [sys.executable, "-u", "-m", runtime.__name__, str(directory)]
    with (
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child,
        _Streams(directory, child) as streams,
    ):
        while child.poll() is None and not stop_requested():
            streams.pump(0.2)
        stopped = stop_requested()
        if stopped:
            _end(child, streams)
        streams.drain(DRAIN_SECONDS)
        return Ended(child.returncode, stopped)


def _end(child: subprocess.Popen[bytes], streams: _Streams) -> None:
    # No process group of its own: what ends the container's group must reach the electron too.
    child.terminate()
    deadline = time.monotonic() + STOP_GRACE_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        streams.pump(0.1)
    end_descendants(KILL_SECONDS)
    child.wait()


class _Streams:
    """Copies a child's stdout and stderr to ours and to files, as they come."""

    def __init__(self, directory: Path, child: subprocess.Popen[bytes]) -> None:
        self._selector = selectors.DefaultSelector()
        self._files: list[IO[bytes]] = []
        for name, pipe, ours in (("stdout", child.stdout, 1), ("stderr", child.stderr, 2)):
            if pipe is None:
                continue
            os.set_blocking(pipe.fileno(), False)
            copy = (directory / f"{name}.log").open("wb")
            self._files.append(copy)
            self._selector.register(pipe, selectors.EVENT_READ, (ours, copy))

    def __enter__(self) -> _Streams:
        return self

    def __exit__(self, *ignored: object) -> None:
        self._selector.close()
        for file in self._files:
            file.close()

    def pump(self, timeout: float) -> bool:
        """Copy what is there, waiting for it up to ``timeout`` seconds; False if nothing came."""
        if not self._selector.get_map():
            time.sleep(min(timeout, 0.02))
            return False
        ready = self._selector.select(timeout)
        for key, _ in ready:
            data = os.read(key.fd, 64 * 1024)
            if data:
                ours, copy = key.data
                copy.write(data)
                with contextlib.suppress(OSError):  # a closed log must not stop the electron
                    os.write(ours, data)
            else:
                self._selector.unregister(key.fileobj)
        return bool(ready)

    def drain(self, seconds: float) -> None:
        """Copy the rest, for no longer than ``seconds``."""
        deadline = time.monotonic() + seconds
        while self._selector.get_map() and time.monotonic() < deadline:
            self.pump(0.05)
