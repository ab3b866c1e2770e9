"""What the demo shows while the workflow runs: one line for each electron."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.live import Live
from rich.table import Table

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "POSTPROCESSING_FAILED"})
FAILED = ENDED - {"COMPLETED"}
MARKS = {"COMPLETED": "[green]✓[/]", "RUNNING": "[cyan]●[/]"} | dict.fromkeys(FAILED, "[red]✗[/]")


@dataclass(frozen=True)
class Electron:
    """One line of the view.

    Attributes:
        node_id: Its node in Covalent's graph.
        name: Function name.
        place: Where it runs.
        status: Covalent's status of the node.
        note: More than the status says; may be empty.
        seconds: How long it runs or ran; None if it has not started.
    """

    node_id: int
    name: str
    place: str
    status: str
    note: str
    seconds: float | None


@dataclass
class View:
    """Looks at one dispatch, at the server and at the local Braket.

    Attributes:
        server_url: Covalent's server.
        dispatch_id: The dispatch.
        endpoint: What the local Braket's state file says.
    """

    server_url: str
    dispatch_id: str
    endpoint: Mapping[str, Any]
    status: str = "NEW_OBJECT"
    _since: dict[int, float] = field(default_factory=dict)
    _braket: Any = None

    def look(self) -> list[Electron]:
        """Ask both servers how the user's electrons are; updates ``status`` too."""
        url = f"{self.server_url}/api/v2/dispatches/{self.dispatch_id}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            manifest = json.load(answer)
        self.status = manifest["metadata"]["status"]
        nodes = manifest["lattice"]["transport_graph"]["nodes"]
        notes = self._notes()
        # Parameters and the like are nodes too; their names start with a colon.
        mine = (node for node in nodes if not node["metadata"]["name"].startswith(":"))
        return [self._electron(node, notes.get(str(node["id"]), "")) for node in mine]

    def _electron(self, node: Mapping[str, Any], note: str) -> Electron:
        about = node["metadata"]
        return Electron(
            node_id=node["id"],
            name=about["name"],
            place="Braket job" if about["executor"] == "braket" else "local process",
            status=about["status"],
            note=note,
            seconds=self._seconds(node["id"], about),
        )

    def _seconds(self, node_id: int, about: Mapping[str, Any]) -> float | None:
        if about["start_time"] and about["end_time"]:
            start, end = (datetime.fromisoformat(about[f"{at}_time"]) for at in ("start", "end"))
            return (end - start).total_seconds()
        if about["status"] != "RUNNING":
            return None
        return time.monotonic() - self._since.setdefault(node_id, time.monotonic())

    def jobs(self) -> dict[str, Mapping[str, Any]]:
        """The dispatch's jobs as Braket lists them, by node."""
        jobs = self._client().search_jobs(filters=[], maxResults=100)["jobs"]
        ours = [job for job in jobs if _tag(job, "dispatch_id") == self.dispatch_id]
        return {_tag(job, "node_id"): job for job in ours}

    def _notes(self) -> dict[str, str]:
        """What Braket says about the jobs, by node; nothing if it cannot be asked."""
        try:
            return {node: self._note(job) for node, job in self.jobs().items()}
        except (BotoCoreError, ClientError):
            return {}

    def _note(self, job: Mapping[str, Any]) -> str:
        by_job = [{"name": "jobArn", "operator": "EQUAL", "values": [job["jobArn"]]}]
        pages = self._client().get_paginator("search_quantum_tasks").paginate(filters=by_job)
        count = sum(len(page["quantumTasks"]) for page in pages)
        tasks = f", {count} quantum task{'s'[: count != 1]}" if count else ""
        return f"{job['status'].lower()}{tasks}"

    def _client(self) -> Any:
        if self._braket is None:
            self._braket = boto3.client(
                "braket",
                endpoint_url=self.endpoint["endpoint_url"],
                region_name=self.endpoint["region"],
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
            )
        return self._braket


def _tag(job: Mapping[str, Any], name: str) -> str:
    return str(job.get("tags", {}).get(f"covalent:{name}", ""))


class Screen:
    """Shows the electrons: a table that changes in place, or lines if this is no terminal.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._shown: dict[int, str] = {}
        self._last: list[Electron] = []

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
        else:
            self._console.print()
            self._console.print(table(self._last))

    def show(self, electrons: list[Electron]) -> None:
        """Show how the electrons are now."""
        self._last = electrons
        if self._live:
            self._live.update(table(electrons), refresh=True)
            return
        for each in electrons:
            if self._shown.get(each.node_id) != each.status and each.status != "NEW_OBJECT":
                self._console.print(f"  {each.name:<22} {each.status.lower()}")
            self._shown[each.node_id] = each.status


def table(electrons: Iterable[Electron]) -> Table:
    """Draw the electrons."""
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", "Electron", "Runs as", "Status"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("Time", justify="right", no_wrap=True)
    for each in electrons:
        status = "waiting" if each.status == "NEW_OBJECT" else each.status.lower()
        grid.add_row(
            MARKS.get(each.status, "[dim]·[/]"),
            each.name,
            each.place,
            each.note or status,
            "" if each.seconds is None else f"{each.seconds:.1f} s",
        )
    return grid
