"""When a job may be made: slots, pace and turns, for one account, region and identity.

Braket takes few jobs at once (3 by default) and few CreateJob calls a second, and refuses what is
over at once (``ServiceQuotaExceededException``, HTTP 402; ``ThrottlingException``, 429). So every
CreateJob of a process goes through here. Electrons wait for their turn, one of each dispatch after
the other; how many jobs may run is learnt from Braket's answers: a refusal sets the limit to what
runs now, and after a quiet while one more is tried. Knows neither Covalent nor boto3.

https://docs.aws.amazon.com/braket/latest/developerguide/braket-quotas.html
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from covalent_braket_plugin.errors import AwsError, QuotaError, ThrottledError

__all__ = ["Scheduler", "WithdrawnError"]

AT_ONCE = 8
"""CreateJob calls under way at the same time, as long as none was throttled."""
THROTTLED_GAP_SECONDS = 1.0
"""Time between two calls once one was throttled: the published rate is one a second."""
PROBE_SECONDS = 60.0
"""After so long without a refusal one job more than the learnt limit is tried."""
PAUSE_SECONDS = (1.0, 30.0)
"""Shortest and longest pause after an answer that may be better later."""
PATIENCE_SECONDS = 600.0
"""For so long a job is tried again whose CreateJob gets no usable answer at all."""

log = logging.getLogger(__name__)


class WithdrawnError(Exception):
    """The electron does not want to become a job any more."""


@dataclass
class _Turn:
    """One electron that waits to become a job."""

    dispatch_id: str
    create: Callable[[], Awaitable[str]]
    done: asyncio.Future[str] = field(repr=False)
    first_try: float = math.inf


class Scheduler:
    """The queue; lives on one event loop.

    Args:
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
        jitter: Gives a factor between 0 and 1.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._queues: OrderedDict[str, deque[_Turn]] = OrderedDict()
        self._running: set[str] = set()
        self._trying: set[asyncio.Task[None]] = set()
        self._most = 0
        self._limit: int | None = None
        self._refused_at = 0.0
        self._refusals = 0
        self._gap_seconds = 0.0
        self._not_before = 0.0
        self._changed = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many electrons wait for their turn."""
        return sum(len(queue) for queue in self._queues.values())

    async def submit(
        self,
        dispatch_id: str,
        create: Callable[[], Awaitable[str]],
        *,
        most: int = 0,
        withdrawn: asyncio.Event | None = None,
    ) -> str:
        """Make a job as soon as it may be made.

        Args:
            dispatch_id: Whose turn it is; dispatches take turns.
            create: Makes the job; may be called again, and must then mean the same job.
            most: Most jobs at the same time, by the setting ``max_parallel_jobs``; the last one
                given counts for all. 0: as many as Braket takes.
            withdrawn: Set if the electron was cancelled; it never becomes a job then.

        Returns:
            What ``create`` returned: the job's ARN. Tell `ended` when it has ended.

        Raises:
            WithdrawnError: It was withdrawn while it waited.
            AwsError: Braket refused for a reason that waiting does not mend.
        """
        if withdrawn is not None and withdrawn.is_set():
            raise WithdrawnError
        self._most = most
        turn = _Turn(dispatch_id, create, asyncio.get_running_loop().create_future())
        self._queues.setdefault(dispatch_id, deque()).append(turn)
        self._wake()
        if withdrawn is None:
            return await self._wait(turn)
        watching = asyncio.ensure_future(withdrawn.wait())
        try:
            either: set[asyncio.Future[Any]] = {turn.done, watching}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done.done() and self._remove(turn):
                raise WithdrawnError
            return await self._wait(turn)
        finally:
            watching.cancel()

    def ended(self, job_arn: str) -> None:
        """Note that a job has ended: its slot is free."""
        if job_arn in self._running:
            self._running.discard(job_arn)
            self._not_before = min(self._not_before, self._clock() + self._gap_seconds)
            self._wake()

    async def _wait(self, turn: _Turn) -> str:
        try:
            return await asyncio.shield(turn.done)
        except asyncio.CancelledError:
            self._remove(turn)
            raise

    def _remove(self, turn: _Turn) -> bool:
        queue = self._queues.get(turn.dispatch_id)
        if queue is None or turn not in queue:
            return False
        queue.remove(turn)
        if not queue:
            del self._queues[turn.dispatch_id]
        return True

    # --- turns -------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._changed.set()
        if self._queues and (self._loop is None or self._loop.done()):
            self._loop = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._queues:
            self._changed.clear()
            if self._may_try():
                self._start(self._next())
            else:
                await self._something_changes()

    async def _something_changes(self) -> None:
        """Wait until a job ends or a try does, or until it is worth trying again."""
        pause = max(self._not_before - self._clock(), PAUSE_SECONDS[0])
        sleeping = asyncio.ensure_future(self._sleep(pause))
        changing = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({sleeping, changing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changing.cancel()

    def _may_try(self) -> bool:
        if self._clock() < self._not_before:
            return False
        careful = self._refusals or self._gap_seconds
        if len(self._trying) >= (1 if careful else AT_ONCE):
            return False
        return len(self._running) + len(self._trying) < self._slots()

    def _slots(self) -> float:
        most = self._most or math.inf
        if self._limit is None:
            return most
        quiet = self._clock() - self._refused_at >= PROBE_SECONDS
        return min(most, self._limit + (1 if quiet else 0))

    def _next(self) -> _Turn:
        dispatch_id, queue = self._queues.popitem(last=False)
        turn = queue.popleft()
        if queue:
            self._queues[dispatch_id] = queue  # at the end: now it is the others' turn
        return turn

    def _put_back(self, turn: _Turn) -> None:
        self._queues.setdefault(turn.dispatch_id, deque()).appendleft(turn)
        self._queues.move_to_end(turn.dispatch_id, last=False)

    def _start(self, turn: _Turn) -> None:
        self._not_before = self._clock() + self._gap_seconds
        task = asyncio.ensure_future(self._try(turn))
        self._trying.add(task)
        task.add_done_callback(self._tried)

    def _tried(self, task: asyncio.Task[None]) -> None:
        self._trying.discard(task)
        self._wake()

    async def _try(self, turn: _Turn) -> None:
        turn.first_try = min(turn.first_try, self._clock())
        try:
            job_arn = await turn.create()
        except AwsError as error:
            self._failed(turn, error)
        except Exception as error:  # a defect of ours must not leave an electron waiting for ever
            _finish(turn, error)
        else:
            self._refusals = 0
            self._running.add(job_arn)
            if self._limit is not None:
                self._limit = max(self._limit, len(self._running))
            _finish(turn, job_arn)

    def _failed(self, turn: _Turn, error: AwsError) -> None:
        now = self._clock()
        if isinstance(error, QuotaError):
            self._limit = max(1, len(self._running))
            self._refused_at = now
            log.warning("%s more wait for a slot: %s", self.waiting + 1, error)
        elif isinstance(error, ThrottledError):
            self._gap_seconds = THROTTLED_GAP_SECONDS
        elif not error.transient or now - turn.first_try >= PATIENCE_SECONDS:
            _finish(turn, error)
            return
        self._refusals += 1
        longest = min(PAUSE_SECONDS[1], PAUSE_SECONDS[0] * 2 ** min(self._refusals - 1, 10))
        # With jobs of ours running a freed slot wakes us; the pause is for all other reasons.
        self._not_before = now + longest * (0.5 + 0.5 * self._jitter())
        self._put_back(turn)


def _finish(turn: _Turn, what: str | Exception) -> None:
    if turn.done.done():
        return
    if isinstance(what, Exception):
        turn.done.set_exception(what)
    else:
        turn.done.set_result(what)
