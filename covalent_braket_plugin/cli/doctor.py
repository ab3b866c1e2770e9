"""``covalent-braket doctor``: is everything there that a job needs?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from covalent_braket_plugin.cli.output import console, json_option, note, print_json
from covalent_braket_plugin.cli.sources import gather, source_options
from covalent_braket_plugin.errors import ConfigFileError, SettingError
from covalent_braket_plugin.settings.config_file import config_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from covalent_braket_plugin.doctor import Check, Finding
    from covalent_braket_plugin.settings import Settings

__all__ = ["doctor"]

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
_TRIAL_TAKES = "a real job, a few minutes on AWS; Ctrl-C cancels it"


@click.command(
    short_help="Check all that a job needs, with a fix for what is missing.",
    epilog="""\b
Examples:
  covalent-braket doctor                        the settings in force
  covalent-braket doctor --set local=yes        the local Braket
  covalent-braket doctor --set profile=lab --set region=eu-west-2
  covalent-braket doctor --run                  and run one tiny job
  covalent-braket doctor --json | jq '.checks[] | select(.state == "failed")'
""",
)
@click.option("--run", "with_trial", is_flag=True, help="Run one tiny job at the end; it costs.")
@source_options
@json_option
def doctor(
    with_trial: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Check all that a job needs, from what is installed to the quotas, and name a fix for each.

    Nothing is changed; a small object is written to the bucket and deleted again. The exit code
    is 1 if a check failed; warnings do not count.
    """
    if with_trial and (config or no_config):
        raise click.UsageError(
            "--run is for the settings that an executor finds: it reads Covalent's own "
            "configuration file, so --config and --no-config do not go with it."
        )
    # Covalent and boto3 are loaded when they are needed.
    from covalent_braket_plugin.doctor import CHECKS, TRIAL, Exam, examine

    exam = Exam(*_settled(assignments, config, no_config))
    checks = (*CHECKS, TRIAL) if with_trial else CHECKS
    # Covalent, if its log_level is debug, logs to stdout, where JSON is read.
    with _progress() as begin, redirect_stdout(sys.stderr):
        findings = list(examine(exam, checks, begin=begin))
    _show(findings, as_json)
    if any(each.state == "failed" for each in findings):
        raise click.exceptions.Exit(1)


def _settled(
    assignments: Iterable[str], config: Path | None, no_config: bool
) -> tuple[Callable[[], Settings], Mapping[str, object]]:
    """What resolves the settings, and what was given; a file that cannot be read is a finding."""
    try:
        sources = gather(assignments, config, no_config)
    except ConfigFileError as error:
        place = str(config or config_path(os.environ))
        why = str(error).removeprefix(f"{place} cannot be read: ")

        def refuse() -> NoReturn:
            rule = f"it must be Covalent's configuration ({why})"
            raise SettingError("--config", place, rule, "Mend the file, or move it away.")

        return refuse, gather(assignments, None, no_config=True).given
    return sources.resolve, sources.given


@contextmanager
def _progress() -> Iterator[Callable[[Check], object]]:
    """Say on stderr what is looked at; in a pipe only what takes long."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    terminal = console(stderr=True)
    watched = terminal.is_terminal
    with Progress(*columns, console=terminal, transient=True, disable=not watched) as bar:
        task = bar.add_task("")

        def begin(check: Check) -> None:
            if check.name == "trial job" and not watched:
                note(f"{check.name}: {_TRIAL_TAKES}")
            said = f"{check.name} ({_TRIAL_TAKES})" if check.name == "trial job" else check.name
            bar.reset(task, description=f"Checking: {said}")

        yield begin


def _show(findings: list[Finding], as_json: bool) -> None:
    counts = {state: sum(each.state == state for each in findings) for state in _STYLES}
    if as_json:
        checks = [each.as_dict() for each in findings]
        print_json({"ok": not counts["failed"], "counts": counts, "checks": checks})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Check", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Found", overflow="fold")
    for each in findings:
        cells = Text(each.check), Text(each.state, _STYLES[each.state]), Text(each.found)
        table.add_row(*cells)
        if each.fix:
            table.add_row("", Text("fix", "bold"), Text(each.fix))
    console().print(table)
    said = [f"{count} {state}" for state, count in counts.items() if count]
    click.echo(f"\n{', '.join(said)}")
