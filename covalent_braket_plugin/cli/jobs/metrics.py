"""``covalent-braket jobs metrics``: what a job's code logged, as a table, a picture or data."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.live import Live
from rich.text import Text

from covalent_braket_plugin.cli.jobs.choosing import the_job, with_history
from covalent_braket_plugin.cli.output import console, note, print_json, print_table
from covalent_braket_plugin.errors import PlotError
from covalent_braket_plugin.history import History
from covalent_braket_plugin.monitoring.lines import Metric
from covalent_braket_plugin.monitoring.metrics import COLUMNS, frame_of, wide
from covalent_braket_plugin.monitoring.plots import SUFFIXES, plot, terminal_plot

__all__ = ["metrics"]

ROWS = 20
SIDE_BY_SIDE = 20
"""So many metrics at most: a table of thousands would need more memory than there is."""
MOST_COLUMNS = 100
REDRAWS_A_SECOND = 2


@click.command(
    short_help="The metrics that a job's code logged: table, picture, data.",
    epilog="""\b
Examples:
  covalent-braket jobs metrics 3f2a                          the job whose id begins so
  covalent-braket jobs metrics 7c1e...:2 --terminal          an electron's, drawn
  covalent-braket jobs metrics 3f2a --follow                 while the job runs
  covalent-braket jobs metrics 3f2a --plot energy.png
  covalent-braket jobs metrics 3f2a --metric energy --csv > energy.csv
""",
)
@click.argument("job", metavar="JOB|DISPATCH:NODE")
@click.option("--metric", "names", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path),
              metavar="FILE", help="Draw into a .png or .svg file.")  # fmt: skip
@click.option("--terminal", "form", flag_value="terminal", help="Draw here, as text.")
@click.option("--json", "form", flag_value="json", help="Print JSON, for programs.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV, for spreadsheets.")
@click.option("--follow", "-f", is_flag=True, help="Show values as they come, until the job ends.")
@with_history
def metrics(
    history: History,
    job: str,
    names: tuple[str, ...],
    picture: Path | None,
    form: str | None,
    follow: bool,
) -> None:
    """Show what a job's code logged with Braket's log_metric, while it runs and afterwards.

    JOB is a job's id or the beginning of it, its ARN or its name; DISPATCH:NODE is the latest
    attempt at an electron. What is read is the job's log in CloudWatch Logs.
    """
    if picture is not None and picture.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"--plot {picture}: the name must end in {' or '.join(SUFFIXES)}.")
    found = the_job(history, job)
    points: list[Metric] = []
    read = (each for each in found.each_metric(follow) if not names or each.name in names)
    if follow:
        _show_as_they_come(read, points, form)
    else:
        points += read
        _show(points, form)
    if not points:
        which = f" named {' or '.join(names)}" if names else ""
        note(f"{found.name} is {found.status} and has logged no metric{which}.")
    elif picture is not None:
        _draw(points, picture, found.name)


def _draw(points: Sequence[Metric], picture: Path, title: str) -> None:
    try:
        plot(frame_of(points), picture, title=title)
    except OSError as error:
        raise PlotError(f"--plot {picture}: the file cannot be written: {error}") from error
    note(f"drawn into {picture}")


# --- all at once -------------------------------------------------------------------------------


def _show(points: Sequence[Metric], form: str | None) -> None:
    if form == "json":
        print_json([_record(each) for each in points])
    elif form == "csv":
        write = _csv_writer()
        for each in points:
            write(each)
    elif form == "terminal" and points:
        click.echo(_drawn(points))
    elif points:
        _print_newest(points)


def _print_newest(points: Sequence[Metric]) -> None:
    """Print metrics side by side, the newest rows of them."""
    names = dict.fromkeys(each.name for each in points)
    shown = set(list(names)[:SIDE_BY_SIDE])
    table = wide(frame_of([each for each in points if each.name in shown]))
    by = "iteration" if table.index.name == "iteration_number" else "time"
    rows = [
        {by: _at(at)} | {str(name): _number(value) for name, value in row.items()}
        for at, row in table.iloc[-ROWS:].iterrows()
    ]
    print_table([by, *map(str, table.columns)], rows)
    if len(names) > SIDE_BY_SIDE:
        note(
            f"these are the first {SIDE_BY_SIDE} of {len(names)} metrics; --metric chooses, "
            "--csv and --json give all."
        )
    if len(table) > ROWS:
        note(f"these are the newest {ROWS} of {len(table)} rows; --csv and --json give all.")


def _at(at: object) -> str:
    return at.isoformat(timespec="milliseconds") if isinstance(at, datetime) else str(at)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"


def _drawn(points: Sequence[Metric]) -> str:
    return terminal_plot(frame_of(points), width=min(console().width, MOST_COLUMNS))


# --- as they come ------------------------------------------------------------------------------


def _show_as_they_come(read: Iterable[Metric], points: list[Metric], form: str | None) -> None:
    """Show values as they come, and keep them; Ctrl-C ends that."""
    live = form == "terminal" and sys.stdout.isatty()
    show = _shower(form)
    with _live(points) if live else nullcontext():
        try:
            for each in read:
                points.append(each)
                show(each)
        except KeyboardInterrupt:
            note("no longer following; the job goes on.")
    if form == "terminal" and points and not live:
        click.echo(_drawn(points))


def _shower(form: str | None) -> Callable[[Metric], object]:
    """How one value is shown."""
    if form == "json":
        return lambda each: click.echo(json.dumps(_record(each)))
    if form == "csv":
        return _csv_writer()
    if form == "terminal":
        return lambda each: None
    return lambda each: click.echo(_line(each))


def _line(metric: Metric) -> str:
    at = f"iteration {metric.iteration}" if metric.iteration is not None else _time(metric)
    return f"{at}  {metric.name}  {metric.value:.10g}"


def _live(points: list[Metric]) -> Live:
    """The picture of what has come up to now, in place; drawn anew twice a second."""

    def picture() -> Text:
        finite = [each for each in points if math.isfinite(each.value)]
        return Text(_drawn(finite) if finite else "no metric yet")

    return Live(get_renderable=picture, console=console(), refresh_per_second=REDRAWS_A_SECOND)


# --- data ----------------------------------------------------------------------------------------


def _record(metric: Metric) -> dict[str, Any]:
    return {
        "metric": metric.name,
        # JSON has no word for what is not a finite number.
        "value": metric.value if math.isfinite(metric.value) else None,
        "iteration_number": metric.iteration,
        "timestamp": _time(metric),
    }


def _time(metric: Metric) -> str:
    """When it was logged (UTC); a log always says."""
    moment = datetime.fromtimestamp(metric.timestamp or 0.0, UTC)
    return moment.isoformat(timespec="milliseconds")


def _csv_writer() -> Callable[[Metric], object]:
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()

    def write(metric: Metric) -> None:
        writer.writerow(_record(metric) | {"value": metric.value})
        sys.stdout.flush()

    return write
