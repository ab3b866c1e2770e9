"""From a job to the end of its task: waited for, collected, and tried again where that is wanted.

An attempt that failed for a reason that `retry_on` names is followed by another job for the same
task, of the same payload, until `retries` are used up. One that saved checkpoints is followed by a
job that goes on from them, where `resume_on` says so. Each attempt has keys, a job's name and a
client token of its own; what became of the earlier ones stands below the electron's stderr.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from covalent_braket_plugin import collecting, kept, node_log, pipeline, shared
from covalent_braket_plugin.asking import NewWorkMaker
from covalent_braket_plugin.collecting import Collected
from covalent_braket_plugin.costs.limits import Attempt
from covalent_braket_plugin.descriptions import Job, JobSummary
from covalent_braket_plugin.errors import BraketPluginError, NotFoundError
from covalent_braket_plugin.lifecycle import (
    CancelledBeforeError,
    KeepHandle,
    make_job,
    settled,
    wait,
)
from covalent_braket_plugin.monitoring import phases
from covalent_braket_plugin.monitoring.board import BOARD, Phase, newest
from covalent_braket_plugin.monitoring.follower import News, news_in
from covalent_braket_plugin.on_device import on_device
from covalent_braket_plugin.patience import patiently
from covalent_braket_plugin.pipeline import Context, Prepared
from covalent_braket_plugin.protocol import Keys, Place, Task
from covalent_braket_plugin.threads import in_thread, uploading

__all__ = ["finish"]

READ_BYTES = 16 * 1024 * 1024
"""So much of the end of a long stdout is read for metrics and status."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Way:
    """What stays the same for all attempts at a task, and what is noted of them.

    Of attempts before this server's it is not known whether they went on from checkpoints.
    """

    make: NewWorkMaker
    name: str
    place: Path
    nodes: Sequence[int]
    keep_handle: KeepHandle | None
    history: list[str] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)


async def finish(
    make: NewWorkMaker,
    data: dict[str, Any],
    place: Path,
    nodes: Sequence[int],
    keep_handle: KeepHandle | None = None,
) -> Collected:
    """See a task through, from a job that was made to what it left.

    Args:
        make: Settles the settings.
        data: What `covalent_braket_plugin.lifecycle.send` returned; ``job_arn`` alone will do.
        place: Directory for the files.
        nodes: The nodes that it is about.
        keep_handle: Stores the ARN of a further job for `cancel`; None where nobody can.

    Raises:
        AwsError: AWS cannot be asked.
        LocalBraketError: The local Braket that ran the job is gone.
        CancelledBeforeError: It was cancelled before a further attempt became a job.
    """
    node = data.get("dispatch_id", ""), data.get("node_id", 0)
    before = await in_thread(kept.read, place, data["job_arn"])
    if before is not None:
        await _show_end(node, before)
        return before
    way = _Way(make, data.get("name", "The electron"), place, nodes, keep_handle)
    while True:
        if data.get("instead"):
            way.history.append(data["instead"])
        job = await wait(make, data)
        phases.enter(*node, "collecting")
        ctx, collected = await _collected(way, data, job)
        _report(collected)
        try:
            again = await _again(way, ctx, collected)
        except CancelledBeforeError:
            await in_thread(collecting.clear, ctx, collected, nodes)
            raise
        if again is None:
            await in_thread(kept.keep, place, collected)
        await in_thread(collecting.clear, ctx, collected, nodes)
        if again is None:
            await _show_end(node, collected)
            return collected
        data = again


async def _collected(way: _Way, data: dict[str, Any], job: JobSummary) -> tuple[Context, Collected]:
    manifest = data.get("manifest")
    keys = Keys.from_manifest_uri(manifest) if manifest else None

    def collect() -> tuple[Context, Collected]:
        way.place.mkdir(parents=True, exist_ok=True)
        ctx = way.make(may_start=False)
        found = collecting.collect(ctx, job, way.name, way.place, keys, way.nodes, way.history)
        return ctx, found

    give_up_after = (await settled(way.make)).settings.give_up_after
    return await patiently(
        lambda: in_thread(collect), f"What {job.arn} left is not here yet", give_up_after
    )


async def _show_end(node: tuple[str, int], collected: Collected) -> None:
    """Show how an electron ended, and all that it told of itself; never fails."""
    try:
        await _shown(node, collected)
    except Exception:  # what came back is there, whoever looks or does not
        log.warning("The end of node %s of %s cannot be shown", node[1], node[0], exc_info=True)


async def _shown(node: tuple[str, int], collected: Collected) -> None:
    stdout = collected.texts_of(node[1]).stdout
    await node_log.finish(*node, empty=stdout is None)
    news = await in_thread(_news_of, stdout)
    changes = {"last_line": news.last_line, "status_text": news.status_text}
    told = {name: text for name, text in changes.items() if text}
    how: Phase = "cancelled" if collected.cancelled else "failed" if collected.kind else "completed"
    if how == "failed":
        told["error"] = collected.summary
    phases.enter(node[0], node[1], how, **told)
    BOARD.replace_metrics(*node, news.metrics)


def _news_of(stdout: Path | None) -> News:
    if stdout is None:
        return News()
    with stdout.open("rb") as file:
        file.seek(max(0, stdout.stat().st_size - READ_BYTES))
        news = news_in(line.decode("utf-8", "replace") for line in file)
    return replace(news, metrics=newest(news.metrics))


