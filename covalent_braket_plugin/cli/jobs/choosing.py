"""What commands about jobs have in common: where to look, and which job is meant."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from covalent_braket_plugin.cli.output import working
from covalent_braket_plugin.cli.sources import gather, source_options
from covalent_braket_plugin.errors import UnconfiguredError
from covalent_braket_plugin.history import History, HybridJob

__all__ = [
    "history_of",
    "job_argument",
    "moment",
    "the_job",
    "where_to_look",
    "with_history",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_AGO = {"d": "days", "h": "hours", "m": "minutes"}


def history_of(assignments: Iterable[str], config: Path | None, no_config: bool) -> History:
    """Look where a command's options, the configuration file and the environment say.

    Raises:
        click.ClickException: They name no region.
        LocalBraketError: The local Braket is wanted, and none runs.
    """
    with where_to_look():
        return History.of(gather(assignments, config, no_config).resolve())


@contextlib.contextmanager
def where_to_look() -> Iterator[None]:
    """Say how to name a region if none is named."""
    try:
        yield
    except UnconfiguredError as error:
        raise click.ClickException(
            "Where to look? Say --set region=us-east-1, or another region, for AWS; --set "
            "local=yes for the local Braket."
        ) from error


def with_history(command: Command) -> Command:
    """Give a command the options that say where to look, and a `History` that looks there."""

    @source_options
    @functools.wraps(command)
    def wrapped(
        *args: Any, assignments: Iterable[str], config: Path | None, no_config: bool, **more: Any
    ) -> Any:
        return command(*args, history=history_of(assignments, config, no_config), **more)

    return wrapped  # type: ignore[return-value]


def the_job(history: History, job: str) -> HybridJob:
    """Find the job that is meant.

    Raises:
        UnknownJobError: There is none, or more than one.
        AwsError: AWS refused or did not answer.
    """
    with working(f"Looking for {job} ..."):
        return history.job(job)


def job_argument(command: Command) -> Command:
    """Give a command the argument that says which job is meant.

    Its id or the beginning of it, its ARN, its name, or DISPATCH:NODE.
    """
    return click.argument("job", metavar="JOB")(command)


def moment(text: str) -> datetime:
    """Read a time: ``3d``, ``12h`` or ``30m`` ago, or an ISO date or time, local unless it says.

    Raises:
        click.BadParameter: It is no such thing.
    """
    ago = re.fullmatch(r"(\d{1,5})([dhm])", text)
    if ago:
        return datetime.now(UTC) - timedelta(**{_AGO[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time: write 3d, 12h, 30m or 2026-01-31."
        ) from error
