"""``covalent-braket policy``: the IAM policies that are needed, and nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from covalent_braket_plugin.aws import Clients, clients_for
from covalent_braket_plugin.cli.output import console, json_option, note, print_json
from covalent_braket_plugin.cli.sources import (
    account_digits,
    gather,
    likely_account,
    source_options,
)
from covalent_braket_plugin.errors import BraketPluginError, LocalBraketError
from covalent_braket_plugin.image_push import parsed
from covalent_braket_plugin.permissions import (
    CALLER,
    PUSHER,
    ROLE,
    Grant,
    Scope,
    caller_policy,
    grants,
    platform_trust_policy,
    pusher_policy,
    role_policy,
    trust_policy,
)
from covalent_braket_plugin.scopes import scope_of
from covalent_braket_plugin.settings import Settings, check_complete, rules

__all__ = ["policy"]


def _external(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value and rules.external_id(value):
        raise click.BadParameter(f"{value!r}: use 2 to 1224 letters, digits and + = , . @ : / _ -.")
    return value


_account_option = click.option(
    "--account",
    metavar="DIGITS",
    callback=account_digits,
    help="AWS account of the jobs; unset: the one that AWS says you call as.",
)
_explain_option = click.option(
    "--explain", is_flag=True, help="Say of each permission why it is needed."
)


@click.group(
    short_help="The IAM policies that are needed.",
    epilog="""\b
Examples:
  covalent-braket policy caller > caller.json    for whoever runs Covalent's server
  covalent-braket policy role > role.json        for the role that jobs run as
  covalent-braket policy trust > trust.json      who may take that role: Braket
  covalent-braket policy image > image.json      for whoever pushes images of your own
  covalent-braket policy caller --explain        why each permission is needed
""",
)
def policy() -> None:
    """Print IAM policies for the settings in force, with no permission that is not needed."""


@policy.command(
    epilog="""\b
Examples:
  covalent-braket policy caller --account 123456789012
  covalent-braket policy caller --set s3_bucket_name=amazon-braket-ours --explain
  aws iam create-policy --policy-name braket-caller --policy-document file://caller.json
"""
)
@_account_option
@_explain_option
@source_options
@json_option
def caller(
    account: str | None,
    explain: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Print the policy of whoever runs Covalent's server."""
    settings = gather(assignments, config, no_config).resolve()
    scope = _scope(settings, account)
    if settings.assume_role_arn:
        note(
            f"this is the policy of {settings.assume_role_arn}; whoever assumes it needs "
            "sts:AssumeRole on it, and nothing else."
        )
    if explain:
        _explain(CALLER, scope, as_json)
    else:
        print_json(caller_policy(scope))


@policy.command(
    epilog="""\b
Examples:
  covalent-braket policy role --account 123456789012
  covalent-braket policy role --set s3_bucket_name=amazon-braket-ours --explain
  aws iam put-role-policy --role-name Runner --policy-name jobs --policy-document file://role.json
"""
)
@_account_option
@_explain_option
@source_options
@json_option
def role(
    account: str | None,
    explain: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Print the policy of the role that jobs run as."""
    scope = _scope(gather(assignments, config, no_config).resolve(), account)
    if explain:
        _explain(ROLE, scope, as_json)
    else:
        print_json(role_policy(scope))


@policy.command(
    epilog="""\b
Examples:
  covalent-braket policy image --repository amazon-braket-ours
  covalent-braket policy image --repository amazon-braket-ours --explain
"""
)
@click.option(
    "--repository", metavar="NAME|URI", help="ECR repository; else that of ecr_image_uri."
)
@_account_option
@_explain_option
@source_options
@json_option
def image(
    repository: str | None,
    account: str | None,
    explain: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Print the policy of whoever pushes an image of their own (covalent-braket image push)."""
    scope = _scope(gather(assignments, config, no_config).resolve(), account)
    if not (repository or scope.repository):
        raise click.UsageError("Say which repository: --repository NAME, or set ecr_image_uri.")
    if repository:
        registry, name = parsed(repository, scope.region)
        ecr = f"arn:{scope.partition}:ecr:{scope.region}:{registry or scope.account}"
        scope = replace(scope, repository=f"{ecr}:repository/{name}")
    if explain:
        _explain(PUSHER, scope, as_json)
    else:
        print_json(pusher_policy(scope))


@policy.command(
    short_help="Print who may take the role: Braket, or a platform in another account.",
    epilog="""\b
Examples:
  covalent-braket policy trust > trust.json
  aws iam create-role --role-name Runner --assume-role-policy-document file://trust.json
  covalent-braket policy trust --platform 111122223333 --external-id our-id
""",
)
@click.option(
    "--platform",
    metavar="DIGITS",
    callback=account_digits,
    help="Trust this AWS account instead of Braket.",
)
@click.option(
    "--external-id", metavar="TEXT", callback=_external, help="What the platform has to say."
)
@click.option(
    "--partition",
    type=click.Choice(["aws", "aws-cn", "aws-us-gov"]),
    default="aws",
    show_default=True,
    help="Of the platform's account.",
)
def trust(platform: str | None, external_id: str | None, partition: str) -> None:
    """Print who may take the role: Braket, for jobs, or a platform that acts in your account."""
    if bool(platform) != bool(external_id):
        raise click.UsageError(
            "--platform and --external-id go together: a role that trusts another account "
            "without an external id can be taken by any customer of that platform."
        )
    if platform and external_id:
        print_json(platform_trust_policy(partition, platform, external_id))
    else:
        print_json(trust_policy())


def _scope(settings: Settings, account: str | None) -> Scope:
    if settings.local and settings.endpoint_url is None:
        raise LocalBraketError(
            "The local Braket does not run, so its role and bucket are not known. "
            "Start it with: covalent-braket local start"
        )
    check_complete(settings)
    _demand_same_account(settings, account)
    clients = clients_for(settings)
    if "alias/" in (settings.kms_key_id or ""):
        note("IAM knows no aliases of keys: put the key's id in place of the * behind key/.")
    return scope_of(
        settings,
        region=clients.region,
        account=account or _account(clients, settings),
        partition=clients.partition,
    )


def _demand_same_account(settings: Settings, account: str | None) -> None:
    """Refuse another account than that of the jobs' role: Braket would, too."""
    role = settings.braket_job_execution_role_name or ""
    found = re.search(r"::(\d{12}):", role)
    if account and found and found[1] != account:
        raise click.UsageError(
            f"--account {account}: braket_job_execution_role_name={role} is of another account, "
            "and jobs run in that of their role. Set the role of this account, or leave --account "
            "out."
        )


def _account(clients: Clients, settings: Settings) -> str:
    """The account that the jobs would be in, as STS says; a likely one if it does not."""
    try:
        return clients.account_id()
    except BraketPluginError:
        return likely_account(settings)


def _explain(permissions: Iterable[Grant], scope: Scope, as_json: bool) -> None:
    found = grants(permissions, scope)
    if as_json:
        print_json([{**grant.statement(), "why": grant.why} for grant in found])
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 1, 0))
    for title in ("Permissions", "On", "Why"):
        table.add_column(title, overflow="fold")
    for grant in found:
        cells = ("\n".join(grant.actions), "\n".join(grant.resources), grant.why)
        table.add_row(*(Text(cell) for cell in cells))
    console().print(table)
