"""``covalent-braket deploy``: make what electrons need on AWS, look at it, remove it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from covalent_braket_plugin.cli import config_file
from covalent_braket_plugin.cli.config_file import Edit
from covalent_braket_plugin.cli.deploy_view import (
    ProgressView,
    change_rows,
    edit_rows,
    plan_table,
    say_config,
    state_table,
)
from covalent_braket_plugin.cli.output import console, json_option, print_json
from covalent_braket_plugin.cli.sources import (
    Sources,
    gather,
    source_options,
)
from covalent_braket_plugin.errors import DeployError
from covalent_braket_plugin.settings.config_file import config_path, config_section

__all__ = ["deploy"]

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_NAME = "covalent-braket"
NOT_DEPLOYED = 3
"""Exit code of ``status`` if there is nothing, as that of ``local status``."""


@click.group(
    short_help="Make what electrons need on AWS: bucket, role, policies, repository.",
    epilog="""\b
Examples:
  covalent-braket deploy up --dry-run                  what it would make; makes nothing
  covalent-braket deploy up --set region=us-east-1
  covalent-braket deploy status
  covalent-braket deploy down
  covalent-braket deploy template                      the same for CloudFormation
""",
)
def deploy() -> None:
    """Make what electrons need on AWS with Terraform 1.5 or newer, or OpenTofu.

    A bucket, a role for the jobs, a policy for whoever runs Covalent's server, and a repository
    for images of your own; nothing of it costs anything while it is not used. The state is kept in
    ~/.local/share/covalent-braket/deploy (or in $XDG_DATA_HOME): do not lose it.
    """


def _legal_name(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Check a name before it becomes a path; Terraform's own rule for it is the same."""
    if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?", name):
        raise click.BadParameter(
            f"{name!r} is not valid: 1 to 24 lower-case letters, digits and hyphens. "
            "Use a name such as my-team."
        )
    return name


def common_options(command: Command) -> Command:
    """Give a command the options that all of them have."""
    name = click.option(
        "--name",
        default=DEFAULT_NAME,
        show_default=True,
        callback=_legal_name,
        help="Name of the deployment; part of the names of what is made.",
    )
    return name(source_options(json_option(command)))


def variable_options(command: Command) -> Command:
    """Give a command the variables of the templates as options."""
    options = (
        click.option("--bucket-name", help="The bucket's name; begins with amazon-braket-."),
        click.option("--s3-prefix", help="Key prefix of payloads and outcomes.  [covalent]"),
        click.option(
            "--expire-days", type=int, help="Objects are deleted after so long; 0: never.  [30]"
        ),
        click.option("--kms-key-arn", help="KMS key that encrypts bucket and images."),
        click.option(
            "--force-destroy/--no-force-destroy",
            default=None,
            help="Whether `down` deletes a bucket or repository that is not empty.",
        ),
        click.option(
            "--monthly-budget-usd", type=float, help="Alarm at this cost of Braket; 0: none.  [0]"
        ),
        click.option("--budget-email", help="Who is told."),
        click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="For all of it."),
    )
    for option in reversed(options):
        command = option(command)
    return command


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@deploy.command(
    short_help="Make it, or change what is there.",
    epilog="""\b
Examples:
  covalent-braket deploy up --set region=us-east-1 --set profile=lab
  covalent-braket deploy up --monthly-budget-usd 100 --budget-email team@example.com
  covalent-braket deploy up --expire-days 7 --yes
""",
)
@variable_options
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@yes_option
@common_options
def up(
    name: str,
    dry_run: bool,
    yes: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
    **variables: Any,
) -> None:
    """Show what is to be made or changed, ask, do it, and tell Covalent of it.

    What you chose before stays chosen. The names of what was made go into [executors.braket] of
    Covalent's configuration file; nothing else in it changes.
    """
    from covalent_braket_plugin.deploy.plans import changes

    opened = _open(name, gather(assignments, config, no_config))
    with opened.proposing({"name": name, **_chosen(variables)}) as accept:
        todo = changes(_planned(opened))
        _show_plan(todo, as_json, "Nothing has to be changed.")
        if dry_run:
            _print_if(as_json, {"name": name, "changes": change_rows(todo)})
            return
        _ask(bool(todo) and not yes, f"Do this in account {opened.account}?")
        accept()
    _apply(opened, len(todo))
    path = None if no_config else config or config_path(os.environ)
    edits = _tell_covalent(opened, path)
    _report_up(opened, path, edits, change_rows(todo), list(assignments), as_json)


