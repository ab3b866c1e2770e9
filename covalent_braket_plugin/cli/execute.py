"""``covalent-braket execute`` and ``executions``: one program on several devices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from covalent_braket_plugin.cli.sources import gather
from covalent_braket_plugin.errors import BraketPluginError, JobFailedError, PlotError
from covalent_braket_plugin.execution import ExecutionJob, Results, get_execution_jobs
from covalent_braket_plugin.execution import execute as send
from covalent_braket_plugin.execution.executing import DEFAULT_SHOTS
from covalent_braket_plugin.execution.handle import ENDED
from covalent_braket_plugin.monitoring.plots import SUFFIXES

__all__ = ["execute", "executions"]

Command = TypeVar("Command", bound=Callable[..., Any])

TERMINAL = "terminal"
ROWS = 20
MOST_COLUMNS = 100
LOOK_SECONDS = 1.0
SHORT = 8
AT_ONCE = 8
CTRL_C = 130

ENDING = f"a name that ends in {' or '.join(SUFFIXES)}, or {TERMINAL!r}"


def _shown(command: Command) -> Command:
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


def _numbers(
    context: click.Context, parameter: click.Parameter, values: Iterable[str]
) -> dict[str, float]:
    found = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(f"{value!r}: write NAME=NUMBER, such as theta=0.5.") from None
    return found


@click.command(
    short_help="Run one program on up to five devices, and compare them.",
    epilog="""\b
Examples:
  covalent-braket execute bell.qasm                      a local simulator: no AWS, no credentials
  covalent-braket execute bell.qasm -b SV1 -b Garnet --set max_cost=5
  covalent-braket execute bell.qasm -b SV1 -b DM1 --set local=yes --plot terminal
  covalent-braket execute program.qprog --shots 2000 --plot result.svg
  covalent-braket execute rotation.qasm --input theta=0.5 --json | jq .results
""",
)
@click.argument("program", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--backend",
    "-b",
    "backends",
    multiple=True,
    metavar="DEVICE",
    help="A device's name or ARN, or local:...; up to five times. Without: a local simulator.",
)
@click.option("--shots", type=click.IntRange(0), default=DEFAULT_SHOTS, show_default=True,
              help="How often each device runs it; 0: exact values, on simulators.")  # fmt: skip
@click.option("--job-name", help="What the execution is called; without: the file's name.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=NUMBER", callback=_numbers,
              help="A value for one of the program's parameters; repeatable.")  # fmt: skip
@click.option("--transpile/--no-transpile", default=True,
              help="Whether QPUs may choose qubits and gates.")  # fmt: skip
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE",
              help="A setting, as if passed to BraketExecutor(...).")  # fmt: skip
@click.option("--wait/--no-wait", default=True, help="Wait for the results, or only send it.")
@_shown
def execute(
    program: Path,
    backends: tuple[str, ...],
    shots: int,
    job_name: str | None,
    inputs: dict[str, float],
    transpile: bool,
    assignments: tuple[str, ...],
    wait: bool,
    plot: str | None,
    as_json: bool,
) -> None:
    """Run a program on up to five devices, each in a job of its own, and compare what they measure.

    PROGRAM is a file: OpenQASM 2 or 3, or what Classiq's SDK saved. Covalent's server has to run
    (covalent start). It is checked before anything is sent. The exit code is 1 if a device failed,
    130 after Ctrl-C, which does not stop the execution.
    """
    if plot and not wait:
        raise click.UsageError("--plot needs the results: leave --no-wait out.")
    settings: dict[str, Any] = dict(gather(assignments, None, True).given)
    job = send(
        program,
        backends or None,
        num_shots=shots,
        job_name=job_name,
        transpile=transpile,
        inputs=inputs,
        **settings,
    )
    if not as_json:
        click.echo(f"Sent: {job.id}", err=wait)
    if wait:
        _finish(job, plot, as_json)
    elif as_json:
        print_json(_row(job))


@click.group(
    short_help="Programs that were run with `execute`, and what became of them.",
    epilog="""\b
Examples:
  covalent-braket executions list
  covalent-braket executions show 3f2a
  covalent-braket executions result 3f2a --plot terminal
  covalent-braket executions cancel 3f2a
