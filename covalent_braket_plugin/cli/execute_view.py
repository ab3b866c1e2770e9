"""What ``execute`` and ``executions`` have in common: waiting, and showing results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from covalent_braket_plugin.cli.output import (
    clean,
    console,
    json_option,
    note,
    print_json,
    print_table,
)
from covalent_braket_plugin.errors import BraketPluginError, JobFailedError, PlotError
from covalent_braket_plugin.execution import ExecutionJob, Results
from covalent_braket_plugin.execution.handle import ENDED
from covalent_braket_plugin.monitoring.plots import SUFFIXES

__all__ = ["SHORT", "finish", "row", "shown"]

Command = TypeVar("Command", bound=Callable[..., Any])

TERMINAL = "terminal"
ROWS = 20
MOST_COLUMNS = 100
LOOK_SECONDS = 1.0
SHORT = 8
"""So many characters of an id tell it apart for people; commands take them."""
CTRL_C = 130

ENDING = f"a name that ends in {' or '.join(SUFFIXES)}, or {TERMINAL!r}"


def shown(command: Command) -> Command:
    """Give a command the options that say how results are shown."""
    plot = click.option(
        "--plot",
        metavar=f"FILE|{TERMINAL}",
        callback=_checked_plot,
        help="Draw what the devices measured into a .png or .svg file, or here.",
    )
    return plot(json_option(command))


def _checked_plot(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is not None and value != TERMINAL and Path(value).suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{value!r} is not {ENDING}.")
    return value


def finish(
    job: ExecutionJob,
    plot: str | None,
    as_json: bool,
    timeout: float | None = None,
    partial: bool = False,
) -> None:
    """Wait for the end, show the results, and say by the exit code whether all is well."""
    try:
        _watch(job, timeout)
    except KeyboardInterrupt:
        note(f"It goes on. See it again with: covalent-braket executions result {job.id[:SHORT]}")
        raise click.exceptions.Exit(CTRL_C) from None
    try:
        found = job.result(0, partial=partial)
    except JobFailedError as error:
        if not as_json:
            raise
        found = Results([], {name: str(error) for name in job.backends})
    if as_json:
        print_json({**row(job), **_told(found)})
    else:
        _print(found)
    if plot:
        _draw(found, plot, job)
    if found.failed:
        raise click.exceptions.Exit(1)


def _watch(job: ExecutionJob, timeout: float | None) -> None:
    """Wait, and say on a terminal how each device stands."""
    left = math.inf if timeout is None else timeout
    with console(stderr=True).status("Waiting ...") as status:
        while job.poll(min(LOOK_SECONDS, left)) not in ENDED and left > 0:
            left -= LOOK_SECONDS
            standing = (f"{name} {how.lower()}" for name, how in job.statuses().items())
            status.update(clean(", ".join(standing)))


def row(job: ExecutionJob) -> dict[str, Any]:
    """Write what a list says of an execution, for programs."""
    return {"id": job.id, "name": job.name, "status": job.status(), "backends": job.backends}


def _told(found: Results) -> dict[str, Any]:
    items = [{"name": each.name, "type": each.type, "value": each.value} for each in found]
    return {"results": items, "answers": found.answers, "failed": found.failed}


def _print(found: Results) -> None:
    if found.counts:
        _print_counts(found.counts)
    for each in found:
        if each.type != "counts":
            click.echo(clean(f"{each.name}: {each.value}"))
    if not found and not found.failed:
        note("no device has answered yet.")
    for name, why in found.failed.items():
        click.echo(clean(f"{name} failed. {why}"), err=True)


def _print_counts(counts: Mapping[str, Mapping[str, int]]) -> None:
    """Print the states that were measured most, a column for each device."""
    total = {name: sum(each.values()) for name, each in counts.items()}
    states = {state for each in counts.values() for state in each}

    def most(state: str) -> float:
        return max(each.get(state, 0) / total[name] for name, each in counts.items())

    chosen = sorted(states, key=lambda state: (-most(state), state))[:ROWS]
    rows = [
        {"state": state} | {name: each.get(state, 0) for name, each in counts.items()}
        for state in chosen
    ]
    print_table(("state", *counts), rows, whole=("state",))
    if len(states) > ROWS:
        note(f"these are the {ROWS} most frequent of {len(states)} states; --json gives all.")


def _draw(found: Results, plot: str, job: ExecutionJob) -> None:
    try:
        if plot == TERMINAL:
            click.echo(found.terminal_plot(min(console().width, MOST_COLUMNS)))
        else:
            found.plot(plot, title=job.name)
            note(f"drawn into {plot}")
    except OSError as error:
        raise PlotError(f"--plot {plot}: the file cannot be written: {error}") from error
    except BraketPluginError as error:  # the results were shown all the same
        note(str(error))
