"""``covalent-braket jobs cancel``, ``rename``, ``delete`` and ``open``."""

from __future__ import annotations

import os

import click

from covalent_braket_plugin.cli.jobs.choosing import job_argument, the_job, with_history
from covalent_braket_plugin.cli.output import clean, json_option, print_json, working
from covalent_braket_plugin.history import History

__all__ = ["cancel", "delete", "open_job", "rename"]


@click.command(
    short_help="Cancel a job and the quantum tasks that it left open.",
    epilog="""\b
Examples:
  covalent-braket jobs cancel 2f6c61f7:0
""",
)
@job_argument
@with_history
@json_option
def cancel(history: History, job: str, as_json: bool) -> None:
    """Cancel a job and the quantum tasks that it left open; its electron ends with it.

    To cancel a whole workflow, use Covalent's ct.cancel. Once more does no harm. The exit code is
    1 if the job had ended otherwise before, or if its end is not known yet.
    """
    found = the_job(history, job)
    with working(f"Cancelling {found.name} ..."):
        cancelled = found.cancel()
    if as_json:
        print_json({"job": found.arn, "status": found.status, "cancelled": cancelled})
    else:
        click.echo(f"{found.name} is {found.status}.")
    if not cancelled:
        raise click.exceptions.Exit(1)


@click.command(
    short_help="Give a job another name.",
    epilog="""\b
Examples:
  covalent-braket jobs rename 2f6c61f7:0 "best run"
""",
)
@job_argument
@click.argument("name")
@with_history
@json_option
def rename(history: History, job: str, name: str, as_json: bool) -> None:
    """Give a job another name, by which these commands find it too.

    Braket does not rename jobs: its console shows the old name, and the new one as the tag
    covalent:name.
    """
    found = the_job(history, job)
    found.rename(name)
    if as_json:
        print_json({"job": found.arn, "name": found.name, "braket_name": found.braket_name})
    else:
        click.echo(f"{found.braket_name} is now {found.name}.")


@click.command(
    short_help="Delete what a job has in S3.",
    epilog="""\b
Examples:
  covalent-braket jobs delete 2f6c61f7:0
  covalent-braket jobs delete 2f6c61f7:0 --yes --json
""",
)
@job_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_history
@json_option
def delete(history: History, job: str, yes: bool, as_json: bool) -> None:
    """Delete what an ended job has in S3: payload, value, record, result files and checkpoints.

    Checkpoints stay if a later job of its electron has saved some. Braket keeps the job itself and
    its log. What Covalent has of it stays. Once more does no harm.
    """
    found = the_job(history, job)
    if not yes:
        what = f"Delete all that {found.name} ({found.status}) has in S3?"
        click.confirm(what, abort=True, err=as_json)
    deleted = found.delete()
    if as_json:
        print_json({"job": found.arn, "deleted": deleted})
    else:
        click.echo(clean("\n".join(deleted)) or f"{found.name} has nothing in S3.")


@click.command(
    "open",
    short_help="Open a job's page of the AWS console in a browser.",
    epilog="""\b
Examples:
  covalent-braket jobs open 2f6c61f7:0
  covalent-braket jobs open 2f6c61f7:0 --json     only the addresses
""",
)
@job_argument
@with_history
@json_option
def open_job(history: History, job: str, as_json: bool) -> None:
    """Open the page of the AWS console that shows a job, and print its address.

    A job of the local Braket has none: then the address of its electron's live page is printed.
    """
    found = the_job(history, job)
    url, live = found.console_url, found.live_url(os.environ)
    if as_json:
        print_json({"job": found.arn, "console_url": url, "live_url": live})
    elif url:
        click.echo(url)
        click.launch(url)
    else:
        click.echo(f"The local Braket has no console. While Covalent's server runs: {live}")
