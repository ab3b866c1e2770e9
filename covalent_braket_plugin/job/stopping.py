"""Whether the electron shall stop: its job was told to, or will soon run into its time limit.

Who told the job (SIGTERM: it was cancelled, or is over its limit) goes on to the electron by a file
in the directory of the run, which threads and processes of the electron see too. In return the
worker sees there whether the electron asks, or saves: then it waits longer before it ends it.

A signal would end Python at once. It is caught only in an electron that asks or saves: any other
may sit in a long call, in which no handler of Python's is run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

__all__ = [
    "ASKS_FILE",
    "RUN_VARIABLE",
    "SAVING_FILE",
    "STOP_AT_VARIABLE",
    "STOP_FILE",
    "Stopped",
    "reason",
    "seconds_left",
    "should_stop",
    "stop",
    "uninterrupted",
]

RUN_VARIABLE = "COVALENT_BRAKET_RUN_DIR"
"""Environment variable with the directory of the run; not set outside a job."""

STOP_AT_VARIABLE = "COVALENT_BRAKET_STOP_AT"
"""Environment variable with the time, by the monotonic clock, from which on it shall stop."""

STOP_FILE = "stop"
ASKS_FILE = "asks-to-stop"
SAVING_FILE = "saving"


class Stopped(BaseException):
    """The electron stopped before it was done, and has saved what it has."""


class _Signals:
    """What became of SIGTERM in this process.

    A process that it forks inherits all of this. There a save is finished too, and nothing else is
    held up: who forked it, such as a pool, must be able to end it.
    """

    def __init__(self) -> None:
        self.told = False
        self.asked = False
        self.saving = 0
        self._listening = False
        self._before: Any = None
        self._process = os.getpid()
        self._told_in = 0

    def listen(self) -> None:
        """Catch SIGTERM from now on, where Python lets us; once: a later handler may call us."""
        if self._listening or threading.current_thread() is not threading.main_thread():
            return
        self._before = signal.signal(signal.SIGTERM, self._on_signal)
        self._listening = True

    def give_back(self) -> None:
        """Do what a signal that came meanwhile would have done."""
        if self._told_in != os.getpid() or self.saving:
            return
        if threading.current_thread() is threading.main_thread():
            self._as_before(None)
        else:  # only the main thread may set handlers: have it called there
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.told, self._told_in = True, os.getpid()
        if not self.saving:
            self._as_before(frame)

    def _as_before(self, frame: FrameType | None) -> None:
        ours = self._process == os.getpid()
        self._told_in = 0
        if callable(self._before):
            self._before(signal.SIGTERM, frame)
        elif not (self.asked and ours) and self._before != signal.SIG_IGN:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)


_signals = _Signals()


def should_stop() -> bool:
    """Whether the electron shall save what it has and stop: ask at each step of a long loop.

    True once the job was told to stop (it was cancelled, or is over its time limit), and shortly
    before its time limit: a tenth of it, 5 seconds at least and 2 minutes at most, and half of a
    limit below 10 seconds. An electron that has asked is given some time to save and to return or
    raise; how much that is on AWS, Braket does not
    promise. Always False outside a job.
    """
    directory = _directory()
    if directory is None:
        return False
    _signals.listen()  # a thread may have asked first
    if not _signals.asked:
        _signals.asked = True
        _touch(directory / ASKS_FILE)
    return bool(reason())


def seconds_left() -> float | None:
    """Tell for how many seconds more the time limit lets the electron work; not below 0.

    That is until `should_stop` becomes true because of it. None if there is no limit: outside a
    job.
    """
    at = os.environ.get(STOP_AT_VARIABLE)
    return max(0.0, float(at) - time.monotonic()) if at else None


def stop(message: str = "") -> NoReturn:
    """End the electron before it is done, so that a further job can go on from its checkpoints.

    Which failures are gone on after says the setting `resume_on`.

    Args:
        message: What to say about it.

    Raises:
        Stopped: Always. ``except Exception`` does not catch it.
    """
    raise Stopped(message or "it saved its work and stopped")


def reason() -> str:
    """Say why the electron shall stop: ``terminated`` or ``time_limit``; empty if it need not."""
    directory = _directory()
    if _signals.told or (directory is not None and (directory / STOP_FILE).exists()):
        return "terminated"
    return "time_limit" if seconds_left() == 0.0 else ""


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish what is done here before a signal to stop takes effect."""
    directory = _directory()
    if directory is None:
        yield
        return
    _signals.listen()
    _signals.saving += 1
    mark = directory / SAVING_FILE
    _touch(mark)
    try:
        yield
    finally:
        _signals.saving -= 1
        if not _signals.saving:
            with contextlib.suppress(OSError):
                mark.unlink(missing_ok=True)
        _signals.give_back()


def _directory() -> Path | None:
    named = os.environ.get(RUN_VARIABLE)
    return Path(named) if named else None


def _touch(mark: Path) -> None:
    with contextlib.suppress(OSError):  # the worker just waits less long then
        mark.touch()
