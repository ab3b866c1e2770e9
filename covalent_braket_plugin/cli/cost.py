"""``covalent-braket cost``: what a dispatch or a job has cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress
from rich.table import Table

from covalent_braket_plugin.cli.jobs.choosing import where_to_look
from covalent_braket_plugin.cli.money import LOCAL_NOTE, amount, print_source
from covalent_braket_plugin.cli.output import console, json_option, note, print_json, working
from covalent_braket_plugin.cli.sources import gather, source_options
from covalent_braket_plugin.costs.parts import Part
from covalent_braket_plugin.costs.prices import prices
from covalent_braket_plugin.costs.spending import Spent, summed
from covalent_braket_plugin.covalent_compat import store
from covalent_braket_plugin.covalent_compat.release import checked_release
from covalent_braket_plugin.covalent_compat.store import Dispatch
from covalent_braket_plugin.descriptions import Job, JobSummary, task_of
from covalent_braket_plugin.errors import UnknownJobError
from covalent_braket_plugin.history import HybridJob, lookup
from covalent_braket_plugin.history.where import connect
from covalent_braket_plugin.pipeline import Context

__all__ = ["cost"]

THREADS = 4
"""Braket is asked by so many at a time, which stays far below its rates."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BEGINNING = re.compile(r"[0-9a-f-]{1,35}")


@dataclass(frozen=True)
class _Bill:
    """What one job has cost."""

    job: Job
    spent: Spent

    def row(self) -> dict[str, Any]:
        """Say it for programs."""
        dispatch_id, node_id, attempt = task_of(self.job) or ("", None, 1)
        return {
            "dispatch_id": dispatch_id,
            "node_id": node_id,
            "electron": self.job.tags.get("covalent:electron", ""),
            "attempt": attempt,
            "job": self.job.arn,
            "status": self.job.status,
            "billed_seconds": self.job.billable_seconds,
            **_money(self.spent),
            "parts": [asdict(part) for part in self.spent.parts],
        }


@click.command(
    short_help="What a dispatch or a job has cost.",
    epilog="""\b
Examples:
  covalent-braket cost 6a5cf9f2                               the dispatch whose id begins so
  covalent-braket cost 6a5cf9f2:3                             the last job of its node 3
  covalent-braket cost arn:aws:braket:us-east-1:...:job/...   a job
  covalent-braket cost 6a5cf9f2 --json | jq .usd
""",
)
@click.argument("which", metavar="DISPATCH|JOB")
@source_options
@json_option
def cost(
    which: str, assignments: Iterable[str], config: Path | None, no_config: bool, as_json: bool
) -> None:
    """Show what a dispatch has cost, or one job: instances, and the quantum tasks of its jobs.

    A dispatch is named by its id or the beginning of it. Its jobs are found in the service by their
    tags, those of earlier attempts and of sublattices too. "About" stands before what is not
    settled: what still runs, and simulators whose results cannot be read (s3:GetObject), which then
    count from their making to their end. Quantum tasks that were made with boto3 and without the
    job's token are not the job's for Braket, and not seen here.
    """
    assignments = tuple(assignments)

    def place(region: str = "") -> Context:
        named = (f"region={region}", "quantum_device=local:none/none") if region else ()
        with where_to_look():
            return connect(gather((*assignments, *named), config, no_config).resolve())

    known = prices()
    bills = _bills(which.strip(), place)
    total, local = summed(bill.spent for bill in bills), place().settings.local
    if as_json:
        about = {"which": which, "local": local, "prices": known.source, "problem": known.problem}
        print_json({**about, **_money(total), "jobs": [bill.row() for bill in bills]})
        return
    _print(bills, total)
    print_source(known)
    if local:
        click.echo(LOCAL_NOTE)


def _money(found: Spent) -> dict[str, Any]:
    return {"usd": found.usd, "approximate": found.approximate, "unknown": list(found.unknown)}


