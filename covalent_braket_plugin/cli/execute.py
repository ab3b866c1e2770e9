"""``covalent-braket execute``: one program on several devices."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from covalent_braket_plugin.cli.execute_view import finish, row, shown
from covalent_braket_plugin.cli.output import print_json, working
from covalent_braket_plugin.cli.sources import gather
from covalent_braket_plugin.execution import execute as send
from covalent_braket_plugin.execution.executing import DEFAULT_SHOTS

__all__ = ["execute"]


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
@shown
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
    with working(f"Reading and sending {program} ..."):
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
        finish(job, plot, as_json)
    elif as_json:
        print_json(row(job))