def _report(collected: Collected) -> None:
    job = collected.job
    if job is not None:
        events = ", ".join(job.event_types)
        billed = "unknown" if job.billable_seconds is None else f"{job.billable_seconds:.1f} s"
        log.info("%s ended %s (%s); billed: %s", job.name, job.status, events, billed)


async def _again(way: _Way, ctx: Context, collected: Collected) -> dict[str, Any] | None:
    """Make the next attempt's job; None if there is to be none.

    Raises:
        CancelledBeforeError: There is to be one, but the electron was cancelled.
    """
    job, keys = collected.job, collected.keys
    if job is None or keys is None:
        return None
    how = await _how(way, ctx, collected, job, keys.attempt)
    if how is None:
        return None
    attempt = keys.attempt
    task = _task_of(job, attempt + 1)
    if shared.cancel_wanted(task.dispatch_id, way.nodes):
        raise CancelledBeforeError
    of = "" if ctx.settings.resume_on else f" of {ctx.settings.retries + 1}"
    way.history.append(f"Attempt {attempt}{of} failed: {collected.summary} [{job.arn}]{how}")
    log.warning("%s", way.history[-1])
    try:
        return await _next_job(way, ctx, keys, task, Attempt(job, collected.spent))
    except BraketPluginError as error:
        text = f"Attempt {attempt + 1} could not be made: {error}"
        log.error("%s", text)
        await in_thread(collecting.add, collected, text)
        return None


async def _how(way: _Way, ctx: Context, collected: Collected, job: Job, attempt: int) -> str | None:
    """Decide whether there is another attempt, and say how it begins; None if there is none."""
    settings = ctx.settings
    refused = collected.spent is not None and collected.spent.refused
    if collected.kind == "electron" and refused:
        return None  # its quantum tasks were stopped by max_cost: another would have less left
    if collected.kind in settings.resume_on:
        why_not = await _why_not_resumed(way, ctx, job, attempt)
        if not why_not:
            way.resumed.append(attempt)
            return f" It goes on from its checkpoint, job {attempt + 1}."
    if collected.kind in settings.retry_on and attempt - len(way.resumed) <= settings.retries:
        return " Trying again."
    if collected.kind in settings.resume_on:
        text = f"It does not go on from a checkpoint: {why_not}"
        log.warning("%s: %s", job.name, text)
        await in_thread(collecting.add, collected, text)
    return None


async def _why_not_resumed(way: _Way, ctx: Context, job: Job, attempt: int) -> str:
    """Say why an attempt is not gone on with; empty if it is."""
    most = ctx.settings.resumes
    if max(len(way.resumed), attempt - 1 - ctx.settings.retries) >= most:
        return f"that was done {most} times already (`resumes`)."
    since = job.started_at or job.created_at
    saved = await in_thread(_saved_at, ctx, job)
    # S3 gives whole seconds. What was restored before the job began is not written again.
    if saved is None or (since is not None and saved < since.replace(microsecond=0)):
        return "this attempt saved nothing new (`job.checkpoint.save`)."
    return ""


def _saved_at(ctx: Context, job: Job) -> datetime | None:
    """Tell when the newest of a job's checkpoints was written; None if there is none."""
    try:
        return ctx.storage.changed_at(Place.of(job.checkpoints)) if job.checkpoints else None
    except BraketPluginError as error:  # what came back is not lost for that
        log.warning("The checkpoints of %s cannot be looked at: %s", job.arn, error)
        return None


async def _next_job(
    way: _Way, ctx: Context, staged: Keys, task: Task, before: Attempt
) -> dict[str, Any]:
    resumed = task.attempt - 1 in way.resumed
    note = f"{'goes on from its checkpoint, job' if resumed else 'attempt'} {task.attempt}"
    node = task.dispatch_id, task.node_id
    phases.enter(*node, "staging", note=note, attempt=task.attempt, job_arn="", job_name="")
    BOARD.replace_metrics(*node, ())
    await in_thread(node_log.of(*node).append, f"[{way.history[-1]} Attempt {task.attempt}:]\n")

    with shared.watching_for_cancel(task.dispatch_id, way.nodes) as withdrawn:
        to_job = await on_device(way.make, ctx, task, withdrawn)

        def prepare() -> tuple[Context, Prepared | None]:
            ctx = to_job.make(may_start=False)
            return ctx, pipeline.prepare_again(ctx, staged, task, before)

        ctx, prepared = await patiently(
            lambda: uploading(prepare),
            f"Attempt {task.attempt} at {task.name} is not prepared yet",
            ctx.settings.give_up_after,
            enough=withdrawn,
        )
        if prepared is None:
            raise NotFoundError(f"{staged.uri(staged.payload)} is not there any more")
        return await make_job(to_job, ctx, task, prepared, way.nodes, withdrawn, way.keep_handle)


def _task_of(job: Job, attempt: int) -> Task:
    """Read what a job is for from its tags: all that is known of one of an earlier server."""
    tags = job.tags
    return Task(
        dispatch_id=tags.get("covalent:dispatch_id", ""),
        node_id=int(tags.get("covalent:node_id", 0)),
        attempt=attempt,
        name=tags.get("covalent:electron", "") or "electron",
        lattice_name=tags.get("covalent:lattice", ""),
    )
