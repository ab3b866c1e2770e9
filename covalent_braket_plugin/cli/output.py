"""What commands have in common when they print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["clean", "console", "json_option", "note", "print_json", "print_table", "working"]

Command = TypeVar("Command", bound=Callable[..., Any])
WIDTH_IN_PIPES = 160
# All of C0 and C1 but the tab: what a job prints must not steer the reader's terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def console(*, stderr: bool = False) -> Console:
    """Make a console; in a pipe it is wide, so that ARNs stay on one line."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDTH_IN_PIPES, highlight=False)


def json_option(command: Command) -> Command:
    """Give a command the option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        command
    )


def clean(text: str) -> str:
    """Take out what could steer or colour a terminal; lines and tabs stay."""
    return "\n".join(_CONTROL.sub("", click.unstyle(line)) for line in text.split("\n"))


def print_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2))


def note(text: str) -> None:
    """Say something beside the output."""
    click.echo(f"Note: {text}", err=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], whole: Collection[str] = ()
) -> None:
    """Print what rows say under some of their keys; none of it is markup or steers a terminal.

    Args:
        columns: The keys.
        rows: What is said.
        whole: Columns that are not broken on a narrow terminal.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        heading = column.replace("_", " ")
        table.add_column(heading, overflow="fold", no_wrap=column in whole)
    for row in rows:
        cells = ("" if row[column] is None else clean(str(row[column])) for column in columns)
        table.add_row(*map(Text, cells))
    console().print(table)


def working(text: str) -> AbstractContextManager[object]:
    """Say what is done meanwhile, on a terminal; elsewhere nothing is said."""
    return console(stderr=True).status(text)
