"""A Covalent server that is killed, stopped and started again, with a local Braket that stays."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import covalent as ct
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.support.braket_server import BraketServer, eventually
from tests.support.stage import Stage, command

ENDED = ("COMPLETED", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Server(DemoServer):
    """A server that may keep its counters in its main database."""

    keeps_counters: bool = False

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        found = super().environment(inherited)
        if self.keeps_counters:
            path = Path(found["HOME"]) / ".local/share/covalent/dispatcher_db.sqlite"
            found["COVALENT_CACHE_DB_URL"] = f"sqlite+pysqlite:///{path}"
        return found


class Theatre:
    """Both servers, in a folder of their own."""

    def __init__(self, folder: Path, *, keeps_counters: bool = False, **braket: Any) -> None:
        self.folder = folder
        self.server = Server(folder, keeps_counters=keeps_counters)
        self.braket = BraketServer.started(
            self.server.local_braket,
            local_endpoint.worker_command(),
            local_endpoint.worker_image(),
            **braket,
        )
        self.start()

    def start(self) -> None:
        """Start Covalent's server, for the first time or again."""
        self.stage = Stage(self.server, self.server.find_or_start(), self.braket)

    def kill(self) -> None:
        """End Covalent's server as if the power went."""
        process = self.stage.server_process()
        os.killpg(process.pid, signal.SIGKILL)
        eventually(lambda: self.server.find() is None)

    def interrupt(self) -> None:
        """End Covalent's server as ``covalent stop`` does."""
        process = self.stage.server_process()
        process.send_signal(signal.SIGINT)
        process.wait(60)

    def close(self) -> None:
        """End all."""
        self.server.stop()
        self.braket.stop()

    def log(self) -> str:
        """What Covalent's servers have printed."""
        return self.server.log.read_text(errors="replace")

    def result(self, dispatch_id: str) -> Any:
        """What is known of a workflow now."""
        return ct.get_result(dispatch_id, wait=False, dispatcher_addr=self.stage.url)

    def ended(self, dispatch_id: str, seconds: float = 90.0) -> Any:
        """Wait for a workflow, but not for ever."""

        def look() -> Any:
            found = self.result(dispatch_id)
            return found if str(found.status) in ENDED else None

        return eventually(look, seconds)

    def jobs(self, dispatch_id: str) -> dict[str, str]:
        """Status of each job of a workflow, by node and attempt."""
        found = self.stage.jobs_of(dispatch_id)
        names = [job["jobName"].split("-", 1)[1].partition("-")[2] for job in found]
        assert len(set(names)) == len(found), "a job was made twice"
        return dict(zip(names, [job["status"] for job in found], strict=True))

    def handles(self) -> int:
        """How many jobs Covalent has noted."""
        path = self.folder / "home/.local/share/covalent/dispatcher_db.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as database:
            query = "select count(*) from jobs where job_handle != 'null'"
            return int(database.execute(query).fetchone()[0])

    def unbegin(self, dispatch_id: str, node: int) -> None:
        """Note a node as it was a moment before it began; the server must have ended."""
        path = self.folder / "home/.local/share/covalent/dispatcher_db.sqlite"
        change = (
            "update electrons set status = 'NEW_OBJECT' where transport_graph_node_id = ? and "
            "parent_lattice_id = (select id from lattices where dispatch_id = ?)"
        )
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            assert database.execute(change, (node, dispatch_id)).rowcount == 1

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``covalent-braket`` where the server is."""
        return command(self.server, *arguments)

    def told(self, *arguments: str) -> Any:
        """What such a command says in JSON."""
        done = self.command(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


Open = Callable[..., Theatre]
