"""Commands that run before an electron: shown as they run, their last words kept for the error."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from typing import IO

__all__ = ["StepFailedError", "run_bash", "run_pip"]

TAIL_BYTES = 16 * 1024
LINGER_SECONDS = 0.5
"""How long we read on after a command: what it left in the background may hold its output open."""


class StepFailedError(Exception):
    """A bash or pip step failed; the text has the last that it printed."""


def run_bash(commands: list[str]) -> None:
    """Run shell commands, one after the other.

    Raises:
        StepFailedError: One of them failed.
    """
    for command in commands:
        _run("The bash command", command, shell=True)


def run_pip(packages: list[str], requirements: str) -> None:
    """Install packages into this interpreter.

    Args:
        packages: Requirements; used if there is no ``requirements``.
        requirements: Text of a requirements file; may be empty.

    Raises:
        StepFailedError: pip failed.
    """
    pip = [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    if not requirements:
        # Covalent joins the list with blanks, so an entry may hold several words.
        _run("Installing packages with pip", [*pip, *" ".join(packages).split()])
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(requirements)
            file.flush()
            _run("Installing packages with pip", [*pip, "-r", file.name])
    import importlib

    importlib.invalidate_caches()


def _run(what: str, command: str | list[str], *, shell: bool = False) -> None:
    sys.stdout.flush()
    child = subprocess.Popen(
        command,
        shell=shell,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout is not None
    output = _Output(child.stdout)
    code = child.wait()
    tail = output.tail()
    if code != 0:
        shown = command if isinstance(command, str) else " ".join(command)
        raise StepFailedError(f"{what} failed with exit code {code}: {shown}\n{tail}")


class _Output:
    """Passes a command's output on to our stdout, for as long as anybody writes any."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._ours = os.dup(1)  # the electron may close or replace its own
        self._tail = b""
        self._cut = False
        # A thread of its own, since what a command left in the background may write for ever.
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def tail(self) -> str:
        """The last that was written, as text."""
        self._thread.join(LINGER_SECONDS)
        note = "[...]" if self._cut else ""
        return note + self._tail.decode("utf-8", "replace").rstrip()

    def _pass_on(self) -> None:
        with self._pipe:
            while data := os.read(self._pipe.fileno(), 64 * 1024):
                with contextlib.suppress(OSError):  # a closed log must not stop the command
                    os.write(self._ours, data)
                tail = self._tail + data
                self._cut = self._cut or len(tail) > TAIL_BYTES
                self._tail = tail[-TAIL_BYTES:]
        os.close(self._ours)
