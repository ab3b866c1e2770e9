"""What happens to one task between Covalent's calls: sent, waited for, cancelled; all async.

Knows no Covalent: `covalent_braket_plugin.braket` translates.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from covalent_braket_plugin import local_endpoint, node_log, pipeline, shared, staging
from covalent_braket_plugin.asking import Asker, ContextMaker, NewWorkMaker
from covalent_braket_plugin.cancelling import cancel
from covalent_braket_plugin.descriptions import JobSummary
from covalent_braket_plugin.devices.availability import needs_a_look
from covalent_braket_plugin.errors import (
    AwsError,
    BraketPluginError,
    CredentialsError,
    DeviceError,
    LocalBraketError,
    QueueTimeoutError,
    SettingError,
    UnconfiguredError,
    UnreachableError,
    may_pass,
)
from covalent_braket_plugin.inputs.progress import Tell
from covalent_braket_plugin.monitoring import phases
from covalent_braket_plugin.monitoring.sight import Sight, in_sight
from covalent_braket_plugin.node_log import Waiting
from covalent_braket_plugin.on_device import CancelledBeforeError, OnDevice, on_device
from covalent_braket_plugin.packing import Group
from covalent_braket_plugin.patience import patiently
from covalent_braket_plugin.pipeline import Context, Prepared
from covalent_braket_plugin.protocol import Task
from covalent_braket_plugin.scheduler import WithdrawnError
from covalent_braket_plugin.threads import in_thread, quickly, uploading, uploading_inputs

__all__ = [
    "CancelledBeforeError",
    "KeepHandle",
    "make_job",
    "now",
    "send",
    "settled",
    "wait",
]

T = TypeVar("T")

SETTLE_SECONDS = 600.0

log = logging.getLogger(__name__)


KeepHandle = Callable[[str], Awaitable[Any]]
"""Stores a job's ARN where Covalent finds it when the electron is cancelled."""


def now() -> str:
    """The time, as the phases hand it on."""
    return datetime.now(UTC).isoformat()


async def settled(make: ContextMaker) -> Context:
    """Settle the settings, for a job that is there and is paid for.

    A local Braket may be too busy to answer, and a mistake in a file may be mended.
    """
    return await patiently(
        lambda: quickly(make, may_start=False),
        "The settings for a job that runs cannot be used",
        SETTLE_SECONDS,
        worth=lambda error: may_pass(error) or isinstance(error, SettingError),
    )


