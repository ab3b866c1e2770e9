"""Install this checkout with one of its extras, showing one line of progress.

    .venv/bin/python scripts/install.py dev|local

Run by the interpreter of the virtual environment; only the standard library is used. What pip
says goes to a file and is shown when it fails. A stamp file tells make that it is done.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
VENV = Path(sys.prefix)
LOG = VENV / "install.log"
# pip before 23.3 downloads whole packages only to compare versions.
PIP = "pip>=24"
STAMPS = {"local": ("local",), "dev": ("local", "dev")}


class Progress:
    """One line that changes on a terminal, and a few plain lines elsewhere."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.live = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Replace the line, if this is a terminal."""
        if self.live:
            line = f"  {time.monotonic() - self.started:4.0f} s  {text}"
            print(f"\r\033[K{line[:78]}", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        print(f"\r\033[K{text}" if self.live else text, file=sys.stderr, flush=True)


def pip_install(progress: Progress, log: IO[str], *arguments: str) -> int:
    """Run pip, showing which package it is at; returns its exit code."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    with subprocess.Popen(
        [*command, "--no-color", "--progress-bar", "off", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            log.write(line)
            progress.show(summary(line))
    return process.returncode


def summary(line: str) -> str:
    """Shorten a line of pip's for people."""
    words = line.split()
    if words[:1] in (["Collecting"], ["Downloading"]) and len(words) > 1:
        return f"{words[0].lower()} {words[1].rpartition('/')[2]}"
    if words[:2] == ["Installing", "collected"]:
        return "installing ..."
    return "resolving versions ..."


def main(extra: str) -> int:
    """Install with ``extra``; returns the exit code."""
    progress = Progress()
    progress.say(f"Installing covalent-braket-plugin[{extra}] into {VENV} (once, a minute or two)")
    with LOG.open("w") as log:
        code = pip_install(progress, log, "--upgrade", PIP)
        code = code or pip_install(progress, log, "--editable", f".[{extra}]")
    if code:
        tail = "".join(LOG.read_text().splitlines(keepends=True)[-15:])
        progress.say(f"{tail}\npip failed; everything that it said is in {LOG}")
        return code
    for name in STAMPS[extra]:
        (VENV / f".installed-{name}").touch()
    progress.say(f"Installed in {time.monotonic() - progress.started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
