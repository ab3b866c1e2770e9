"""A Covalent server for the demo, with a home of its own beside the one a user may have.

    python examples/demo_server.py PORT      be that server (with the environment of `environment`)

Everything that Covalent reads and writes hangs on HOME and a few variables, so a server that gets
another HOME shares nothing with the user's: configuration, database, results, logs, port.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

START_SECONDS = 90.0
STOP_SECONDS = 10.0
ATTEMPTS = 3
LOOPBACK = "127.0.0.1"
# What could lead Covalent, boto3 or a job to the user's own files, servers or AWS account.
FOREIGN = ("AWS_", "BOTO_", "COVALENT_", "XDG_", "LOGLEVEL", "PYTHONPATH", "PYTHONHOME")


class ServerError(Exception):
    """The server did not start; the text says why."""


@dataclass(frozen=True)
class DemoServer:
    """The server of one demo folder.

    Args:
        folder: Where everything of the demo lies; made if it is not there.
    """

    folder: Path

    @property
    def log(self) -> Path:
        """File with everything that the server prints."""
        return self.folder / "covalent-server.log"

    @property
    def local_braket(self) -> Path:
        """State directory of the demo's local Braket."""
        return self.folder / "local-braket"

    @property
    def _state(self) -> Path:
        return self.folder / "covalent-server.json"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Environment for the server and for all that talk to it."""
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        kept = {key: value for key, value in inherited.items() if not key.startswith(FOREIGN)}
        return kept | {
            "HOME": str(home),
            "COVALENT_DISPATCHER_ADDR": LOOPBACK,
            "COVALENT_BRAKET_LOCAL_DIR": str(self.local_braket),
            # A proxy must not be asked for what is on this machine.
            "NO_PROXY": f"{LOOPBACK},localhost",
            "no_proxy": f"{LOOPBACK},localhost",
            # Warnings of the libraries below are for developers, not for who watches the demo.
            "PYTHONWARNINGS": "ignore",
        }

    def find(self) -> str | None:
        """URL of the running server; None if there is none or it does not answer."""
        try:
            state = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return None
        alive = _process(state) is not None and _answers(state["url"])
        return str(state["url"]) if alive else None

    def find_or_start(self) -> str:
        """URL of the running server, which is started first if there is none.

        Raises:
            ServerError: It did not start.
        """
        with self._only_one():
            running = self.find()
            if running is not None:
                return running
            self._end()
            for _ in range(ATTEMPTS - 1):
                with suppress(ServerError):
                    return self._start()
            return self._start()

    def stop(self) -> bool:
        """End the server; returns whether there was one."""
        if not self.folder.is_dir():
            return False
        with self._only_one():
            return self._end()

    def _start(self) -> str:
        port = _free_port()
        url = f"http://{LOOPBACK}:{port}"
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, __file__, str(port)],
                env=self.environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        created = psutil.Process(process.pid).create_time()
        state = {"url": url, "pid": process.pid, "created": created}
        self._state.write_text(json.dumps(state))
        self._wait(process, url)
        return url

    def _wait(self, process: subprocess.Popen[bytes], url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            self._end()
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
            raise ServerError(f"Covalent's server did not start.\n{tail}\nWhole log: {self.log}")

    def _end(self) -> bool:
        try:
            state = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return False
        process = _process(state)
        if process is not None:
            _end_group(process)
        _end_orphans(state)
        self._state.unlink(missing_ok=True)
        return process is not None

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _process(state: Mapping[str, Any]) -> psutil.Process | None:
    """The process that the state file speaks of, not another that got its number since."""
    try:
        process = psutil.Process(int(state["pid"]))
        same = abs(process.create_time() - state["created"]) < 1
    except (psutil.Error, KeyError):
        return None
    return process if same and _alive(process) else None


def _end_group(process: psutil.Process) -> None:
    """End the server and what it started; it leads a process group of its own.

    The children are forks of the server that share its handlers: they never end by SIGTERM.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_orphans(state: Mapping[str, Any]) -> None:
    """End what a server left that was killed: the children of its process group."""
    port = str(state["url"]).rpartition(":")[2]
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == state["pid"] and port in process.cmdline():
                process.kill()


def _alive(process: psutil.Process) -> bool:
    """Whether it runs: a zombie only waits for its parent to notice that it has ended."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def serve(port: int) -> None:
    """Be the server: what ``covalent start`` does, without its detour over a shell."""
    import covalent_ui
    from covalent._shared_files.config import set_config
    from covalent_dispatcher._db.datastore import DataStore

    set_config({f"{section}.port": port for section in ("dispatcher", "user_interface")})
    set_config("sdk.no_cluster", "true")
    database = DataStore.factory()
    if database.is_migration_pending:
        database.run_migrations(logging_enabled=False)
    # It finds its page templates relative to where it runs. A fresh interpreter, since Covalent
    # has read its own port from the configuration by now.
    os.chdir(next(iter(covalent_ui.__path__)))
    os.execv(sys.executable, [sys.executable, "app.py", "--port", str(port), "--no-cluster"])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
