"""``covalent-braket render``: the exact request of an electron, not sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.cli.output import console, json_option, note, print_json
from covalent_braket_plugin.cli.sources import (
    account_digits,
    gather,
    likely_account,
    source_options,
)
from covalent_braket_plugin.costs import limits
from covalent_braket_plugin.costs.prices import at_hand
from covalent_braket_plugin.devices.catalogue import located
from covalent_braket_plugin.errors import LocalBraketError
from covalent_braket_plugin.permissions import DEFAULT_ROLE_NAME
from covalent_braket_plugin.protocol import Keys, Task
from covalent_braket_plugin.request import create_job_request, role_arn
from covalent_braket_plugin.settings import Settings, check_complete, with_region

__all__ = ["render"]

SAMPLE_DISPATCH = "00000000-0000-4000-8000-000000000000"


@click.command(
    short_help="The exact CreateJob request, not sent.",
    epilog="""\b
Examples:
  covalent-braket render --electron energy
  covalent-braket render --set time_limit=3600 --set classical_device=ml.c5.xlarge
  covalent-braket render --set local=yes --json     (covalent-braket local start first)
""",
)
@click.option("--electron", default="my_electron", show_default=True, help="The function's name.")
@click.option("--lattice", default="my_workflow", show_default=True, help="The workflow's name.")
@click.option("--account", metavar="DIGITS", callback=account_digits, help="AWS account to show.")
@source_options
@json_option
def render(
    electron: str,
    lattice: str,
    account: str | None,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Show the CreateJob request that an executor would make, without sending anything.

    The names of a sample dispatch stand in for a real one's; the manifest's digest is zeros.
    """
    settings, partition = _complete(gather(assignments, config, no_config).resolve())
    task = Task(SAMPLE_DISPATCH, 0, 1, electron, lattice)
    request = _request(settings, task, account or likely_account(settings), partition)
    if as_json:
        print_json(request)
    else:
        console().print_json(data=request)
        note(f"{limits.sentence(settings, settings.region or '', at_hand())}.")


def _complete(settings: Settings) -> tuple[Settings, str]:
    """Fill in the region from AWS's own configuration files, and tell the partition.

    No call leaves the machine, unless a device is named that Braket has to look up.
    """
    if settings.local and settings.endpoint_url is None:
        raise LocalBraketError(
            "The local Braket does not run, so its role is not known. "
            "Start it with: covalent-braket local start"
        )
    check_complete(settings)
    settings = located(settings)
    clients = clients_for(settings)
    return with_region(settings, clients.region), clients.partition


def _request(settings: Settings, task: Task, account: str, partition: str) -> dict[str, Any]:
    bucket = settings.s3_bucket_name or f"amazon-braket-{settings.region}-{account}"
    keys = Keys.of(bucket, settings.s3_prefix, task)
    role = settings.braket_job_execution_role_name
    if role is None:
        role = DEFAULT_ROLE_NAME.rstrip("*")
        note(f"the account's own default role would be looked up; {role} stands for it.")
    arn = role_arn(role, account, partition)
    return create_job_request(settings, task, keys, "0" * 64, arn)