@deploy.command(
    short_help="What is there, and whether it is as it should be.",
    epilog="""\b
Examples:
  covalent-braket deploy status
  covalent-braket deploy status --set profile=lab
  covalent-braket deploy status --json
""",
)
@common_options
def status(
    name: str, assignments: Iterable[str], config: Path | None, no_config: bool, as_json: bool
) -> None:
    """Look at every resource, and at what Covalent's configuration file says.

    The exit code is 0 if all is as it should be, 1 if something differs, 3 if nothing is deployed.
    """
    from covalent_braket_plugin.deploy.plans import resources

    if not _exists(name):
        _nothing(name, as_json)
        raise click.exceptions.Exit(NOT_DEPLOYED)
    opened = _open(name, gather(assignments, config, no_config))
    with opened.proposing({}):
        plan = _planned(opened)
    path = None if no_config else config or config_path(os.environ)
    edits = config_file.edits(path, opened.config_values()) if path else []
    found = resources(plan)
    differs = any(each.action != "keep" for each in found)
    if as_json:
        rows = change_rows(found)
        print_json({"name": name, "resources": rows, "config": edit_rows(edits)})
    else:
        console().print(state_table(found))
        say_config(path, edits)
        if differs:
            click.echo("\nTo mend it: covalent-braket deploy up")
    if differs or edits:
        raise click.exceptions.Exit(1)


