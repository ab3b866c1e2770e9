"""``covalent-braket jobs list`` and ``show``: which jobs there are, and what became of one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from covalent_braket_plugin.cli.jobs.choosing import (
    job_argument,
    moment,
    the_job,
    with_history,
)
from covalent_braket_plugin.cli.money import LOCAL_NOTE, amount
from covalent_braket_plugin.cli.output import (
    clean,
    json_option,
    note,
    print_json,
    print_table,
    working,
)
from covalent_braket_plugin.errors import BraketPluginError
from covalent_braket_plugin.failure import braket_phases
from covalent_braket_plugin.failure.phases import seconds_text
from covalent_braket_plugin.history import History, HybridJob
from covalent_braket_plugin.history.service import STATUSES

__all__ = ["list_jobs", "row", "show"]

COLUMNS = ("job", "name", "status", "made", "took", "node", "workflow")
SHORT = 8
SHOWN_FILES = 10
"""So many characters of a UUID tell it apart for people; commands take them."""


@click.command(
    "list",
    short_help="Jobs of this package, newest first.",
    epilog="""\b
Examples:
  covalent-braket jobs list
  covalent-braket jobs list --status failed --since 7d
  covalent-braket jobs list --dispatch 2f6c61f7 --set region=us-east-1
  covalent-braket jobs list --limit 20 --offset 20 --json | jq '.[].arn'
""",
)
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many."
)
@click.option("--offset", type=click.IntRange(0), default=0, help="Pass over so many first.")
@click.option(
    "--dispatch",
    metavar="ID",
    help="Only those of this dispatch, named by its id or the beginning of it.",
)
@click.option(
    "--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only those in this status."
)
@click.option(
    "--since", type=moment, metavar="TIME", help="Only those made since then: 3d, 12h, 2026-01-31."
)
@with_history
@json_option
def list_jobs(
    history: History,
    limit: int,
    offset: int,
    dispatch: str | None,
    status: str | None,
    since: datetime | None,
    as_json: bool,
) -> None:
    """List jobs of this package, by their tags, from the service; other people's are left out.

    Each is named by the beginning of its id, which the other commands take. Braket searches by age
    only, so that --dispatch and --status look through all jobs, or those since a time.
    """
    with working("Looking for jobs ..."):
        found = history.jobs(limit + 1, offset, dispatch_id=dispatch, status=status, since=since)
    shown, more = found[:limit], len(found) > limit
    if as_json:
        print_json([row(job) for job in shown])
    elif not shown:
        click.echo("No such jobs." if offset or dispatch or status or since else "No jobs yet.")
    else:
        print_table(COLUMNS, map(_line, shown), whole=("job", "status", "took", "node"))
    if more and not as_json:
        note(f"There are older ones: --offset {offset + limit}")


def row(job: HybridJob) -> dict[str, Any]:
    """Write what is known of a job from the list, for programs."""
    return {
        "id": job.id,
        "arn": job.arn,
        "name": job.name,
        "status": job.status,
        "electron": job.electron,
        "workflow": job.workflow,
        "dispatch_id": job.dispatch_id,
        "node_id": job.node_id,
        "attempt": job.attempt,
        "device": job.device,
        "device_wanted": job.device_wanted,
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "ended_at": _iso(job.ended_at),
        "console_url": job.console_url,
    }


def _line(job: HybridJob) -> dict[str, str]:
    return {
        "job": job.id[:SHORT],
        "name": job.name,
        "status": job.status,
        "made": _local(job.created_at),
        "took": _took(job),
        "node": f"{job.dispatch_id[:SHORT]}:{job.node_id}",
        "workflow": job.workflow,
    }


@click.command(
    short_help="What became of a job: why it failed, how long its phases took, what it cost.",
    epilog="""\b
Examples:
  covalent-braket jobs show 1f0c3a42          the beginning of its id
  covalent-braket jobs show 2f6c61f7:0        node 0 of the dispatch that begins so
  covalent-braket jobs show energy-2f6c61f7e5a1-0-1 --json
