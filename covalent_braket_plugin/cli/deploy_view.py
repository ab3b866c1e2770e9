"""How ``covalent-braket deploy`` looks: plans as tables, progress as it happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from covalent_braket_plugin.cli.config_file import Edit
from covalent_braket_plugin.cli.output import console
from covalent_braket_plugin.deploy.plans import Change

__all__ = ["ProgressView", "change_rows", "edit_rows", "plan_table", "say_config", "state_table"]

_STYLES = {"create": "green", "change": "yellow", "replace": "red", "destroy": "red"}


# What it says of a resource that something would have to be done to it.
_STATES = {"create": "missing", "change": "differs", "replace": "differs", "destroy": "too many"}


def plan_table(changes: Iterable[Change]) -> Table:
    """What is to happen to which resource."""
    return _table("To do", ((change.action, change) for change in changes))


def state_table(resources: Iterable[Change]) -> Table:
    """Which resource is as it should be."""
    return _table("State", ((_STATES.get(each.action, "fine"), each) for each in resources))


def _table(title: str, rows: Iterable[tuple[str, Change]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (title, "Resource", "Name"):
        table.add_column(heading, overflow="fold")
    for word, change in rows:
        detail = f" ({', '.join(change.attributes)})" if change.attributes else ""
        cells = (word, change.address, change.name + detail)
        table.add_row(*(Text(cell, _STYLES.get(change.action, "")) for cell in cells))
    return table


def _config_table(edits: Iterable[Edit]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("[executors.braket]", "Before", "Now"):
        table.add_column(Text(title), overflow="fold")
    for edit in edits:
        cells = (edit.name, edit.before or "unset", edit.after or "unset")
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table


def say_config(path: Path | None, edits: list[Edit], same: str = "says the same.") -> None:
    """Say what changes in the configuration file, if there is one to be changed."""
    if edits:
        click.echo(f"\n{path}:")
        console().print(_config_table(edits))
    elif path is not None and same:
        click.echo(f"\n{path} {same}")


def change_rows(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The same as `plan_table`, for programs."""
    return [
        {
            "address": change.address,
            "action": change.action,
            "name": change.name,
            "attributes": list(change.attributes),
        }
        for change in changes
    ]


def edit_rows(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """What changes in the configuration file, for programs."""
    return [{"name": edit.name, "before": edit.before, "after": edit.after} for edit in edits]


class ProgressView:
    """Shows what Terraform does while it does it; in a pipe, a line for each resource that is done.

    Args:
        console: Where.
        total: How many resources are to be changed.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=total)
        self._under_way: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take one event of Terraform's."""
        hook = event.get("hook") or {}
        address = (hook.get("resource") or {}).get("addr", "")
        if not address or address.startswith("data."):
            return
        kind, seconds = event.get("type"), float(hook.get("elapsed_seconds") or 0)
        if kind in ("apply_start", "apply_progress"):
            self._under_way[address] = seconds
        elif kind in ("apply_complete", "apply_errored"):
            self._under_way.pop(address, None)
            failed = kind == "apply_errored"
            self._end(address, str(hook.get("action", "")), seconds, failed=failed)
        self._progress.update(self._task, description=self._description())

    def _end(self, address: str, action: str, seconds: float, *, failed: bool) -> None:
        done = {"create": "created", "delete": "destroyed", "update": "changed"}.get(action, "done")
        text = f"{'not ' if failed else ''}{done}: {address} ({seconds:.0f} s)"
        self._progress.console.print(Text(text, "red" if failed else ""))
        if not failed:
            self._progress.advance(self._task)

    def _description(self) -> str:
        parts = (f"{name} {seconds:.0f} s" for name, seconds in self._under_way.items())
        return ", ".join(parts) or "finishing"
