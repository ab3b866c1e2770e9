"""``covalent-braket executions``: what became of programs that were run on devices."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import click

from covalent_braket_plugin.cli.execute_view import SHORT, finish, row, shown
from covalent_braket_plugin.cli.output import clean, console, json_option, print_json, print_table
from covalent_braket_plugin.execution import ExecutionJob, get_execution_jobs

__all__ = ["executions"]

Command = TypeVar("Command", bound=Callable[..., Any])

AT_ONCE = 8


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
            rows = list(pool.map(row, found))
    if as_json:
        print_json(rows)
    elif rows:
        told = [{**each, "id": each["id"][:SHORT], "backends": ", ".join(each["backends"])}
                for each in rows]  # fmt: skip
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
    told = {**row(job), "statuses": job.statuses(), "url": job.url}
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
@shown
def result(
    execution: str, timeout: float | None, partial: bool, plot: str | None, as_json: bool
) -> None:
    """Wait for an execution, and show what its devices measured."""
    finish(ExecutionJob.from_id(execution), plot, as_json, timeout, partial)


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