""",
)
@job_argument
@with_history
@json_option
def show(history: History, job: str, as_json: bool) -> None:
    """Show all about a job; of a failed one first what Covalent shows with the electron.

    JOB is its id or the beginning of it, its ARN, its name, or DISPATCH:NODE (its newest attempt).
    """
    found = the_job(history, job)
    report, cost = found.report(), _cost(found)
    if as_json:
        print_json(_all(found, report, cost))
        return
    click.echo(clean(report), nl=False)
    for title, text in [*_rest(found), *_files(found)]:
        click.echo(f"{title}: {clean(text)}")
    click.echo(f"Cost: {cost['text']}")
    if found.ended and found.status != "COMPLETED":
        click.echo(f"What it printed: covalent-braket logs {found.id[:SHORT]}")
    if traceback := found.traceback():
        click.echo(f"\n{clean(traceback)}", nl=False)


def _rest(job: HybridJob) -> list[tuple[str, str]]:
    given = job.hyperparameters
    own = {k: v for k, v in job.tags.items() if not k.startswith("covalent:")}
    lines = [
        ("Electron", f"{job.electron}, node {job.node_id} of dispatch {job.dispatch_id}"),
        ("Workflow", job.workflow),
        ("Attempt", str(job.attempt)),
        ("Renamed", job.name if job.name != job.braket_name else ""),
        ("Device", job.device),
        ("Device wanted", job.device_wanted),
        ("Instance", job.instance_type),
        ("Made", _local(job.created_at)),
        ("Started", _local(job.started_at)),
        ("Ended", _local(job.ended_at)),
        ("Hyperparameters", json.dumps(given, ensure_ascii=False) if given else ""),
        ("Tags", ", ".join(f"{key}={value}" for key, value in own.items())),
    ]
    count, kept = job.checkpoints
    if count and job.status != "COMPLETED":
        lines.append(("Checkpoints", f"{count} files, kept in {kept}"))
    return [(title, text) for title, text in lines if text]


def _files(job: HybridJob) -> list[tuple[str, str]]:
    count, files = job.result_files
    if not count or not (place := job.result_archive()):
        return []
    shown = [f"{file.name} ({file.size} bytes)" for file in files[:SHOWN_FILES]]
    more = [f"{count - len(shown)} more"] if count > len(shown) else []
    return [
        ("Result files", ", ".join([*shown, *more])),
        ("They are in", f"{place} (covalent-braket jobs artifacts {job.id[:SHORT]})"),
    ]


def _all(job: HybridJob, report: str, cost: dict[str, Any]) -> dict[str, Any]:
    phases = [{"phase": name, "seconds": took} for name, took in braket_phases(job.description)]
    return {
        **row(job),
        "braket_name": job.braket_name,
        "instance_type": job.instance_type,
        "billable_seconds": job.billable_seconds,
        "hyperparameters": job.hyperparameters,
        "tags": job.tags,
        "phases": phases,
        "report": report,
        "checkpoints": {"files": job.checkpoints[0], "uri": job.checkpoints[1]},
        "result_files": [{"name": each.name, "bytes": each.size} for each in job.result_files[1]],
        "result_archive": job.result_archive() if job.result_files[0] else "",
        "traceback": job.traceback(),
        "cost": cost,
    }


def _cost(job: HybridJob) -> dict[str, Any]:
    try:
        spent = job.cost()
    except BraketPluginError as error:  # the rest is worth showing all the same
        return {"usd": None, "approximate": True, "text": f"not known: {error}"}
    notes = [*spent.unknown, *([LOCAL_NOTE] if job.is_local and spent.usd else [])]
    text = ". ".join((amount(spent.usd, approximate=spent.approximate), " ".join(notes)))
    text = text.removesuffix(". ")
    return {"usd": spent.usd, "approximate": spent.approximate, "text": text}


def _took(job: HybridJob) -> str:
    if job.started_at is None or job.ended_at is None:
        return ""
    return seconds_text((job.ended_at - job.started_at).total_seconds())


def _local(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
