"""What happens to one task between Covalent's calls: sent, waited for, cancelled; all async.

Knows no Covalent: `covalent_braket_plugin.braket` translates.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covalent_braket_plugin import local_endpoint, pipeline, shared, staging
from covalent_braket_plugin.cancelling import ContextMaker, cancel
from covalent_braket_plugin.descriptions import Job, JobSummary, Page
from covalent_braket_plugin.errors import (
    AwsError,
    LocalBraketError,
    NotFoundError,
    UnreachableError,
)
from covalent_braket_plugin.packing import Group
from covalent_braket_plugin.pipeline import Context, Prepared
from covalent_braket_plugin.protocol import Task
from covalent_braket_plugin.scheduler import WithdrawnError
from covalent_braket_plugin.threads import in_thread, quickly

__all__ = ["CancelledBeforeError", "now", "send", "wait"]

log = logging.getLogger(__name__)


class CancelledBeforeError(Exception):
    """The task was cancelled before it became a job."""


def now() -> str:
    """The time, as the phases hand it on."""
    return datetime.now(UTC).isoformat()


async def send(
    make: ContextMaker,
    group: Group,
    task: Task,
    place: Path,
    keep_handle: Callable[[str], Awaitable[Any]],
) -> dict[str, Any]:
    """Make a job of a task group.

    Args:
        make: Settles the settings.
        group: What Covalent staged.
        task: What the job is for.
        place: The group's directory; it is gone afterwards.
        keep_handle: Stores the job's ARN for `cancel`.

    Returns:
        What `wait` needs, as plain data.

    Raises:
        CancelledBeforeError: It was cancelled before it became a job.
        BraketPluginError: It cannot become a job; nothing of it is left in S3.
    """
    nodes = [electron.node_id for electron in group.electrons]
    ctx, prepared = await in_thread(_prepare, make, group, task, place)
    await in_thread(staging.remove, place)
    created = now()
    with shared.watching_for_cancel(task.dispatch_id, nodes) as withdrawn:
        arn = await _submit(make, ctx, task, prepared, withdrawn)
    try:
        await keep_handle(arn)
    except BaseException:
        await cancel(make, arn)
        raise
    if shared.cancel_wanted(task.dispatch_id, nodes):
        await cancel(make, arn)
    manifest = prepared.keys.uri(prepared.keys.manifest)
    return {"job_arn": arn, "created": created, "name": task.name, "manifest": manifest}


def _prepare(make: ContextMaker, group: Group, task: Task, place: Path) -> tuple[Context, Prepared]:
    ctx = make(may_start=True)
    try:
        return ctx, pipeline.prepare(ctx, group, task, place)
    except UnreachableError:
        if not ctx.settings.local:
            raise
    # It answered a moment ago and does not now: it was stopped, and is started again.
    local_endpoint.forget()
    ctx = make(may_start=True)
    return ctx, pipeline.prepare(ctx, group, task, place)


async def _submit(
    make: ContextMaker, ctx: Context, task: Task, prepared: Prepared, withdrawn: asyncio.Event
) -> str:
    def create() -> str:
        return make(may_start=False).jobs.create(prepared.request)

    try:
        return await shared.scheduler(ctx.jobs.clients).submit(
            task.dispatch_id,
            lambda: quickly(create),
            most=ctx.settings.max_parallel_jobs,
            withdrawn=withdrawn,
        )
    except WithdrawnError as error:
        await in_thread(pipeline.discard, ctx, prepared.keys)
        raise CancelledBeforeError from error
    except AwsError as error:
        if not error.transient:
            await in_thread(pipeline.discard, ctx, prepared.keys)
            raise
        # Its payload stays: the job may have been made, and its answer lost.
        name = prepared.request["jobName"]
        raise AwsError(f"{error} A job named {name} may have been made all the same.") from error


async def wait(make: ContextMaker, data: dict[str, Any]) -> dict[str, Any]:
    """Wait until a job has ended.

    Args:
        make: Settles the settings.
        data: What `send` returned.

    Returns:
        The same with the job's ``status`` and, if GetJob said it, all about the ``job``.

    Raises:
        AwsError: Braket cannot be asked.
        LocalBraketError: The local Braket that ran the job is gone.
    """
    arn = data["job_arn"]
    ctx = await quickly(make, may_start=False)
    clients = ctx.jobs.clients
    created = datetime.fromisoformat(data["created"])
    try:
        watcher = shared.watcher(clients, _Asker(make))
        found = await watcher.wait(
            arn,
            created,
            ctx.settings.poll_freq,
            kind=_kind(ctx, data),
            patience_seconds=ctx.settings.give_up_after,
        )
    except AwsError as error:
        text = f"{error} The job {arn} may still run, and be charged for."
        raise AwsError(text, code=error.code, operation=error.operation) from error
    finally:
        shared.scheduler(clients).ended(arn)
    return {**data, "status": found.status, "job": found if isinstance(found, Job) else None}


def _kind(ctx: Context, data: dict[str, Any]) -> str:
    """Tell jobs apart that may last differently long."""
    settings = ctx.settings
    return f"{data.get('name')} {settings.quantum_device} {settings.classical_device}"


class _Asker:
    """Asks about jobs with the credentials of the moment; blocking."""

    def __init__(self, make: ContextMaker) -> None:
        self._make = make

    def describe(self, job_arn: str) -> Job:
        ctx = self._make(may_start=False)
        try:
            return ctx.jobs.describe(job_arn)
        except NotFoundError as error:
            if ctx.settings.local:  # it knows its jobs at once, so this is another one
                raise LocalBraketError(pipeline.LOCAL_BRAKET_GONE) from error
            raise

    def page(self, created: datetime, token: str) -> Page[JobSummary]:
        return self._make(may_start=False).jobs.page(created, token)