async def send(
    make: NewWorkMaker,
    group: Group,
    task: Task,
    place: Path,
    keep_handle: KeepHandle,
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
    with shared.watching_for_cancel(task.dispatch_id, nodes) as withdrawn:
        ctx = await _settled_for_new_work(make, group, task, withdrawn)
        way = await on_device(make, ctx, task, withdrawn)
        ctx, prepared = await _staged(ctx, way.make, group, task, place, withdrawn)
        await in_thread(staging.remove, place)
        return await make_job(way, ctx, task, prepared, nodes, withdrawn, keep_handle)


async def _settled_for_new_work(
    make: NewWorkMaker, group: Group, task: Task, withdrawn: asyncio.Event
) -> Context:
    """Settle the settings; names of devices are looked up at Braket, which may be out of reach."""

    def settle() -> Context:
        ctx = make(may_start=True)
        if needs_a_look(ctx.settings.quantum_device):  # it may wait for a day: mistakes come first
            pipeline.check(ctx, group, task)
        return ctx

    return await patiently(
        lambda: uploading(settle),
        f"The settings of {task.name} are not settled yet",
        SETTLE_SECONDS,
        worth=lambda error: isinstance(error, AwsError) and error.transient,
        enough=withdrawn,
    )


async def _staged(
    ctx: Context,
    make: ContextMaker,
    group: Group,
    task: Task,
    place: Path,
    withdrawn: asyncio.Event,
) -> tuple[Context, Prepared]:
    def worth(error: BaseException) -> bool:
        # Credentials that never worked are a mistake; those that did may be renewed.
        mistaken = isinstance(error, CredentialsError) and not ctx.jobs.clients.proven
        return may_pass(error) and not mistaken

    def try_on(function: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        what, seconds = f"{task.name} is not uploaded yet", ctx.settings.give_up_after
        return patiently(function, what, seconds, worth=worth, enough=withdrawn)

    tell = _teller(task, withdrawn)
    try:
        if ctx.settings.input_data:
            await _bring_inputs(ctx, make, group, task, tell, withdrawn, try_on)
        return await try_on(lambda: uploading(_prepare, make, group, task, place, withdrawn, tell))
    except AwsError as error:
        if withdrawn.is_set():
            raise CancelledBeforeError from error
        raise


async def _bring_inputs(
    ctx: Context,
    make: ContextMaker,
    group: Group,
    task: Task,
    tell: Tell,
    withdrawn: asyncio.Event,
    try_on: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
) -> None:
    """Upload input data apart, so that no electron that shares it waits in a thread."""
    data = tuple(sorted(ctx.settings.input_data.items()))
    key = ctx.jobs.clients.identity_key, data
    if shared.in_use(key):
        note = "another electron is uploading the same input data"
        phases.enter(task.dispatch_id, task.node_id, "staging", note=note)

    def bring() -> None:
        _where_it_runs(make, lambda ctx: pipeline.bring_inputs(ctx, group, task, tell))

    async with shared.in_turn(key, withdrawn) as is_wanted:
        if not is_wanted:
            raise CancelledBeforeError
        await try_on(lambda: uploading_inputs(bring))
    phases.enter(task.dispatch_id, task.node_id, "staging", note="")


def _teller(task: Task, withdrawn: asyncio.Event) -> Tell:
    """Make what tells, from any thread, how far an upload is; and gives it up if it is unwanted.

    So it is too if the server stops, which waits for all that goes on.
    """
    node, loop = (task.dispatch_id, task.node_id), asyncio.get_running_loop()
    stdout, sender = node_log.of(*node) if node_log.in_server() else None, asyncio.current_task()

    def tell(text: str) -> None:
        if withdrawn.is_set() or (sender is not None and sender.cancelling()):
            raise CancelledBeforeError
        if stdout is not None:
            stdout.line(f"{text}.")
        loop.call_soon_threadsafe(lambda: phases.enter(*node, "staging", note=text))

    return tell


def _prepare(
    make: ContextMaker,
    group: Group,
    task: Task,
    place: Path,
    withdrawn: asyncio.Event,
    tell: Tell,
) -> tuple[Context, Prepared]:
    if withdrawn.is_set():  # while it waited for a thread: uploads may be slow, or hang
        raise CancelledBeforeError
    return _where_it_runs(make, lambda ctx: pipeline.prepare(ctx, group, task, place, tell))


def _where_it_runs(make: ContextMaker, call: Callable[[Context], T]) -> tuple[Context, T]:
    """Call with the settings in force; on a local Braket that has just stopped, on its next one."""
    ctx = make(may_start=True)
    try:
        return ctx, call(ctx)
    except UnreachableError:
        if not ctx.settings.local:
            raise
    # It answered a moment ago and does not now: it was stopped, and is started again.
    local_endpoint.forget()
    ctx = make(may_start=True)
    return ctx, call(ctx)


async def make_job(
    way: OnDevice,
    ctx: Context,
    task: Task,
    prepared: Prepared,
    nodes: Sequence[int],
    withdrawn: asyncio.Event,
    keep_handle: KeepHandle | None,
) -> dict[str, Any]:
    """Make a job of a task that is uploaded.

    Args:
        way: Settles the settings, with the device that it has got.
        ctx: The settings that it was uploaded with.
        task: What the job is for.
        prepared: The task in S3.
        nodes: The nodes that it is about.
        withdrawn: Set if one of them is cancelled.
        keep_handle: Stores the job's ARN for `cancel`; None where nobody can.

    Returns:
        What `wait` needs, as plain data.

    Raises:
        CancelledBeforeError: It was cancelled before it became a job.
        BraketPluginError: It cannot become a job; nothing of it is left in S3.
    """
    while True:
        try:
            arn = await _submit(way.make, ctx, task, prepared, withdrawn)
            break
        except DeviceError as error:
            ctx, prepared = await way.again(ctx, task, prepared, withdrawn, error)
    created, job_name = now(), str(prepared.request["jobName"])
    shared.note_job(task.dispatch_id, nodes, arn)
    phases.enter(task.dispatch_id, task.node_id, "queued", job_arn=arn, job_name=job_name)
    if keep_handle is not None:
        try:
            await keep_handle(arn)
        except Exception as error:  # a busy server is no reason to give up a job
            log.warning("Covalent did not note the job %s: %s", arn, error)
    if shared.cancel_wanted(task.dispatch_id, nodes):
        await cancel(way.make, arn)
    return {
        "job_arn": arn,
        "job_name": job_name,
        "created": created,
        "name": task.name,
        "dispatch_id": task.dispatch_id,
        "node_id": task.node_id,
        "manifest": prepared.keys.uri(prepared.keys.manifest),
        "device": way.chosen.arn,
        "instead": way.instead,
    }


async def _submit(
    make: ContextMaker, ctx: Context, task: Task, prepared: Prepared, withdrawn: asyncio.Event
) -> str:
    made: list[str] = []
    job_name = str(prepared.request["jobName"])
    waiting = Waiting(task.dispatch_id, task.node_id, job_name)
    phases.enter(task.dispatch_id, task.node_id, "waiting", job_name=job_name)

    def create() -> str:
        found = make(may_start=False)
        if found.local_pid != ctx.local_pid:  # another one, which has no payload
            raise LocalBraketError(pipeline.LOCAL_BRAKET_REPLACED)
        made.append(found.jobs.create(prepared.request))
        return made[-1]

    try:
        arn = await shared.scheduler(ctx.jobs.clients).submit(
            task.dispatch_id,
            lambda: quickly(create),
            kind=ctx.settings.classical_device,
            instances=ctx.settings.instance_count,
            most=ctx.settings.max_parallel_jobs,
            queue_timeout=ctx.settings.queue_timeout,
            give_up_after=ctx.settings.give_up_after,
            withdrawn=withdrawn,
            told=waiting.told,
        )
        await waiting.over(arn)
        return arn
    except WithdrawnError as error:
        await in_thread(pipeline.discard, ctx, prepared.keys)
        raise CancelledBeforeError from error
    except QueueTimeoutError:
        await in_thread(pipeline.discard, ctx, prepared.keys)
        raise
    except asyncio.CancelledError:
        if made:  # its answer came after the cancellation: nobody else knows of this job
            shared.job_ended(made[-1])
            await cancel(make, made[-1])
        raise
    except DeviceError:  # there may be another; what is uploaded serves that one too
        raise
    except AwsError as error:
        if not error.transient:
            await in_thread(pipeline.discard, ctx, prepared.keys)
            raise
        # Its payload stays: the job may have been made, and its answer lost.
        name = prepared.request["jobName"]
        raise AwsError(f"{error} A job named {name} may have been made all the same.") from error


async def wait(make: ContextMaker, data: dict[str, Any]) -> JobSummary:
    """Wait until a job has ended.

    Args:
        make: Settles the settings.
        data: What `send` returned; ``job_arn`` alone will do.

    Returns:
        The job as it ended; a `Job` if GetJob described it.

    Raises:
        AwsError: Braket cannot be asked.
        LocalBraketError: The local Braket that ran the job is gone.
        BraketPluginError: The settings are not valid any more, so that nobody can be asked.
    """
    arn = data["job_arn"]
    try:
        ctx = await settled(make)
        clients = ctx.jobs.clients
        created = datetime.fromisoformat(data.get("created") or now())
        shared.scheduler(clients).adopt(arn, ctx.settings.classical_device)
        watcher = shared.watcher(clients, Asker(make))
        kind = _kind(ctx, data)
        with _in_sight(make, ctx, data, created, watcher.lasts(kind)) as heard:
            return await watcher.wait(
                arn,
                created,
                ctx.settings.poll_freq,
                kind=kind,
                patience_seconds=ctx.settings.give_up_after,
                heard=heard,
            )
    except (AwsError, SettingError, UnconfiguredError) as error:
        text = f"{error} The job {arn} may still run, and be charged for."
        if not isinstance(error, AwsError):
            raise BraketPluginError(text) from error
        raise AwsError(text, code=error.code, operation=error.operation) from error
    finally:
        shared.job_ended(arn)


def _in_sight(
    make: ContextMaker,
    ctx: Context,
    data: dict[str, Any],
    created: datetime,
    lasts: float | None,
) -> contextlib.AbstractContextManager[Callable[[JobSummary], None] | None]:
    if not node_log.in_server():
        return contextlib.nullcontext()
    dispatch_id, node_id = data.get("dispatch_id", ""), data.get("node_id", 0)
    sight = Sight(
        job_arn=data["job_arn"],
        job_name=data.get("job_name", ""),
        created=created,
        lasts=lasts,
        dispatch_id=dispatch_id,
        node_id=node_id,
        log_group=ctx.settings.log_group_name,
        jobs=lambda: make(may_start=False).jobs,
        write=node_log.of(dispatch_id, node_id).append,
    )
    clients = ctx.jobs.clients
    return in_sight(sight, shared.follower(clients), shared.closer(clients))


def _kind(ctx: Context, data: dict[str, Any]) -> str:
    """Tell jobs apart that may last differently long."""
    settings = ctx.settings
    device = data.get("device") or settings.quantum_device
    return f"{data.get('name')} {device} {settings.classical_device}"
