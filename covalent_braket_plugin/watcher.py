"""One loop for all the jobs that are waited for, per account, region and identity.

A young job is asked about soon, an old one ever more rarely: the interval is a tenth of the job's
age, between `MIN_INTERVAL_SECONDS` and the executor's ``poll_freq``. Few jobs cost a GetJob each;
many cost a page of SearchJobs together (100 jobs a page). Knows neither Covalent nor boto3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from covalent_braket_plugin.errors import AwsError, NotFoundError, may_pass

__all__ = ["Asker", "Watcher"]

MIN_INTERVAL_SECONDS = 1.5
SHARE_OF_AGE = 0.1
FEW_JOBS = 2
TOGETHER_SECONDS = 0.75
"""Jobs that are due this soon are asked about together with those that are due now."""
UNKNOWN_AT_FIRST_SECONDS = 60.0
"""A job may not be found for a moment after it was made."""
PATIENCE_SECONDS = 900.0
"""After so long without any answer we stop waiting, saying that the job may still run."""

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class Description(Protocol):
    """What is known about a job."""

    @property
    def arn(self) -> str:
        """The job."""

    @property
    def status(self) -> str:
        """Braket's word."""


D = TypeVar("D", bound=Description)
D_co = TypeVar("D_co", bound=Description, covariant=True)


class Asker(Protocol[D_co]):
    """Whom the watcher asks; both calls block."""

    def describe(self, job_arn: str) -> D_co:
        """Ask for all about one job (GetJob)."""

    def page(self, created: datetime, token: str) -> tuple[Sequence[D_co], str]:
        """Ask for 100 of the jobs made since ``created``, newest first (SearchJobs)."""


@dataclass
class _Watch(Generic[D]):
    """One job that somebody waits for."""

    arn: str
    created: datetime
    poll_seconds: float
    started: float
    next_at: float
    answered_at: float
    done: asyncio.Future[D] = field(repr=False)

    def schedule(self, now: float) -> None:
        wanted = max(MIN_INTERVAL_SECONDS, SHARE_OF_AGE * (now - self.started))
        self.next_at = now + min(self.poll_seconds, wanted)


class Watcher(Generic[D]):
    """Waits for jobs; lives on one event loop.

    Args:
        asker: Whom to ask.
        in_thread: Runs a blocking call off the event loop.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        asker: Asker[D],
        in_thread: Callable[..., Awaitable[Any]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._asker = asker
        self._in_thread = in_thread
        self._clock = clock
        self._sleep = sleep
        self._watches: dict[str, _Watch[D]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._may_search = True

    async def wait(
        self,
        job_arn: str,
        created: datetime,
        poll_seconds: float,
        *,
        kind: str = "",
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> D:
        """Wait until a job has ended.

        Args:
            job_arn: The job.
            created: When it was made (UTC), for SearchJobs.
            poll_seconds: Longest interval between two questions.
            kind: Jobs of the same kind last about as long.
            patience_seconds: For so long it is asked again while there is no answer.

        Returns:
            The job as it was described last; its status is COMPLETED, FAILED or CANCELLED.

        Raises:
            AwsError: The job cannot be asked about.
        """
        watch = self._watches.get(job_arn)
        if watch is None:
            now = self._clock()
            future = asyncio.get_running_loop().create_future()
            watch = _Watch(job_arn, created, poll_seconds, now, now, now, future)
            watch.schedule(now)
            self._watches[job_arn] = watch
        self._ensure_loop()
        return await asyncio.shield(watch.done)

    def _ensure_loop(self) -> None:
        if self._loop is None or self._loop.done():
            self._loop = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._watches:
            wait = min(watch.next_at for watch in self._watches.values()) - self._clock()
            # Jobs may be added meanwhile: none of them can be due before this.
            await self._sleep(min(max(wait, 0.0), MIN_INTERVAL_SECONDS))
            horizon = self._clock() + TOGETHER_SECONDS
            if any(watch.next_at <= self._clock() for watch in self._watches.values()):
                await self._ask([w for w in self._watches.values() if w.next_at <= horizon])

    async def _ask(self, due: Sequence[_Watch[D]]) -> None:
        try:
            if len(due) > FEW_JOBS and self._may_search:
                due = await self._ask_together(due)
            for watch in due:
                await self._ask_one(watch)
        except AwsError as error:
            self._stumble(due, error)
        except Exception as error:  # a defect of ours must not leave electrons waiting for ever
            for watch in due:
                self._fail(watch, error)

    async def _ask_together(self, due: Sequence[_Watch[D]]) -> Sequence[_Watch[D]]:
        """Ask about many at once; returns those that are still to be asked about one by one."""
        oldest = min(watch.created for watch in due)
        try:
            found: dict[str, D] = {}
            page, token = await self._in_thread(self._asker.page, oldest, "")
            found.update({job.arn: job for job in page})
            while token and any(watch.arn not in found for watch in due):
                page, token = await self._in_thread(self._asker.page, oldest, token)
                found.update({job.arn: job for job in page})
        except AwsError as error:
            if may_pass(error):
                raise
            self._may_search = False  # not allowed, say: GetJob may be
            return due
        ended = {arn for arn, job in found.items() if job.status in TERMINAL}
        self._take(list(self._watches.values()), {a: j for a, j in found.items() if a not in ended})
        missing = [watch for watch in due if watch.arn not in found]
        return missing + [watch for watch in self._watches.values() if watch.arn in ended]

    async def _ask_one(self, watch: _Watch[D]) -> None:
        try:
            job = await self._in_thread(self._asker.describe, watch.arn)
        except AwsError as error:
            self._stumble([watch], error)
        else:
            self._take([watch], {watch.arn: job})

    def _take(self, watches: Sequence[_Watch[D]], found: dict[str, D]) -> None:
        now = self._clock()
        for watch in watches:
            job = found.get(watch.arn)
            if job is None:
                continue
            watch.answered_at = now
            watch.schedule(now)
            if job.status in TERMINAL:
                self._watches.pop(watch.arn, None)
                if not watch.done.done():
                    watch.done.set_result(job)

    def _stumble(self, watches: Sequence[_Watch[D]], error: AwsError) -> None:
        now = self._clock()
        for watch in watches:
            unknown = isinstance(error, NotFoundError)
            young = now - watch.started < UNKNOWN_AT_FIRST_SECONDS
            patient = now - watch.answered_at < PATIENCE_SECONDS
            if (may_pass(error) and patient) or (unknown and young):
                watch.schedule(now)
            else:
                self._fail(watch, error)

    def _fail(self, watch: _Watch[D], error: Exception) -> None:
        self._watches.pop(watch.arn, None)
        if not watch.done.done():
            watch.done.set_exception(error)