""",
)
def executions() -> None:
    """Look at executions of Covalent's server, whichever process or machine sent them.

    An EXECUTION is named by its id, which is the dispatch id of its workflow, or the beginning.
    """


def _execution(command: Command) -> Command:
    return click.argument("execution", metavar="EXECUTION")(command)


@executions.command(
    "list",
    epilog="""\b
Examples:
  covalent-braket executions list
  covalent-braket executions list --limit 20 --offset 20 --json
""",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True,
              help="At most so many.")  # fmt: skip
@click.option("--offset", type=click.IntRange(0), default=0, help="Pass over so many first.")
@json_option
def list_executions(limit: int, offset: int, as_json: bool) -> None:
    """List executions, the newest first."""
    with console(stderr=True).status("Looking for executions ..."):
        found = get_execution_jobs(offset, limit)
        with ThreadPoolExecutor(AT_ONCE) as pool:  # each costs questions to the server and Braket
            rows = list(pool.map(_row, found))
    if as_json:
        print_json(rows)
    elif rows:
        told = [{**row, "id": row["id"][:SHORT], "backends": ", ".join(row["backends"])}
                for row in rows]  # fmt: skip
        print_table(("id", "name", "status", "backends"), told, whole=("id", "status"))
    else:
        click.echo("No such executions." if offset else "No executions yet.")


@executions.command(
    epilog="""\b
Examples:
  covalent-braket executions show 3f2a
""",
)
@_execution
@json_option
def show(execution: str, as_json: bool) -> None:
    """Show how each device of an execution stands."""
    job = ExecutionJob.from_id(execution)
    told = {**_row(job), "statuses": job.statuses(), "url": job.url}
    if as_json:
        print_json(told)
        return
    click.echo(clean(f"{told['name']} is {told['status']}.\n{job.url}"))
    print_table(
        ("backend", "status"),
        [{"backend": name, "status": how} for name, how in told["statuses"].items()],
    )


@executions.command(
    epilog="""\b
Examples:
  covalent-braket executions result 3f2a
  covalent-braket executions result 3f2a --timeout 0 --partial --json
""",
)
@_execution
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS",
              help="Wait no longer; 0: ask once. Without: until it has ended.")  # fmt: skip
@click.option("--partial", is_flag=True, help="Show what is there, even if not all have ended.")
@_shown
def result(
    execution: str, timeout: float | None, partial: bool, plot: str | None, as_json: bool
) -> None:
    """Wait for an execution, and show what its devices measured."""
    _finish(ExecutionJob.from_id(execution), plot, as_json, timeout, partial)


@executions.command(
    epilog="""\b
Examples:
  covalent-braket executions cancel 3f2a
""",
)
@_execution
@json_option
def cancel(execution: str, as_json: bool) -> None:
    """Cancel an execution: its jobs and their quantum tasks.

    The exit code is 1 if it had ended before, or if its end is not known yet.
    """
    job = ExecutionJob.from_id(execution)
    with console(stderr=True).status(f"Cancelling {job.id[:SHORT]} ..."):
        cancelled = job.cancel()
    status = job.status()
    if as_json:
        print_json({"id": job.id, "status": status, "cancelled": cancelled})
    else:
        click.echo(f"{job.id[:SHORT]} is {status}.")
    if not cancelled:
        raise click.exceptions.Exit(1)


@executions.command(
    epilog="""\b
Examples:
  covalent-braket executions rename 3f2a "bell: first try"
""",
)
@_execution
@click.argument("name")
@json_option
def rename(execution: str, name: str, as_json: bool) -> None:
    """Give an execution another name: a tag of its jobs, which can be seen from everywhere."""
    job = ExecutionJob.from_id(execution)
    job.rename(name)
    if as_json:
        print_json({"id": job.id, "name": job.name})
    else:
        click.echo(f"{job.id[:SHORT]} is now {clean(job.name)}.")


@executions.command(
    "open",
    epilog="""\b
Examples:
  covalent-braket executions open 3f2a
  covalent-braket executions open 3f2a --json     only the address
""",
)
@_execution
@json_option
def open_execution(execution: str, as_json: bool) -> None:
    """Open the page that shows an execution live in a browser, and print its address."""
    job = ExecutionJob.from_id(execution)
    if as_json:
        print_json({"id": job.id, "url": job.url})
    else:
        click.echo(job.open())


# --- waiting and showing -----------------------------------------------------------------------


def _finish(
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
        print_json({**_row(job), **_told(found)})
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


def _row(job: ExecutionJob) -> dict[str, Any]:
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
