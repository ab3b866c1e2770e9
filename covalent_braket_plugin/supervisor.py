"""The electron's process, as the worker sees it: started, listened to, ended, and found dead.

Told to stop, the electron is asked first; then all that it started is ended with it. One that asks
whether it shall stop (`job.should_stop`), or saves a checkpoint, gets more time.

Its output goes on to the worker's own, which is the job's log, as it comes; a copy of each stream
is kept for the outcome.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from covalent_braket_plugin import runtime
from covalent_braket_plugin.descendants import adopt_orphans, end_descendants
from covalent_braket_plugin.job import stopping
from covalent_braket_plugin.protocol import OUT_OF_MEMORY, ErrorData

__all__ = ["Ended", "how_it_ended", "supervise"]

STOP_GRACE_SECONDS = 3.0
"""How long an electron may go on after SIGTERM. Braket promises no time at all, SageMaker 120 s."""

SAVE_GRACE_SECONDS = 60.0
"""How long one that asks whether it shall stop, or saves, may go on. In the rest of SageMaker's
120 s what it leaves has to be uploaded."""

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
        out_of_memory: Whether the kernel ended a process of the job meanwhile because its memory
            was used up; None if it does not say.
    """

    returncode: int
    stopped: bool
    out_of_memory: bool | None = None


def supervise(
    directory: Path, stop_requested: Callable[[], bool], variables: Mapping[str, str] | None = None
) -> Ended:
    """Run what a directory holds, passing its output on as it comes.

    Args:
        directory: What `runtime` needs; each stream is also kept there, as ``stdout.log`` and
            ``stderr.log``.
        stop_requested: Asked a few times a second; true ends the electron, and all
            other processes that this one has started.
        variables: More environment variables for it.
    """
    adopt_orphans()
    kills = _oom_kills()
    command = [sys.executable, "-u", "-m", runtime.__name__, str(directory)]
    environment = {**os.environ, stopping.RUN_VARIABLE: str(directory), **(variables or {})}
    with (
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child,
        _Streams(directory, child) as streams,
    ):
        while child.poll() is None and not stop_requested():
            streams.pump(0.2)
        stopped = stop_requested()
        if stopped:
            _end(directory, child, streams)
        streams.drain(DRAIN_SECONDS)
        now = _oom_kills()
        known = kills is not None and now is not None
        return Ended(child.returncode, stopped, now != kills if known else None)


def how_it_ended(directory: Path, ended: Ended) -> tuple[ErrorData, dict[str, float]]:
    """Say why there is no result of an electron, and how long each of its phases took, in seconds.

    Args:
        directory: What it ran.
        ended: How its process ended.
    """
    phase, seconds = _last_words(directory)
    return _error_of(ended, phase), seconds


def _last_words(directory: Path) -> tuple[str, dict[str, float]]:
    """Tell what an electron's process did when it ended without a result, and for how long."""
    path = directory / runtime.PHASE_FILE
    try:
        found = json.loads(path.read_text())
        phase = str(found["phase"])
        seconds = {str(name): float(took) for name, took in found["seconds"].items()}
        began = path.stat().st_mtime
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # the electron's doing
        return "killed", {}
    spent = seconds.get(phase, 0.0) + max(0.0, time.time() - began)
    return phase, {**seconds, phase: round(spent, 6)}


def _error_of(ended: Ended, phase: str) -> ErrorData:
    if ended.stopped:
        return ErrorData("Terminated", "The job was told to stop (SIGTERM)", phase="terminated")
    if ended.returncode < 0:
        return _killed(signal.Signals(-ended.returncode).name, ended.out_of_memory, phase)
    return ErrorData(
        "ProcessExit",
        f"The electron's process ended with exit code {ended.returncode} without returning",
        phase=phase,
    )


def _killed(name: str, out_of_memory: bool | None, phase: str) -> ErrorData:
    text = f"The electron's process was killed by {name}"
    if out_of_memory:
        return ErrorData("OutOfMemory", f"{text}: {OUT_OF_MEMORY}.", phase=phase)
    hints = {
        None: "; often the instance's memory was used up.",
        False: ", and the kernel has counted no process that was ended for lack of memory.",
    }
    hint = hints[out_of_memory] if name == "SIGKILL" else "."
    return ErrorData("Killed", text + hint, phase=phase)


def _oom_kills() -> int | None:
    """Count what the kernel has ended for lack of memory, in our cgroup or, if it hides, at all.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.events), and
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.oom_control).
    """
    for path in (*_counters(), Path("/proc/vmstat")):
        with contextlib.suppress(OSError, ValueError):
            counts = dict(line.split() for line in path.read_text().splitlines())
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return None


def _counters() -> Iterator[Path]:
    """Where cgroups say it: each below its root, which in a container may be our own already."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "memory":
                root, name = Path("/sys/fs/cgroup/memory"), "memory.oom_control"
            elif controllers == "":
                root, name = Path("/sys/fs/cgroup"), "memory.events"
            else:
                continue
            yield from (root / group.lstrip("/") / name, root / name)


def _end(directory: Path, child: subprocess.Popen[bytes], streams: _Streams) -> None:
    with contextlib.suppress(OSError):
        (directory / stopping.STOP_FILE).touch()
    # No process group of its own: what ends the container's group must reach the electron too.
    if not (directory / stopping.ASKS_FILE).exists():
        child.terminate()
    start = time.monotonic()
    while child.poll() is None and time.monotonic() < start + _grace(directory):
        streams.pump(0.1)
    end_descendants(KILL_SECONDS)
    child.wait()


def _grace(directory: Path) -> float:
    """For how long a stopped electron may go on; it may be saving at this moment."""
    marks = (stopping.ASKS_FILE, stopping.SAVING_FILE)
    more = any((directory / mark).exists() for mark in marks)
    return SAVE_GRACE_SECONDS if more else STOP_GRACE_SECONDS


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
