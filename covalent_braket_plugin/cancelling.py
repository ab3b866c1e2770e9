"""Cancelling jobs and what they left open, at AWS's pace; on the event loop.

The calls are made in threads of ours: a server that stops waits for those, not for coroutines.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime

from covalent_braket_plugin import shared
from covalent_braket_plugin.asking import Asker, ContextMaker
from covalent_braket_plugin.descriptions import JobSummary, Page
from covalent_braket_plugin.errors import (
    BraketPluginError,
    NotFoundError,
    may_pass,
)
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.patience import patiently
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.threads import quickly, without_waiting

__all__ = ["cancel", "cancel_now", "cancelled_with_caller"]

END_SECONDS = 60.0
"""For so long the end of a cancelled job is waited for, and its quantum tasks are looked for; it
has been cancelled all the same."""
WITH_CALLER_SECONDS = 30.0
"""So long a cancelled caller waits for the cancellation of its job."""
SOON_SECONDS = 1.5
UNKNOWN_AT_FIRST_SECONDS = 60.0
"""A job may not be found for a moment after it was made."""
SETTLE_SECONDS = 600.0
AT_LAST_SECONDS = 90.0
"""For so long threads go on when the server stops meanwhile."""

log = logging.getLogger(__name__)


async def cancel(make: ContextMaker, job_arn: str) -> bool:
    """Cancel a job and its open quantum tasks; wait a while for its end.

    If Braket cannot be asked just now, it is tried again in the background for as long as the
    setting ``give_up_after`` says.

    Args:
        make: Settles the settings.
        job_arn: The job, in whatever state it is.

    Returns:
        Whether it ended CANCELLED, or certainly will. False if it had ended otherwise before, or
        if it is not sure yet.
    """
    with _said_at_last(make, job_arn) as said:
        return await _cancel(make, job_arn, said)


async def cancel_now(make: ContextMaker, job_arn: str) -> bool:
    """Cancel as `cancel` does, for somebody who waits for the answer: nothing goes on behind.

    Raises:
        AwsError: Braket refused or did not answer.
    """
    cancelling = _Cancelling(make, await quickly(make, may_start=False), job_arn)
    return await cancelling.follow(await cancelling.say())


@contextlib.asynccontextmanager
async def cancelled_with_caller(
    make: ContextMaker, job_arn: Callable[[], str]
) -> AsyncIterator[None]:
    """Cancel a job if its caller is cancelled meanwhile, where nobody else could wait for it.

    The caller waits for that for at most half a minute; threads go on with what is left of it.

    Args:
        make: Settles the settings.
        job_arn: Tells the job; further attempts have others.
    """
    try:
        yield
    except asyncio.CancelledError:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(cancel(make, job_arn()), WITH_CALLER_SECONDS)
        raise


@contextlib.contextmanager
def _said_at_last(make: ContextMaker, job_arn: str) -> Iterator[asyncio.Event]:
    """See that it is said in any case; who has said it sets the event."""
    said = asyncio.Event()
    try:
        yield said
    except asyncio.CancelledError:
        if not said.is_set():  # the server stops, and nothing but threads goes on
            until = time.monotonic() + AT_LAST_SECONDS
            without_waiting(_cancel_at_last, make, job_arn, until)
        raise


async def _cancel(make: ContextMaker, job_arn: str, said: asyncio.Event) -> bool:
    try:
        cancelling = _Cancelling(make, await quickly(make, may_start=False), job_arn)
        if (known := cancelling.watcher.end_of(job_arn)) is not None:
            said.set()
            return known.status == "CANCELLED"
        accepted = await cancelling.say()
        said.set()
    except BraketPluginError as error:
        log.error("%s was not cancelled yet, and may be charged for: %s", job_arn, error)
        if _worth_another(error):
            shared.in_background(_cancel_later(make, job_arn))
        return False
    return await cancelling.follow(accepted)


def _worth_another(error: BaseException, since: float | None = None) -> bool:
    young = since is None or time.monotonic() - since < UNKNOWN_AT_FIRST_SECONDS
    return may_pass(error) or (isinstance(error, NotFoundError) and young)


async def _cancel_later(make: ContextMaker, job_arn: str) -> None:
    started = time.monotonic()
    what = f"{job_arn} is not cancelled yet"
    with _said_at_last(make, job_arn) as said:
        try:
            ctx = await patiently(lambda: quickly(make, may_start=False), what, SETTLE_SECONDS)
            cancelling = _Cancelling(make, ctx, job_arn)
            accepted = await patiently(
                cancelling.say,
                what,
                ctx.settings.give_up_after,
                worth=lambda error: _worth_another(error, started),
            )
            said.set()
        except BraketPluginError as error:
            log.error("Gave up cancelling %s: cancel it in the Braket console. %s", job_arn, error)
        else:
            await cancelling.follow(accepted)


class _Cancelling:
    """One job that is to be cancelled."""

    def __init__(self, make: ContextMaker, ctx: Context, arn: str) -> None:
        self.arn = arn
        self._make = make
        self._limits = shared.limits(ctx.jobs.clients)
        self.watcher = shared.watcher(ctx.jobs.clients, Asker(make))

    async def say(self) -> bool:
        """Call CancelJob; False if the job had ended, or was cancelled before."""
        await self._limits.pace("CancelJob").turn()
        return await quickly(_cancel_job, self._make, self.arn)

    async def follow(self, accepted: bool) -> bool:
        """See the job end, and cancel what it left open; say whether it ends CANCELLED."""
        found, end = await asyncio.gather(self._cancel_open_tasks(accepted), self._end(accepted))
        if end is None:
            return accepted
        if end.status == "CANCELLED" and (found or not accepted or end.started_at is not None):
            await self._cancel_open_tasks(True)  # it may have made more until it ended
        if end.status != "CANCELLED":
            log.info("%s ended %s before it could be cancelled", self.arn, end.status)
        return end.status == "CANCELLED"

    async def _end(self, accepted: bool) -> JobSummary | None:
        """Wait for the job's end; None if it is not known yet."""
        wait = self.watcher.wait(self.arn, datetime.now(UTC), 30.0, patience_seconds=END_SECONDS)
        waiting = asyncio.ensure_future(wait)
        await asyncio.sleep(0)
        self.watcher.expect_end(self.arn, SOON_SECONDS if accepted else 0.0)
        try:
            return await asyncio.wait_for(waiting, END_SECONDS)
        except (BraketPluginError, TimeoutError) as error:
            log.warning("%s was cancelled, its end is not known yet. %s", self.arn, error)
            return None

    async def _cancel_open_tasks(self, wanted: bool) -> int:
        """Cancel the job's open quantum tasks; says how many there were."""
        found = 0
        token = "" if wanted else None
        try:
            while token is not None:
                jobs, (tasks, token) = await self._page_of_tasks(token)
                found += len(tasks)
                for task in tasks:
                    await self._cancel_task(jobs, task)
                token = token or None
        except BraketPluginError as error:
            log.error("Quantum tasks of %s may be open and charged for: %s", self.arn, error)
        return found

    async def _page_of_tasks(self, token: str) -> tuple[Jobs, Page[str]]:
        async def ask() -> tuple[Jobs, Page[str]]:
            await self._limits.pace("SearchQuantumTasks").turn()
            jobs = (await quickly(self._make, may_start=False)).jobs
            return jobs, await quickly(jobs.open_quantum_tasks, self.arn, token)

        what = f"The quantum tasks of {self.arn} are not known yet"
        return await patiently(ask, what, END_SECONDS)

    async def _cancel_task(self, jobs: Jobs, task_arn: str) -> None:
        await self._limits.pace("CancelQuantumTask").turn()
        try:
            await quickly(jobs.cancel_quantum_task, task_arn)
        except BraketPluginError as error:  # the others may be heard all the same
            log.error("%s was not cancelled, and may be charged for: %s", task_arn, error)


def _cancel_job(make: ContextMaker, job_arn: str) -> bool:
    return make(may_start=False).jobs.cancel(job_arn)


def _cancel_at_last(make: ContextMaker, job_arn: str, until: float) -> None:
    """Cancel a job with no event loop to help; others may do the same, faster than AWS allows."""
    while True:
        try:
            _cancel_job(make, job_arn)
        except BraketPluginError as error:
            if not _worth_another(error) or time.monotonic() > until:
                log.error("%s was not cancelled, and may be charged for: %s", job_arn, error)
                return
            time.sleep(random.uniform(1.0, 4.0))
        else:
            return
