"""``covalent-braket jobs orphans``: jobs that nobody waits for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from covalent_braket_plugin.cli.jobs.choosing import history_of
from covalent_braket_plugin.cli.jobs.reattach import require_known_covalent
from covalent_braket_plugin.cli.output import json_option, note, print_json, print_table
from covalent_braket_plugin.cli.sources import source_options
from covalent_braket_plugin.covalent_compat import store
from covalent_braket_plugin.covalent_compat.store import Dispatch
from covalent_braket_plugin.descriptions import JobSummary, task_of
from covalent_braket_plugin.errors import BraketPluginError
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.reattach import newest_jobs

__all__ = ["orphans"]

CANCEL_GAP_SECONDS = 0.5
"""Braket takes two CancelJob calls a second."""
DAYS = 7


class _Orphan(NamedTuple):
    """A job that has not ended, and why nobody here waits for it."""

    job: JobSummary
    why: str
    known: bool


@click.command(short_help="Find jobs that nobody waits for; cancel them if asked.")
@click.option("--cancel", is_flag=True, help="Cancel those whose dispatch this server knows.")
@click.option("--all", "every", is_flag=True, help="With --cancel: those of other servers too.")
@click.option(
    "--since", type=click.IntRange(1), default=DAYS, show_default=True, help="Days to look back."
)
@source_options
@json_option
def orphans(
    cancel: bool,
    every: bool,
    since: int,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Find jobs of this package, by their tags, that have not ended and that nobody waits for.

    Nobody waits for a job whose electron or dispatch has ended, nor for an earlier attempt. Jobs
    of dispatches that this server does not know may be another server's: they are listed apart,
    and left alone without --all. The exit code is 1 if a job could not be cancelled.
    """
    if every and not cancel:
        raise click.UsageError("--all says which jobs to cancel: it needs --cancel.")
    require_known_covalent()
    calls = history_of(assignments, config, no_config).calls
    found = _found_orphans(calls, datetime.now(UTC) - timedelta(days=since))
    rows = [_orphan_row(each) for each in found]
    failed = False
    if cancel:
        chosen = [index for index, each in enumerate(found) if every or each.known]
        failed = _cancel(calls, [rows[index] for index in chosen])
    _show_orphans(rows, since, as_json)
    if failed:
        raise click.exceptions.Exit(1)


def _found_orphans(calls: Jobs, since: datetime) -> list[_Orphan]:
    found = _orphans(calls.search(since))
    if not found:
        return []
    # A job may have ended, and then its electron, between the search and the look at the database.
    still_open = {job.arn for job in calls.search(since) if not _ending(job)}
    return [each for each in found if each.job.arn in still_open]


def _orphans(jobs: Sequence[JobSummary]) -> list[_Orphan]:
    """Pick the jobs that nobody waits for, oldest first."""
    newest = newest_jobs(jobs)
    ours = [(job, task) for job in jobs if (task := task_of(job)) is not None]
    open_jobs = [(job, task) for job, task in ours if not _ending(job)]
    ids = {dispatch_id for _, (dispatch_id, _, _) in open_jobs}
    known = {each.dispatch_id: each for each in store.dispatches(dispatch_ids=ids)}
    found = []
    for job, (dispatch_id, node_id, _) in reversed(open_jobs):
        dispatch = known.get(dispatch_id)
        why = _why(dispatch, node_id, newest[dispatch_id, node_id] is job)
        if why:
            found.append(_Orphan(job, why, dispatch is not None))
    return found


def _ending(job: JobSummary) -> bool:
    return job.ended or job.status == "CANCELLING"


def _why(dispatch: Dispatch | None, node_id: int, is_newest: bool) -> str:
    """Say why nobody waits for a job; empty if somebody does, or will."""
    if dispatch is None:
        return "this server does not know its dispatch"
    node = dispatch.nodes.get(node_id)
    if dispatch.ended:
        return f"its dispatch is {dispatch.status}"
    if node is None or node.ended:
        return f"its electron is {node.status}" if node else "its dispatch has no such electron"
    return "" if is_newest else "a later attempt of its electron was made"


def _orphan_row(orphan: _Orphan) -> dict[str, Any]:
    job, task = orphan.job, task_of(orphan.job)
    assert task is not None  # only ours are orphans
    return {
        "job": job.arn,
        "status": job.status,
        "electron": job.tags.get("covalent:electron", ""),
        "dispatch_id": task[0],
        "node_id": task[1],
        "attempt": task[2],
        "created": job.created_at.isoformat() if job.created_at else None,
        "why": orphan.why,
        "known": orphan.known,
        "result": None,
    }


def _cancel(calls: Jobs, rows: Sequence[dict[str, Any]]) -> bool:
    """Cancel jobs, and note in each row what came of it; returns whether one failed."""
    failed = False
    for index, row in enumerate(rows):
        if index:
            time.sleep(CANCEL_GAP_SECONDS)
        try:
            row["result"] = "cancelled" if calls.cancel(row["job"]) else "had ended already"
        except BraketPluginError as error:
            row["result"] = f"not cancelled: {error}"
            failed = True
    return failed


def _show_orphans(rows: Sequence[dict[str, Any]], since: int, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    ours = [row for row in rows if row["known"]]
    others = [row for row in rows if not row["known"]]
    if not ours:
        click.echo(f"No orphans: each open job of the last {since} days is waited for.")
    columns = ("electron", "status", "why", "result", "job")
    if ours:
        print_table(columns, ours)
    if others:
        click.echo("\nOf dispatches that this server does not know:")
        print_table(columns, others)
    if any(row["result"] is None for row in ours):
        note("covalent-braket jobs orphans --cancel cancels them.")
