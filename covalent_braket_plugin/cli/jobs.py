"""``covalent-braket jobs``: jobs that an earlier server left, and jobs that nobody waits for."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.table import Table

from covalent_braket_plugin import aws, local_endpoint
from covalent_braket_plugin.cli.output import console, json_option, note, print_json
from covalent_braket_plugin.cli.sources import gather, source_options
from covalent_braket_plugin.covalent_compat import store
from covalent_braket_plugin.covalent_compat.release import CHECKED_RELEASES, checked_release
from covalent_braket_plugin.covalent_compat.store import Dispatch, Node
from covalent_braket_plugin.descriptions import JobSummary
from covalent_braket_plugin.errors import (
    BraketPluginError,
    LocalBraketError,
    UnconfiguredError,
)
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.reattach import OURS, UNFINISHED, newest_jobs, task_of
from covalent_braket_plugin.settings import check_one

__all__ = ["jobs"]

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
CANCEL_GAP_SECONDS = 0.5
"""Braket takes two CancelJob calls a second."""
DAYS = 7

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Covalent's server is asked on this machine, not through a proxy."""


@click.group(
    short_help="Jobs that an earlier server left, or that nobody waits for.",
    epilog="""\b
Examples:
  covalent-braket jobs reattach            wait again for what a stopped server left
  covalent-braket jobs orphans             jobs that nobody waits for
  covalent-braket jobs orphans --cancel
""",
)
def jobs() -> None:
    """Find the jobs of Covalent's dispatches, after its server was stopped or killed."""


# --- reattach ----------------------------------------------------------------------------------


@jobs.command(short_help="Wait again for the jobs that an earlier server left.")
@click.argument("dispatch_id", required=False)
@click.option("--no-wait", is_flag=True, help="Do not wait until the dispatches have ended.")
@json_option
def reattach(dispatch_id: str | None, no_wait: bool, as_json: bool) -> None:
    """Let the running server go on with the dispatches that an earlier one left, or with one.

    A server that starts does that by itself, unless the setting `reattach` is off. Jobs that run
    are waited for, electrons that had not become jobs are submitted; none is submitted twice. The
    exit code is 1 if a dispatch did not complete.
    """
    _require_known_covalent()
    url = _server_url()
    found = _unfinished(dispatch_id)
    for dispatch in found:
        _ask(url, dispatch)
    if not no_wait and found:
        _wait(found, quiet=as_json)
        found = store.dispatches(dispatch_ids=[each.dispatch_id for each in found])
    rows = [_row(each, node) for each in found for node in each.nodes.values() if _shown(node)]
    _show_reattached(found, rows, as_json)
    if not no_wait and any(each.status != "COMPLETED" for each in found):
        raise click.exceptions.Exit(1)


def _require_known_covalent() -> None:
    if not checked_release():
        known = " and ".join(f"{release}.x" for release in CHECKED_RELEASES)
        raise click.ClickException(
            f"This works with Covalent {known} only: the installed one keeps its records in a way "
            "that was not checked."
        )


def _server_url() -> str:
    """Find the server that is configured here.

    Raises:
        click.ClickException: It does not answer, or uses another database.
    """
    from covalent._shared_files.config import get_config

    url = f"http://{get_config('dispatcher.address')}:{get_config('dispatcher.port')}"
    try:
        with _DIRECT.open(f"{url}/api/v2/dispatches?count=1", timeout=ANSWER_SECONDS) as answer:
            newest = json.load(answer)["dispatches"]
    except (OSError, ValueError, KeyError) as error:
        raise click.ClickException(
            f"Covalent's server does not answer at {url} ({error}). Start it with: covalent start. "
            "It goes on with what an earlier one left by itself, unless `reattach` is off."
        ) from error
    if newest and not store.dispatches(dispatch_ids=[newest[0]["dispatch_id"]]):
        raise click.ClickException(
            f"The server at {url} uses another database than {store.database_name()}: set "
            "COVALENT_DATABASE_URL and HOME here as they are in its environment."
        )
    return url


def _unfinished(dispatch_id: str | None) -> list[Dispatch]:
    if dispatch_id is None:
        return [each for each in store.dispatches(UNFINISHED) if _ours(each)]
    found = store.dispatches(dispatch_ids=[dispatch_id])
    if not found:
        raise click.ClickException(
            f"{store.database_name()} has no dispatch {dispatch_id}. See: covalent-braket jobs "
            "reattach, which lists all that are unfinished."
        )
    # Electrons of ours may be in its sublattices alone.
    others = (each for each in store.dispatches(UNFINISHED) if each.root_id == found[0].root_id)
    found += [each for each in others if each.dispatch_id != dispatch_id and _ours(each)]
    if not any(map(_ours, found)):
        raise click.ClickException(f"Dispatch {dispatch_id} has no electron on Braket.")
    return found


