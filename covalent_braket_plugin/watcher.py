"""One loop for all the jobs that are waited for, per account, region and identity.

When a job is asked about is the business of `durations`: by what jobs of its kind took, else by
its age. Few jobs cost a GetJob each, many cost a page of SearchJobs together (100 jobs a page),
whichever is cheaper (`watches`). Who waits gets what the last GetJob said, so that nobody has to
ask again. Half of each request rate is left to others. Knows neither Covalent nor boto3.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from covalent_braket_plugin.durations import Durations
from covalent_braket_plugin.errors import (
    AwsError,
    CredentialsError,
    NotFoundError,
    ThrottledError,
    may_pass,
)
from covalent_braket_plugin.pace import Pace, sleep_or
from covalent_braket_plugin.watches import (
    NOWHERE,
    TERMINAL,
    Description,
    Watch,
    worth_searching,
)

__all__ = ["Asker", "Description", "Watcher"]

SHARE_OF_RATE = 0.5
AT_ONCE = 4
"""GetJob calls under way at the same time: more would only fill the threads if AWS hangs."""
BACKLOG = 10
"""With so many GetJob calls lined up, a search is the sooner answer."""
UNKNOWN_SECONDS = 60.0
"""A job may not be found for a moment after it was made, and wherever one of AWS's copies lags."""
FINAL_SECONDS = {"FAILED": 120.0}
FINAL_DEFAULT_SECONDS = 10.0
"""For so long the end of a job is kept back until GetJob has told the rest: why it failed, say."""
PAUSE_SECONDS = {ThrottledError: 2.0, CredentialsError: 5.0}
PAUSE_DEFAULT_SECONDS = 1.5
LONGEST_PAUSE_SECONDS = 30.0
SEARCH_FAILURES = 3
NO_SEARCH_SECONDS = 120.0
"""After so many failures, or a refusal, there is no search for a while: GetJob may do."""
REMEMBERED_ENDS = 2000

D = TypeVar("D", bound=Description)
D_co = TypeVar("D_co", bound=Description, covariant=True)


class Asker(Protocol[D_co]):
    """Whom the watcher asks; both calls block."""

    def describe(self, job_arn: str) -> D_co:
        """Ask for all about one job (GetJob)."""

    def page(self, created: datetime, token: str) -> tuple[Sequence[D_co], str]:
        """Ask for 100 of the jobs made since ``created``, newest first (SearchJobs)."""