def _bills(which: str, place: Any) -> list[_Bill]:
    """Find the jobs that are meant, oldest first, and ask what they cost."""
    if which.startswith("arn:"):
        ctx = place(which.split(":")[3] if which.count(":") > 4 else "")
        return _ask(ctx, [lookup.find(ctx, which)])
    if _BEGINNING.fullmatch(which):
        with working(f"Looking for {which} ..."):
            which = lookup.dispatch_of(place(), which)
    if _UUID.fullmatch(which):
        family = _family(which)
        since = min((each.began for each in family), default=None)
        ids = {which, *(each.dispatch_id for each in family)}
        bills = []
        for region in _regions(family):
            ctx = place(region)
            bills += _ask(ctx, _of(ctx, ids, since))
        if bills or family:
            return bills
    ctx = place()
    try:
        return _ask(ctx, [lookup.find(ctx, which)])
    except UnknownJobError as error:
        raise UnknownJobError(f"No dispatch with jobs has an id like that. {error}") from error


def _of(ctx: Context, dispatch_ids: set[str], since: datetime | None) -> list[JobSummary]:
    def is_one(job: JobSummary) -> bool:
        return (task_of(job) or ("",))[0] in dispatch_ids

    return [job for job in lookup.ours(ctx, since) if is_one(job)][::-1]


def _family(dispatch_id: str) -> list[Dispatch]:
    """Find a dispatch and its sublattices in Covalent's record on this machine, if it is there."""
    if not checked_release():
        note("sublattices are not looked for: this release of Covalent was not checked.")
        return []
    found, wanted = [], [dispatch_id]
    while wanted:
        dispatches = store.dispatches(dispatch_ids=wanted)
        found += dispatches
        nodes = (node for each in dispatches for node in each.nodes.values())
        wanted = [node.sub_dispatch_id for node in nodes if node.sub_dispatch_id]
    return found


def _regions(family: Sequence[Dispatch]) -> list[str]:
    """Where its jobs are; the region of the settings stands as an empty text."""
    handles = (node.handle for each in family for node in each.nodes.values())
    jobs = (handle for handle in handles if isinstance(handle, str) and ":job/" in handle)
    return sorted({arn.split(":")[3] for arn in jobs}) or [""]


def _ask(ctx: Context, jobs: Sequence[JobSummary]) -> list[_Bill]:
    def bill(found: JobSummary) -> _Bill:
        job = HybridJob(ctx, found)
        return _Bill(job.description, job.cost())

    with (
        Progress(console=console(stderr=True), transient=True) as progress,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        bar = progress.add_task("Asking Braket", total=len(jobs))
        found = []
        for each in pool.map(bill, jobs):
            found.append(each)
            progress.advance(bar)
    return found


def _print(bills: Sequence[_Bill], total: Spent) -> None:
    if not bills:
        click.echo("It has no jobs: nothing was charged.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("Workflow", "Electron", "Node", "Attempt", "Status", "Instance", "Quantum tasks")
    for column in (*columns, "Cost"):
        table.add_column(column, overflow="fold")
    for bill in bills:
        table.add_row(*_cells(bill))
    table.add_section()
    table.add_row(
        "Total", *[""] * (len(columns) - 1), amount(total.usd, approximate=total.approximate)
    )
    console().print(table)
    click.echo()
    for sentence in total.unknown:
        click.echo(f"{sentence} It is not in the total.")


def _said(part: Part) -> str:
    if part.unit == "minute":  # the note begins with how many tasks took so long
        return f"{part.what}: {part.note.partition(',')[0]}, {part.quantity * 60:.1f} s"
    return f"{part.what}: {part.quantity:.10g} {part.unit}{'s' if part.quantity != 1 else ''}"


def _cells(bill: _Bill) -> list[str]:
    row = bill.row()
    instance = [part for part in bill.spent.parts if part.unit == "hour"]
    seconds = sum(part.quantity for part in instance) * 3600
    tasks = [part for part in bill.spent.parts if part.unit != "hour"]
    said = ", ".join(map(_said, tasks))
    return [
        bill.job.tags.get("covalent:lattice", ""),
        row["electron"],
        str(row["node_id"]),
        str(row["attempt"]),
        row["status"],
        f"{seconds:.1f} s {bill.job.instance_type}" if instance else "not yet",
        said or "none",
        amount(row["usd"], approximate=row["approximate"]),
    ]