def _ours(dispatch: Dispatch) -> list[Node]:
    return [node for node in dispatch.nodes.values() if node.executor == OURS]


def _ask(url: str, dispatch: Dispatch) -> None:
    """Have the executor in the server's process go on with a dispatch."""
    node = next(iter(_ours(dispatch)), None)  # any will do: its executor is asked
    if dispatch.ended or node is None:
        return
    place = f"{url}/api/v2/dispatches/{dispatch.dispatch_id}/electrons/{node.node_id}/job"
    request = urllib.request.Request(
        place,
        data=json.dumps({"reattach": True}).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    with _DIRECT.open(request, timeout=ANSWER_SECONDS):
        return


def _wait(dispatches: Sequence[Dispatch], *, quiet: bool) -> None:
    ids = [each.dispatch_id for each in dispatches]
    said = ""
    while True:
        now = store.dispatches(dispatch_ids=ids)
        text = _progress(now)
        if not quiet and text != said:
            click.echo(text, err=True)
            said = text
        if all(each.ended for each in now):
            return
        time.sleep(LOOK_SECONDS)


def _progress(dispatches: Iterable[Dispatch]) -> str:
    nodes = [node for each in dispatches for node in each.nodes.values() if _shown(node)]
    ended = sum(node.ended for node in nodes)
    text = f"{ended} of {len(nodes)} electrons have ended"
    others = [n.name for n in nodes if n.status == "RUNNING" and n.executor != OURS]
    if others:  # they may be lost, and then this never ends
        text += f"; on other executors, and not gone on with from here: {', '.join(others)}"
    return text


def _shown(node: Node) -> bool:
    return not node.name.startswith(":")


def _row(dispatch: Dispatch, node: Node) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch.dispatch_id,
        "node_id": node.node_id,
        "electron": node.name,
        "executor": node.executor,
        "status": node.status,
        "job": node.handle if node.executor == OURS else None,
        "found": _found(dispatch, node),
    }


def _found(dispatch: Dispatch, node: Node) -> str:
    if node.ended:
        return "has ended"
    if node.executor != OURS:
        return "not ours"
    if isinstance(node.handle, str):
        return "its job is waited for"
    # A job may have been made that Covalent was not told of: the server looks for its tags.
    ready = dispatch.ready(node)
    return "its job is looked for, else made" if ready else "waits for other electrons"


def _show_reattached(
    dispatches: Sequence[Dispatch], rows: list[dict[str, Any]], as_json: bool
) -> None:
    if as_json:
        kept = [{"dispatch_id": each.dispatch_id, "status": each.status} for each in dispatches]
        print_json({"dispatches": kept, "electrons": rows})
    elif not dispatches:
        click.echo("No dispatch of Braket electrons is unfinished.")
    else:
        for each in dispatches:
            click.echo(f"Dispatch {each.dispatch_id} ({each.name}): {each.status}")
            mine = [row for row in rows if row["dispatch_id"] == each.dispatch_id]
            _print(("node_id", "electron", "status", "found", "job"), mine)


def _print(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    console().print(table)


# --- orphans -----------------------------------------------------------------------------------


class _Orphan(NamedTuple):
    """A job that has not ended, and why nobody here waits for it."""

    job: JobSummary
    why: str
    known: bool


@jobs.command(short_help="Find jobs that nobody waits for; cancel them if asked.")
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
    _require_known_covalent()
    calls = _calls(assignments, config, no_config)
    found = _found_orphans(calls, datetime.now(UTC) - timedelta(days=since))
    rows = [_orphan_row(each) for each in found]
    failed = False
    if cancel:
        chosen = [index for index, each in enumerate(found) if every or each.known]
        failed = _cancel(calls, [rows[index] for index in chosen])
    _show_orphans(rows, since, as_json)
    if failed:
        raise click.exceptions.Exit(1)


def _calls(assignments: Iterable[str], config: Path | None, no_config: bool) -> Jobs:
    """Make what looks for jobs; that takes a region, and no role, image or device."""
    settings = gather(assignments, config, no_config).resolve()
    if settings.local and local_endpoint.find() is None:
        raise LocalBraketError("No local Braket is running, so that there are no jobs.")
    if settings.region:
        check_one("region", settings.region)
    try:
        return Jobs(aws.clients_for(settings))
    except UnconfiguredError as error:
        raise click.ClickException(
            "Where to look? Say --set region=us-east-1, or another region, for AWS; --set "
            "local=yes for the local Braket."
        ) from error


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
        _print(columns, ours)
    if others:
        click.echo("\nOf dispatches that this server does not know:")
        _print(columns, others)
    if any(row["result"] is None for row in ours):
        note("covalent-braket jobs orphans --cancel cancels them.")