class Watcher(Generic[D]):
    """Waits for jobs; lives on one event loop.

    Args:
        asker: Whom to ask.
        in_thread: Runs a blocking call off the event loop.
        rates: Calls a second and calls at once that the account may make, by operation.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
        jitter: Gives a factor between 0 and 1.
    """

    def __init__(
        self,
        asker: Asker[D],
        in_thread: Callable[..., Awaitable[Any]],
        rates: Callable[[str], tuple[float, float]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._asker = asker
        self._in_thread = in_thread
        self._rates = rates
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._durations = Durations()
        self._watches: dict[str, Watch[D]] = {}
        self._ends: OrderedDict[str, D] = OrderedDict()
        self._ever = 0
        self._lined_up: deque[Watch[D]] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._sought: set[Watch[D]] = set()
        self._search_failures = 0
        self._no_search_until = 0.0
        self._paces: dict[str, tuple[tuple[float, float], Pace]] = {}
        self._changed = asyncio.Event()
        self._wake_at = 0.0
        self._loop: asyncio.Task[None] | None = None

    async def wait(
        self,
        job_arn: str,
        created: datetime,
        poll_seconds: float,
        *,
        kind: str = "",
        patience_seconds: float = 3600.0,
        heard: Callable[[D], None] | None = None,
    ) -> D:
        """Wait until a job has ended; any number may wait for the same one.

        Args:
            job_arn: The job.
            created: When it was made (UTC), or before, for SearchJobs.
            poll_seconds: Longest pause between two questions.
            kind: Jobs of the same kind last about as long.
            patience_seconds: For so long it is asked again while there is no answer.
            heard: Is told each answer about the job. Must be quick, and not raise.

        Returns:
            The job as GetJob described it last; as SearchJobs did if so many ended together that
            asking about each would have kept the others waiting.

        Raises:
            AwsError: The job cannot be asked about. It may still run.
        """
        if (end := self._ends.get(job_arn)) is not None:
            return end
        watch = self._watches.get(job_arn)
        if watch is None:
            watch = self._new(job_arn, created, poll_seconds, patience_seconds, kind)
        watch.waiters += 1
        if heard is not None:
            watch.heard.append(heard)
        try:
            return await asyncio.shield(watch.done)
        finally:
            watch.waiters -= 1
            if heard is not None:
                watch.heard.remove(heard)
            if not watch.waiters:
                self._drop(watch)

    def expect_end(self, job_arn: str, in_seconds: float) -> None:
        """Expect a job to end soon, for it was cancelled: ask about it then, as if it were new."""
        if (watch := self._watches.get(job_arn)) is not None:
            watch.kind, watch.started = "", self._clock()
            watch.next_at = min(watch.next_at, watch.started + in_seconds)
            watch.pause = watch.next_at - watch.started
            self._changed.set()

    def lasts(self, kind: str) -> float | None:
        """Tell after how many seconds all jobs of a kind had ended; None if none has yet."""
        known = self._durations.of(kind)
        return known.latest if known else None

    def end_of(self, job_arn: str) -> D | None:
        """Tell how a job ended that was waited for, if that is remembered."""
        return self._ends.get(job_arn)

    def _new(
        self, arn: str, created: datetime, poll: float, patience: float, kind: str
    ) -> Watch[D]:
        now = self._clock()
        future: asyncio.Future[D] = asyncio.get_running_loop().create_future()
        self._ever += 1
        watch = Watch(arn, created, kind, poll, patience, now, now, future, self._ever)
        self._watches[arn] = watch
        self._schedule(watch)
        if self._loop is None or self._loop.done():
            self._loop = asyncio.get_running_loop().create_task(self._run())
        return watch

    def _schedule(self, watch: Watch[D]) -> None:
        watch.schedule(self._clock(), self._durations.of(watch.kind))
        if watch.next_at < self._wake_at:
            self._changed.set()

    def _drop(self, watch: Watch[D]) -> None:
        if self._watches.get(watch.arn) is watch:
            del self._watches[watch.arn]
            self._changed.set()

    # --- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._watches:
            self._changed.clear()
            now = self._clock()  # one look for both: who gets due in between would be overlooked
            self._ask_about_those_due(now)
            self._start_calls()
            self._wake_at = self._next_at(now)
            pause = self._wake_at - self._clock()
            if pause > 0:
                await sleep_or(self._changed, pause, self._sleep)

    def _next_at(self, now: float) -> float:
        at = [w.next_at for w in self._watches.values() if self._idle(w) and w.next_at > now]
        at += [w.deliver_by for w in self._watches.values() if w.ended is not None]
        if self._lined_up and len(self._calls) < AT_ONCE:
            at.append(now + max(self._pace("GetJob").ready_in(), 0.001))
        return min(at, default=now + LONGEST_PAUSE_SECONDS)

    def _idle(self, watch: Watch[D]) -> bool:
        return not watch.under_way and watch not in self._sought

    def _ask_about_those_due(self, now: float) -> None:
        for watch in list(self._watches.values()):
            if watch.ended is not None and now >= watch.deliver_by:
                self._finish(watch, watch.ended)
        idle = [watch for watch in self._watches.values() if self._idle(watch)]
        due = [watch for watch in idle if watch.next_at <= now]
        if not due:
            return
        if self._sought:  # that search may tell of these, too
            due = [watch for watch in due if watch.ended or self._chance(watch) > 0.5]
        elif now >= self._no_search_until:
            near = [(w, self._chance(w)) for w in idle if not w.ended and w.nearly_due(now)]
            if len(self._lined_up) >= BACKLOG:
                near = [(watch, 0.0) for watch, _ in near]
            self._sought = set(worth_searching(near, self._ever))
            if self._sought:
                self._start(self._search(list(self._sought)))
        for watch in due:
            if watch not in self._sought:
                self._line_up(watch)

    def _chance(self, watch: Watch[D]) -> float:
        return watch.chance(self._clock(), self._durations.of(watch.kind))

    def _line_up(self, watch: Watch[D]) -> None:
        if watch.under_way:
            return
        watch.under_way = True
        failed = watch.ended is not None and watch.ended.status == "FAILED"
        # Why a job failed matters more than what a completed one will cost.
        (self._lined_up.appendleft if failed else self._lined_up.append)(watch)

    def _start_calls(self) -> None:
        while self._lined_up and len(self._calls) < AT_ONCE:
            if self._lined_up[0].done.done() or self._lined_up[0].arn not in self._watches:
                self._lined_up.popleft()
            elif self._pace("GetJob").take():
                self._start(self._describe(self._lined_up.popleft()))
            else:
                return

    def _start(self, call: Any) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._called)

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._changed.set()

    def _pace(self, operation: str) -> Pace:
        rates = self._rates(operation)
        known, pace = self._paces.get(operation, (None, None))
        rate, burst = rates[0] * SHARE_OF_RATE, rates[1] * SHARE_OF_RATE
        if pace is None:
            pace = Pace(rate, burst, clock=self._clock, sleep=self._sleep)
        elif known != rates:
            pace.set(rate, burst)
        self._paces[operation] = rates, pace
        return pace

    # --- GetJob --------------------------------------------------------------------------------

    async def _describe(self, watch: Watch[D]) -> None:
        try:
            job = await self._in_thread(self._asker.describe, watch.arn)
        except AwsError as error:
            self._stumble(watch, "GetJob", error)
        except Exception as error:  # a defect of ours must not leave electrons waiting for ever
            self._fail(watch, error)
        else:
            self._answered(watch)
            watch.tell(job)
            if job.status in TERMINAL:
                self._finish(watch, job)
        finally:
            watch.under_way = False

    def _answered(self, watch: Watch[D]) -> None:
        watch.answered_at, watch.failures = self._clock(), 0
        self._schedule(watch)

    def _stumble(self, watch: Watch[D], operation: str, error: AwsError) -> None:
        """Ask again later if that may help."""
        now = self._clock()
        if isinstance(error, ThrottledError):
            self._pace(operation).slow_down()
        unknown = isinstance(error, NotFoundError)
        silent = now - watch.answered_at
        patient = silent < (UNKNOWN_SECONDS if unknown else watch.patience_seconds)
        if patient and (may_pass(error) or unknown):
            watch.next_at = now + self._pause(watch.failures, error)
            watch.pause = 0.0
            watch.failures += 1
        elif watch.ended is not None:
            self._finish(watch, watch.ended)
        else:
            self._fail(watch, error)

    def _pause(self, failures: int, error: AwsError) -> float:
        first = PAUSE_SECONDS.get(type(error), PAUSE_DEFAULT_SECONDS)
        pause = min(LONGEST_PAUSE_SECONDS, first * 2.0 ** min(failures, 10))
        return pause * (0.5 + 0.5 * self._jitter())

    # --- SearchJobs ----------------------------------------------------------------------------

    async def _search(self, wanted: Sequence[Watch[D]]) -> None:
        missing = {watch.arn: watch for watch in wanted}
        try:
            await self._search_for(missing)
        except AwsError as error:
            self._search_failed(list(missing.values()), error)
        except Exception:  # whatever it is, GetJob says it for each job
            self._no_search(list(missing.values()))
        else:
            self._search_failures = 0
            for watch in missing.values():
                watch.place = NOWHERE
                self._line_up(watch)
        finally:
            self._sought = set()

    async def _search_for(self, missing: dict[str, Watch[D]]) -> None:
        """Search until all are found; leave those that are not listed."""
        since = min(watch.created for watch in missing.values())
        place, token = 0, ""
        while True:
            await self._pace("SearchJobs").turn()
            page, token = await self._in_thread(self._asker.page, since, token)
            for job in page:
                self._listed(job, place)
                missing.pop(job.arn, None)
                place += 1
            if not token or not missing:
                return

    def _listed(self, job: D, place: int) -> None:
        watch = self._watches.get(job.arn)
        if watch is None:
            return
        watch.place, watch.newer = place, self._ever
        self._answered(watch)
        watch.tell(job)
        if job.status in TERMINAL and watch.ended is None:
            watch.ended = job
            kept = FINAL_SECONDS.get(job.status, FINAL_DEFAULT_SECONDS)
            watch.deliver_by = self._clock() + kept
            self._line_up(watch)

    def _search_failed(self, wanted: Sequence[Watch[D]], error: AwsError) -> None:
        self._search_failures += 1
        if not may_pass(error) or self._search_failures >= SEARCH_FAILURES:
            self._no_search(wanted)
            return
        for watch in wanted:
            self._stumble(watch, "SearchJobs", error)

    def _no_search(self, wanted: Sequence[Watch[D]]) -> None:
        self._search_failures = 0
        self._no_search_until = self._clock() + NO_SEARCH_SECONDS
        for watch in wanted:
            self._line_up(watch)

    # --- the end -------------------------------------------------------------------------------

    def _finish(self, watch: Watch[D], job: D) -> None:
        self._drop(watch)
        if watch.done.done():
            return
        watch.done.set_result(job)
        self._ends[job.arn] = job
        if len(self._ends) > REMEMBERED_ENDS:
            self._ends.popitem(last=False)
        if job.status == "COMPLETED" and job.created_at and job.ended_at:
            self._durations.learn(watch.kind, (job.ended_at - job.created_at).total_seconds())

    def _fail(self, watch: Watch[D], error: Exception) -> None:
        self._drop(watch)
        if not watch.done.done():
            watch.done.set_exception(error)
            with contextlib.suppress(Exception):
                watch.done.exception()  # it may be that nobody waits any more
