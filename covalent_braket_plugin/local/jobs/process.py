"""One launcher with the job under it: started, watched, asked to end, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["ChildProcess", "exit_text"]

LAUNCHER_SECONDS = 2.0


class ChildProcess:
    """A running launcher, which ends when nothing is left of its job.

    Args:
        command: The launcher's command line.
        environment: Its whole environment.
        directory: Its working directory.
        output: File that stdout and stderr are appended to.

    Raises:
        OSError: The program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        output: Path,
    ) -> None:
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._ended = threading.Event()
        threading.Thread(target=self._reap, daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the launcher."""
        return self._process.pid

    @property
    def exit_code(self) -> int:
        """Exit code once it has ended; minus the signal's number if a signal ended it."""
        return int(self._process.returncode)

    def wait(self, timeout: float) -> bool:
        """Wait for its end, at most so many seconds; whether it has ended."""
        return self._ended.wait(timeout)

    def ask(self) -> None:
        """Ask the program to end."""
        self._signal(signal.SIGTERM)

    def kill(self, timeout: float) -> bool:
        """End everything at once; whether it is gone after at most so many seconds."""
        # The launcher knows all that belongs to the job. A job may have stopped it.
        self._signal(signal.SIGUSR1)
        self._signal(signal.SIGCONT)
        if self.wait(min(timeout, LAUNCHER_SECONDS)):
            return True
        self._signal(signal.SIGKILL)
        return self.wait(timeout)

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._process.pid, number)

    def _reap(self) -> None:
        # A blocking wait in a thread: Popen.wait with a timeout polls, up to 50 ms late.
        self._process.wait()
        self._ended.set()


def exit_text(code: int) -> str:
    """How a process ended, for people; empty for an ordinary exit."""
    if code >= 0:
        return ""
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"The process was killed by signal {-code} ({name})"
