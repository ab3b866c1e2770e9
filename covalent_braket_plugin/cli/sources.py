"""Where commands get settings from: command line, Covalent's config file, environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.cli.output import note
from covalent_braket_plugin.permissions import AWS_IMAGE_ACCOUNT
from covalent_braket_plugin.settings import BY_NAME, Settings, resolve, unknown, with_local
from covalent_braket_plugin.settings.config_file import config_path, config_section

__all__ = [
    "Sources",
    "account_digits",
    "gather",
    "likely_account",
    "source_options",
]

SAMPLE_ACCOUNT = "123456789012"

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Sources:
    """What settings are resolved from.

    Attributes:
        given: What stands for the constructor's arguments.
        config: The section ``[executors.braket]``.
        environ: Environment variables.
    """

    given: Mapping[str, object]
    config: Mapping[str, object]
    environ: Mapping[str, str]

    def resolve(self) -> Settings:
        """Resolve, and fill in the local Braket if it is wanted and runs.

        Raises:
            SettingError: A value is not of its setting's type.
        """
        settings = resolve(self.given, self.config, self.environ)
        info = local_endpoint.find() if settings.local else None
        return with_local(settings, info) if info else settings


def source_options(command: Command) -> Command:
    """Give a command the options that say where settings come from."""
    options = (
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            help="A setting, as if passed to BraketExecutor(...); tags.KEY=VALUE for maps.",
        ),
        click.option(
            "--config",
            type=click.Path(dir_okay=False, exists=True, path_type=Path),
            help="Covalent's configuration file, if not the usual one.",
        ),
        click.option("--no-config", is_flag=True, help="Leave Covalent's config file unread."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def gather(assignments: Iterable[str], config: Path | None, no_config: bool) -> Sources:
    """Collect the sources that a command's options name, and warn about unknown keys.

    Raises:
        click.UsageError: An assignment cannot be understood.
        ConfigFileError: The config file cannot be read.
    """
    section = {} if no_config else config_section(config or config_path(os.environ))
    for name, guess in unknown(section):
        meant = f" (did you mean {guess}?)" if guess else ""
        note(f"{name} in [executors.braket] is not a setting{meant}; it is ignored.")
    return Sources(_given(assignments), section, os.environ)


def account_digits(
    context: click.Context, parameter: click.Parameter, account: str | None
) -> str | None:
    """Check an account that an option names; IAM may take a policy with a wrong one."""
    if account is not None and not re.fullmatch("[0-9]{12}", account):
        raise click.BadParameter(f"{account!r} is not an AWS account: write its 12 digits.")
    return account


def likely_account(settings: Settings) -> str:
    """The account of the role that the settings name; else a guess, and a note that says so."""
    for role in (settings.braket_job_execution_role_name, settings.assume_role_arn):
        found = re.search(r"::(\d{12}):", role or "")
        if found:
            return found[1]
    image = re.match(r"(\d{12})\.", settings.ecr_image_uri or "")
    account = image[1] if image and image[1] != AWS_IMAGE_ACCOUNT else SAMPLE_ACCOUNT
    note(f"only AWS knows which account this would be; {account} stands for it (see --account).")
    return account


def _given(assignments: Iterable[str]) -> dict[str, object]:
    given: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        name, dot, key = name.strip().partition(".")
        if not equals or name not in BY_NAME:
            raise click.UsageError(_bad_assignment(assignment, name, equals))
        if dot:
            given.setdefault(name, {})[key] = value
        else:
            given[name] = value
    return given


def _bad_assignment(assignment: str, name: str, equals: str) -> str:
    if not equals:
        return f"--set {assignment}: write NAME=VALUE."
    guess = unknown([name])[0][1]
    meant = f" Did you mean {guess}?" if guess else " See: covalent-braket settings"
    return f"--set {assignment}: there is no setting {name!r}.{meant}"
