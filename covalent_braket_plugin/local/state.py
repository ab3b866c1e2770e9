"""The state directory: where a local Braket says that it runs, and how others find out.

``endpoint.json`` is written whole when the server is ready and removed when it ends.
``server.lock`` is held by the server for its life, ``start.lock`` by whoever starts one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from covalent_braket_plugin.errors import LocalBraketError

__all__ = ["LockTaken", "StateDir"]

HEALTH_TIMEOUT_SECONDS = 5.0
LOCK_POLL_SECONDS = 0.02
PROBE_SECONDS = 0.3
STATE_DIR_VARIABLE = "COVALENT_BRAKET_LOCAL_DIR"
LOG_TAIL_LINES = 15

# No proxy, whatever the environment says: the server is on this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# Files whose locks are held until this process ends.
_held: list[IO[str]] = []


class LockTaken(Exception):
    """Somebody else holds the lock."""


class StateDir:
    """A state directory.

    Args:
        path: The directory; made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.path / "server.log"

    @property
    def access_log(self) -> Path:
        """One line per request."""
        return self.path / "access.log"

    @property
    def jobs(self) -> Path:
        """The directories of the jobs."""
        return self.path / "jobs"

    def make(self) -> None:
        """Make the directory, for its owner only: jobs put their files here."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unusable("made", error) from error

    def write(self, info: dict[str, Any]) -> None:
        """Write ``endpoint.json``, whole or not at all."""
        temporary = self.path / f"endpoint.json.{os.getpid()}"
        with self.open(temporary.name, "w") as file:
            file.write(json.dumps(info, indent=2) + "\n")
        temporary.replace(self._endpoint)

    def open(self, name: str, mode: str) -> IO[Any]:
        """Open a file of the directory to write to it.

        Raises:
            LocalBraketError: It cannot be written to.
        """
        try:
            return (self.path / name).open(mode)
        except OSError as error:
            raise self._unusable(f"written to ({name})", error) from error

    def read(self) -> dict[str, Any] | None:
        """What ``endpoint.json`` says, None if it is not there or not readable."""
        try:
            info = json.loads(self._endpoint.read_text())
        except (OSError, ValueError):
            return None
        return info if isinstance(info, dict) else None

    def remove(self) -> None:
        """Remove ``endpoint.json``."""
        self._endpoint.unlink(missing_ok=True)

    def running(self) -> dict[str, Any] | None:
        """``endpoint.json`` of a server that answers; None if none does.

        A stale file is noticed by asking: who answers at its port must be the process it names.
        """
        info = self.read()
        health = self.health(info) if info else None
        if info is None or health is None or health.get("pid") != info.get("pid"):
            return None
        return info

    def health(self, info: dict[str, Any]) -> dict[str, Any] | None:
        """What the server at an endpoint says of itself; None without a proper answer."""
        try:
            url = f"{info['endpoint_url']}/_local/health"
            with _DIRECT.open(url, timeout=HEALTH_TIMEOUT_SECONDS) as answer:
                health = json.load(answer)
        except (OSError, ValueError, KeyError):
            return None
        return health if isinstance(health, dict) else None

    @contextlib.contextmanager
    def starting(self, timeout: float) -> Iterator[None]:
        """Be the only one who starts a server here.

        Raises:
            LocalBraketError: Somebody else has been starting one for that many seconds.
        """
        self.make()
        with self.open("start.lock", "a") as file:
            deadline = time.monotonic() + timeout
            while not _locked(file):
                if time.monotonic() > deadline:
                    text = f"Somebody else has been starting a local Braket in {self.path} for"
                    raise LocalBraketError(f"{text} more than {timeout:.0f} s")
                time.sleep(LOCK_POLL_SECONDS)
            yield

    def serve(self) -> None:
        """Become the server of this directory, until this process ends.

        The lock is never let go: it must outlive everything else, so that whoever sees it free
        knows that the process is gone.

        Raises:
            LockTaken: There is a server already.
        """
        self.make()
        file = self.open("server.lock", "a+")
        # Who only looks whether there is a server holds the lock for an instant.
        deadline = time.monotonic() + PROBE_SECONDS
        while not _locked(file):
            if time.monotonic() > deadline:
                file.close()
                raise LockTaken
            time.sleep(LOCK_POLL_SECONDS)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _held.append(file)

    def server_pid(self) -> int | None:
        """Process id of the server that holds the lock, None if nobody does."""
        try:
            with (self.path / "server.lock").open() as file:
                # Shared: those who look at the same time must not take each other for a server.
                if _locked(file, fcntl.LOCK_SH):
                    return None
                return int(file.read() or 0) or None
        except (OSError, ValueError):
            return None

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def _unusable(self, verb: str, error: OSError) -> LocalBraketError:
        return LocalBraketError(
            f"The state directory {self.path} cannot be {verb}: {error.strerror or error}. "
            f"{STATE_DIR_VARIABLE} names another one."
        )

    @property
    def _endpoint(self) -> Path:
        return self.path / "endpoint.json"


def _locked(file: IO[Any], kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