@deploy.command(
    short_help="Remove all of it.",
    epilog="""\b
Examples:
  covalent-braket deploy down
  covalent-braket deploy down --yes --json
  covalent-braket deploy up --force-destroy    first, to delete what is in the bucket as well
""",
)
@yes_option
@common_options
def down(
    name: str,
    yes: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Show what is to be removed, ask, remove it, and take its names out of Covalent's file."""
    from covalent_braket_plugin.deploy.plans import changes

    if not _exists(name):
        _nothing(name, as_json)
        return
    opened = _open(name, gather(assignments, config, no_config))
    with opened.proposing({}) as accept:
        plan = _planned(opened, destroy=True)
        todo = changes(plan)
        _show_plan(todo, as_json, "Nothing of it is there any more.")
        _demand_empty(plan, opened)
        _ask(bool(todo) and not yes, f"Remove this from account {opened.account}?")
        accept()
    _apply(opened, len(todo))
    path = None if no_config else config or config_path(os.environ)
    edits = _untell_covalent(opened, path)
    opened.forget()
    if as_json:
        print_json({"name": name, "changes": change_rows(todo), "config": edit_rows(edits)})
    else:
        click.echo(f"Removed: {len(todo)} resources.")
        say_config(path, edits, "")


@deploy.command(
    short_help="Where the CloudFormation templates are.",
    epilog="""\b
Examples:
  covalent-braket deploy template
  covalent-braket deploy template --cross-account     a role for a platform that acts for you
""",
)
@click.option("--cross-account", is_flag=True, help="The one of a role for another account.")
def template(cross_account: bool) -> None:
    """Print the path of a CloudFormation template, for those who do without Terraform."""
    from covalent_braket_plugin.deploy.workspace import cloudformation_template

    click.echo(cloudformation_template("cross-account-role" if cross_account else "braket"))


# --- steps ------------------------------------------------------------------------------------


def _open(name: str, sources: Sources) -> Any:
    from covalent_braket_plugin.deploy.deployment import Deployment, settings_of
    from covalent_braket_plugin.deploy.workspace import cloudformation_template

    settings = settings_of(sources.given, sources.config)
    try:
        return Deployment.of(name, settings)
    except DeployError as error:
        if "on PATH" not in str(error):
            raise
        raise DeployError(
            f"{error} Or without either: aws cloudformation deploy --stack-name {name} "
            f"--capabilities CAPABILITY_NAMED_IAM --template-file {cloudformation_template()}"
        ) from error


def _exists(name: str) -> bool:
    from covalent_braket_plugin.deploy.workspace import Workspace

    return Workspace.of(name, os.environ).exists


def _planned(opened: Any, *, destroy: bool = False) -> dict[str, Any]:
    with console(stderr=True).status("Looking at what is there ..."):
        opened.terraform.init()
        plan: dict[str, Any] = opened.terraform.plan(destroy=destroy)
    return plan


def _apply(opened: Any, total: int) -> None:
    if not total:
        opened.terraform.forget_plan()
        return
    try:
        with ProgressView(console(stderr=True), total) as view:
            opened.terraform.apply(view.hear)
    except KeyboardInterrupt:
        raise DeployError(
            "Interrupted. What was done until then is noted: `covalent-braket deploy up` goes on "
            "from there, `deploy down` removes it."
        ) from None


def _ask(wanted: bool, question: str) -> None:
    if wanted:
        click.confirm(question, abort=True, err=True)


def _demand_empty(plan: Mapping[str, Any], opened: Any) -> None:
    from covalent_braket_plugin.deploy.deployment import what_is_in_the_way

    full = what_is_in_the_way(plan, opened.clients)
    if full:
        raise DeployError(
            f"Nothing was removed: {' and '.join(full)}. Empty it, or have that deleted as well: "
            "run `covalent-braket deploy up --force-destroy`, then `deploy down` again."
        )


def _tell_covalent(opened: Any, path: Path | None) -> list[Edit]:
    """Write the names of what was made, and note what stood there before."""
    if path is None:
        return []
    values = opened.config_values()
    opened.remember_config(values, config_section(path))
    return _put(path, values)


def _untell_covalent(opened: Any, path: Path | None) -> list[Edit]:
    if path is None:
        return []
    return _put(path, opened.config_to_restore(config_section(path)))


def _put(path: Path, values: Mapping[str, Any]) -> list[Edit]:
    edits = config_file.edits(path, values)
    config_file.put(path, edits)
    return edits


def _chosen(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that were given on the command line."""
    chosen = {name: value for name, value in variables.items() if value not in (None, ())}
    if "tags" in chosen:
        pairs = [tag.partition("=") for tag in chosen["tags"]]
        wrong = next((key for key, equals, _ in pairs if not equals or not key), None)
        if wrong is not None:
            raise click.UsageError(f"--tag {wrong}: write KEY=VALUE.")
        chosen["tags"] = {key: value for key, _, value in pairs}
    return chosen


# --- output -----------------------------------------------------------------------------------


def _show_plan(todo: list[Any], as_json: bool, nothing: str) -> None:
    out = console(stderr=as_json)
    out.print(plan_table(todo) if todo else nothing)


def _report_up(
    opened: Any,
    path: Path | None,
    edits: list[Edit],
    rows: list[dict[str, Any]],
    assignments: list[str],
    as_json: bool,
) -> None:
    outputs = opened.terraform.outputs()
    if as_json:
        where = {"config_file": str(path) if path else None, "config": edit_rows(edits)}
        print_json({"changes": rows, "outputs": outputs, **where})
        return
    say_config(path, edits)
    click.echo(f"\nWhoever runs Covalent's server needs the policy {outputs['caller_policy_arn']}")
    same = "".join(f" --set {assignment}" for assignment in assignments)
    click.echo(f"Next: covalent-braket doctor{same}")


def _nothing(name: str, as_json: bool) -> None:
    _print_if(as_json, {"name": name, "resources": [], "changes": [], "config": []})
    if not as_json:
        click.echo(f"Nothing is deployed under the name {name!r}.")


def _print_if(as_json: bool, value: object) -> None:
    if as_json:
        print_json(value)
