"""What a case found: tables for people, targets, and figures for machines."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Found", "Rows", "Target", "percentile", "say", "write"]


@dataclass
class Target:
    """One thing that must not be more than it may.

    Attributes:
        what: In words, with the unit.
        found: As measured.
        allowed: At most.
    """

    what: str
    found: float
    allowed: float

    @property
    def met(self) -> bool:
        """Whether it is within what is allowed."""
        return self.found <= self.allowed


@dataclass
class Rows:
    """A table: its title, the names of its columns, and its rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class Found:
    """All that a case found.

    Attributes:
        case: Its name.
        tables: For people.
        targets: What it was measured against.
        notes: Lines that explain.
        figures: For machines.
    """

    case: str
    tables: list[Rows] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write it for `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Found:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        tables = [Rows(**each) for each in data.pop("tables")]
        targets = [Target(**each) for each in data.pop("targets")]
        return cls(**data, tables=tables, targets=targets)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that the share (0 to 1) of all values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def say(console: Console, found: Found) -> None:
    """Print it."""
    for rows in found.tables:
        table = Table(title=f"{found.case}: {rows.title}", title_justify="left")
        for number, name in enumerate(rows.columns):
            table.add_column(name, justify="right" if number else "left")
        for row in rows.rows:
            table.add_row(*row)
        console.print(table)
    for note in found.notes:
        console.print(note, markup=False, highlight=False)
    for target in found.targets:
        word = "[green]met[/green]" if target.met else "[red]missed[/red]"
        console.print(f"{word}  {target.what}: {target.found:.3g}, target {target.allowed:g}")
    console.print()


def write(target: Path, everything: Sequence[Found]) -> None:
    """Write the figures of all cases as JSON."""
    machine = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
    }
    targets = [
        {"case": found.case, **asdict(each), "met": each.met}
        for found in everything
        for each in found.targets
    ]
    cases = {found.case: found.figures for found in everything}
    report = {"machine": machine, "cases": cases, "targets": targets}
    target.write_text(json.dumps(report, indent=1) + "\n")
