"""When a job may be made: slots, pace and turns, for one account, region and identity.

Braket takes few jobs at once (3 by default) and few CreateJob calls a second, and refuses what is
over at once (``ServiceQuotaExceededException``, HTTP 402; ``ThrottlingException``, 429). So every
CreateJob of a process goes through here: `covalent_braket_plugin.turns` says who is next,
`covalent_braket_plugin.slots` whether there is room, the pace of CreateJob when, and
`covalent_braket_plugin.telling` tells those who wait. Knows neither Covalent nor boto3.

https://docs.aws.amazon.com/braket/latest/developerguide/braket-quotas.html
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from covalent_braket_plugin.errors import (
    AwsError,
    QueueTimeoutError,
    QuotaError,
    ThrottledError,
    ZeroQuotaError,
    may_pass,
)
from covalent_braket_plugin.pace import sleep_or
from covalent_braket_plugin.quotas import NONE_BY_DEFAULT, Limits
from covalent_braket_plugin.slots import Slots
from covalent_braket_plugin.telling import Teller
from covalent_braket_plugin.turns import Lane, Standing, Turn, Turns

__all__ = ["Scheduler", "Standing", "WithdrawnError"]

AT_ONCE = 4
"""CreateJob calls under way at the same time; there are many more threads for short calls."""
PAUSE_SECONDS = (1.0, 30.0)
"""Shortest and longest pause after a call that was throttled or got no usable answer."""
OWN_FAILURES = 5
"""Who got no usable answer so often in a row lets others go first: it may be the only one."""
KEPT = 64
"""So many deadlines of electrons that wait no more are kept before they are thrown away."""

log = logging.getLogger(__name__)


class WithdrawnError(Exception):
    """The electron does not want to become a job any more."""


class Scheduler:
    """The queue; lives on one event loop.

    Args:
        limits: What the account may do, as far as it is known; and the pace of CreateJob.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
        jitter: Gives a factor between 0 and 1.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits
        self._pace = limits.pace("CreateJob")
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._slots = Slots(lambda: limits.quotas, clock, self._factor)
        self._turns = Turns()
        self._teller = Teller(self._turns, self._slots, clock, sleep)
        self._deadlines: list[tuple[float, int, Turn]] = []
        self._trying: set[asyncio.Task[None]] = set()
        self._troubles = 0
        self._not_before = 0.0
        self._silent_since: float | None = None
        self._changed = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        limits.on_change(self._limits_changed)

    @property
    def waiting(self) -> int:
        """How many electrons wait for their turn."""
        return len(self._turns)

    async def submit(
        self,
        dispatch_id: str,
        create: Callable[[], Awaitable[str]],
        *,
        kind: str = "",
        instances: int = 1,
        most: int = 0,
        queue_timeout: float | None = None,
        give_up_after: float = 3600.0,
        withdrawn: asyncio.Event | None = None,
        told: Callable[[Standing], None] | None = None,
    ) -> str:
        """Make a job as soon as it may be made.

        Args:
            dispatch_id: Whose turn it is; dispatches take turns.
            create: Makes the job; may be called again, and must then mean the same job.
            kind: The instance type: each has a quota of its own.
            instances: How many of them the job needs.
            most: By the setting ``max_parallel_jobs``: this job is made only while fewer than so
                many run, whosever they are. 0: as many as Braket takes.
            queue_timeout: Longest wait for a slot in seconds; None: as long as it must.
            give_up_after: So many seconds without any usable answer are waited out.
            withdrawn: Set if the electron was cancelled. It never becomes a job then; but if a
                call got no answer, it is made again until it is known whether there is a job.
            told: Is told where the electron stands if it has to wait, and then every few seconds
                when that has changed. Must be quick.

        Returns:
            What ``create`` returned: the job's ARN. Tell `ended` when it has ended.

        Raises:
            WithdrawnError: It was withdrawn while it waited.
            QueueTimeoutError: It waited for too long; nothing was submitted.
            ZeroQuotaError: The account may not have even one instance of this type.
            AwsError: Braket refused for a reason that waiting does not mend, or gave no usable
                answer for too long. If it is ``transient``, there may be a job all the same.
        """
        if withdrawn is not None and withdrawn.is_set():
            raise WithdrawnError
        lane = Lane(kind, most, instances)
        if self._has_none(lane):
            raise self._zero_quota(lane)
        now = self._clock()
        turn = Turn(
            dispatch_id,
            lane,
            create,
            asyncio.get_running_loop().create_future(),
            since=now,
            give_up_after=give_up_after,
            deadline=math.inf if queue_timeout is None else now + queue_timeout,
            withdrawn=withdrawn,
            told=told,
        )
        self._add(turn)
        try:
            return await self._outcome(turn)
        except asyncio.CancelledError:
            await self._abandon(turn)
            raise

    def adopt(self, job_arn: str, kind: str) -> None:
        """Note a job that runs and was not made here: it has a slot until it has `ended`."""
        self._slots.made(job_arn, kind)

    def ended(self, job_arn: str) -> None:
        """Note that a job has ended: its slot is free."""
        if self._slots.ended(job_arn):
            self._wake()

    # --- one electron ------------------------------------------------------------------------

    def _add(self, turn: Turn) -> None:
        self._turns.add(turn)
        if turn.deadline < math.inf:
            if len(self._deadlines) > 2 * self.waiting + KEPT:  # of those that wait no more
                self._deadlines = [each for each in self._deadlines if not each[2].done.done()]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, (turn.deadline, turn.number, turn))
        if turn.told is not None:
            self._teller.start()
        self._wake()

    async def _outcome(self, turn: Turn) -> str:
        if turn.withdrawn is None:
            return await asyncio.shield(turn.done)
        watching = asyncio.ensure_future(turn.withdrawn.wait())
        try:
            either: set[asyncio.Future[Any]] = {turn.done, watching}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done.done() and not turn.unsure and self._turns.remove(turn):
                raise WithdrawnError
            return await asyncio.shield(turn.done)
        finally:
            watching.cancel()

    async def _abandon(self, turn: Turn) -> None:
        """Nobody waits any more; a call under way is not lost halfway: its answer is awaited."""
        turn.abandoned = True
        self._turns.remove(turn)
        if turn.trying is not None and not turn.trying.done():
            await asyncio.wait([turn.trying])
        if turn.done.done() and turn.done.exception() is None:
            self.ended(turn.done.result())

    # --- turns -------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._changed.set()
        if self._turns and (self._loop is None or self._loop.done()):
            self._loop = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._turns:
            self._changed.clear()
            self._expire()
            pause = min(self._step(), self._next_deadline())
            if pause == math.inf:
                await self._changed.wait()
            elif pause > 0:
                await sleep_or(self._changed, pause, self._sleep)

    def _step(self) -> float:
        """Make the next job, if one may be made; tell in how many seconds to look again."""
        if (seconds := self._not_before - self._clock()) > 0:
            return seconds
        if len(self._trying) >= (1 if self._troubles else AT_ONCE):
            return math.inf
        room_in = {lane: self._room_in(lane) for lane in self._turns.lanes}
        turn = self._turns.find({lane for lane, wait in room_in.items() if wait <= 0})
        if turn is None:
            return min(room_in.values(), default=math.inf)
        if not self._pace.take():
            return self._pace.ready_in()
        self._start(turn)
        return 0.0

    def _room_in(self, lane: Lane) -> float:
        if lane.kind in NONE_BY_DEFAULT and not self._limits.asked:
            return math.inf  # its quota is zero, unless Service Quotas says otherwise in a moment
        return self._slots.room_in(lane.kind, lane.most)

    def _start(self, turn: Turn) -> None:
        self._turns.take(turn)
        self._slots.begin(turn.kind)
        turn.trying = asyncio.ensure_future(self._try(turn))
        self._trying.add(turn.trying)
        turn.trying.add_done_callback(self._tried)

    def _tried(self, task: asyncio.Task[None]) -> None:
        self._trying.discard(task)
        self._wake()

    async def _try(self, turn: Turn) -> None:
        problem: Exception | None = None
        try:
            job_arn = await turn.create()
        except Exception as error:
            problem = error
        finally:
            self._slots.end_try(turn.kind)
        if problem is None:
            self._answered(turn)
            self._troubles = 0
            self._slots.made(job_arn, turn.kind)
            turn.finish(job_arn)
            self._refuse_those_without_quota()
        elif isinstance(problem, AwsError):
            self._failed(turn, problem)
        else:  # a defect of ours must not leave an electron waiting for ever
            turn.finish(problem)

    # --- answers -----------------------------------------------------------------------------

    def _failed(self, turn: Turn, error: AwsError) -> None:
        if isinstance(error, ThrottledError):
            self._answered(turn)
            self._pace.slow_down()
            self._pause()
            self._put_back(turn)
        elif isinstance(error, QuotaError):
            self._answered(turn)
            self._refused(turn, error)
        elif may_pass(error):
            turn.unsure = turn.unsure or error.transient
            self._unanswered(turn, error)
        else:
            self._answered(turn)
            turn.finish(_honest(error, turn.unsure))

    def _refused(self, turn: Turn, error: AwsError) -> None:
        log.info("%s more wait for a slot: %s", self.waiting + 1, error)
        self._slots.refused(turn.kind)
        if self._has_none(turn.lane) or self._learnt_none(turn.kind):
            turn.finish(_honest(self._zero_quota(turn.lane), turn.unsure))
        else:
            self._put_back(turn)
        self._refuse_those_without_quota()

    def _answered(self, turn: Turn) -> None:
        self._silent_since = None
        turn.failures, turn.failing_since = 0, math.inf

    def _unanswered(self, turn: Turn, error: AwsError) -> None:
        now = self._clock()
        if self._silent_since is None:
            self._silent_since = now
            log.warning("No job can be made now, it will be tried again: %s", error)
        turn.failures += 1
        turn.failing_since = min(turn.failing_since, now)
        self._pause()
        self._put_back(turn)
        for each in list(self._turns):
            silent_since = min(each.failing_since, max(each.since, self._silent_since))
            if now - silent_since >= each.give_up_after:
                self._turns.remove(each)
                each.finish(_honest(error, each.unsure))

    def _pause(self) -> None:
        self._troubles += 1
        shortest, longest = PAUSE_SECONDS
        seconds = min(longest, shortest * 2 ** min(self._troubles - 1, 10))
        self._not_before = self._clock() + seconds * self._factor()

    def _factor(self) -> float:
        return 0.5 + 0.5 * self._jitter()

    def _put_back(self, turn: Turn) -> None:
        if turn.failures < OWN_FAILURES:
            self._turns.put_back(turn)
        else:
            self._turns.put_last(turn)
        if turn.abandoned:
            self._turns.remove(turn)
        elif turn.withdrawn is not None and turn.withdrawn.is_set() and not turn.unsure:
            self._turns.remove(turn)
            turn.finish(WithdrawnError())
        elif self._clock() >= turn.deadline:
            self._time_out(turn)

    # --- quotas that are zero ------------------------------------------------------------------

    def _limits_changed(self) -> None:
        self._refuse_those_without_quota()
        self._wake()

    def _refuse_those_without_quota(self) -> None:
        learnt = set(filter(self._learnt_none, NONE_BY_DEFAULT))
        lanes = self._turns.lanes
        none = {lane for lane in lanes if lane.kind in learnt or self._has_none(lane)}
        for turn in list(self._turns) if none else ():
            if turn.lane in none and not turn.unsure:
                self._turns.remove(turn)
                turn.finish(self._zero_quota(turn.lane))
        for kind in learnt:
            self._slots.forget(kind)

    def _has_none(self, lane: Lane) -> bool:
        return self._limits.quotas.instances.get(lane.kind, math.inf) < lane.instances

    def _learnt_none(self, kind: str) -> bool:
        unknown = kind not in self._limits.quotas.instances
        return kind in NONE_BY_DEFAULT and unknown and self._slots.surely_none(kind)

    def _zero_quota(self, lane: Lane) -> ZeroQuotaError:
        kind, quota = lane.kind, self._limits.quotas.instances.get(lane.kind)
        why = f"this account's quota of {kind} for jobs is {quota}"
        if quota is None:
            why = f"Braket refused it as if the quota were 0, and new accounts have no {kind}"
        elif lane.instances > 1:
            why += f", and instance_count={lane.instances} needs more"
        return ZeroQuotaError(
            f"classical_device={kind!r} cannot be used: {why} in this region, so waiting does not "
            "help. Choose another classical_device, or ask for more in Service Quotas: Amazon "
            f"Braket, 'Maximum number of instances of {kind} for jobs'.",
            code="ServiceQuotaExceededException",
            operation="CreateJob",
        )

    # --- time-outs ---------------------------------------------------------------------------

    def _next_deadline(self) -> float:
        return self._deadlines[0][0] - self._clock() if self._deadlines else math.inf

    def _expire(self) -> None:
        while self._deadlines and self._next_deadline() <= 0:
            self._time_out(heapq.heappop(self._deadlines)[2])

    def _time_out(self, turn: Turn) -> None:
        if turn.unsure or not self._turns.remove(turn):
            return  # there may be a job, or there will be one in a moment
        slots = self._slots.limit(turn.kind, turn.lane.most)
        turn.finish(
            QueueTimeoutError(
                f"queue_timeout={turn.deadline - turn.since:g} s are over and no slot was free: "
                f"{self._slots.running} jobs run, {'?' if slots is None else slots} may. Nothing "
                "was submitted. Give it longer, or ask for more concurrent jobs in Service Quotas."
            )
        )


def _honest(error: AwsError, unsure: bool) -> AwsError:
    """Say by ``transient`` whether there may be a job, whatever the last answer was."""
    if error.transient == unsure:
        return error
    same = type(error)(
        str(error),
        code=error.code,
        operation=error.operation,
        status=error.status,
        transient=unsure,
    )
    same.__cause__ = error
    return same
