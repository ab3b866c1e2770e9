"""Looks closer at jobs of dispatches that somebody watches: what only GetJob tells, and cost.

Nothing is asked of AWS while nobody watches: what a job has cost that ended meanwhile is asked once
somebody does. A look is two calls (GetJob, SearchQuantumTasks), or more for more than 100 quantum
tasks: a call a second for all jobs together, each job every 10 seconds at most. Like all of
`monitoring`, it can never fail or delay a job.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from covalent_braket_plugin.costs.prices import prices
from covalent_braket_plugin.costs.spending import spent
from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.errors import BraketPluginError
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.monitoring import phases
from covalent_braket_plugin.monitoring.board import BOARD
from covalent_braket_plugin.monitoring.rounds import Item, Rounds
from covalent_braket_plugin.monitoring.watched import watched
from covalent_braket_plugin.pace import Pace

__all__ = ["Closer", "Seen"]

LOOKS_PER_SECOND = 0.5
FIRST_SECONDS = 2.0
AGAIN_SECONDS = 10.0
AFTER_TROUBLE_SECONDS = 30.0
LAST_SECONDS = 1.0
"""So long after its end a job is looked at for the last time: what is billed is known then."""
CALLS_PER_LOOK = 2
TASKS_PER_CALL = 100
UNSEEN = 500
"""Of so many of the latest jobs that ended while nobody watched the cost is asked later."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True)
class Seen:
    """A job that may be looked at.

    Attributes:
        job_arn: The job.
        dispatch_id: The dispatch that its electron is of.
        node_id: The electron's node.
        jobs: Gives the calls about jobs; blocks.
    """

    job_arn: str
    dispatch_id: str
    node_id: int
    jobs: Callable[[], Jobs]

    def look(self) -> tuple[Job, float | None, int]:
        """Ask what the job does, and what it has cost in US dollars; None if unknown. Blocks.

        Returns:
            Job and cost, and how many quantum tasks it has made.

        Raises:
            BraketPluginError: The job cannot be asked about.
        """
        jobs = self.jobs()
        job = jobs.describe(self.job_arn)
        try:
            tasks = jobs.quantum_tasks(self.job_arn)
        except BraketPluginError as error:
            log.debug("The quantum tasks of %s are not known: %s", self.job_arn, error)
            return job, None, 0
        return job, spent(job, tasks, prices(wait_seconds=0)).usd, len(tasks)


class _Look(Item):
    def __init__(self, seen: Seen, in_thread: Callable[..., Awaitable[Any]], pace: Pace) -> None:
        self.seen = seen
        self.seen_to_end = False
        self._in_thread = in_thread
        self._pace = pace

    def wanted(self) -> bool:
        return self.seen_to_end or watched(self.seen.dispatch_id)

    async def ask(self) -> float:
        seen = self.seen
        self.over = self.ended
        try:
            job, usd, tasks = await self._in_thread(seen.look)
        except Exception as error:
            log.debug("%s cannot be looked at now: %s", seen.job_arn, error)
            return AFTER_TROUBLE_SECONDS
        self._pace.owe(tasks // TASKS_PER_CALL / CALLS_PER_LOOK)
        if not self.ended:
            phases.heard(seen.dispatch_id, seen.node_id, job)
        known = BOARD.entry(seen.dispatch_id, seen.node_id) is not None
        if usd is not None and known:  # not if the board has forgotten it long ago
            BOARD.set_cost(seen.dispatch_id, seen.node_id, seen.job_arn, usd)
        return LAST_SECONDS if self.ended else AGAIN_SECONDS


class Closer:
    """Looks closer at jobs; lives on one event loop.

    Args:
        in_thread: Runs a blocking call off the event loop.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        in_thread: Callable[..., Awaitable[Any]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._in_thread = in_thread
        self._pace = Pace(LOOKS_PER_SECOND, 2, clock=clock, sleep=sleep)
        self._rounds = Rounds(self._pace, clock=clock, sleep=sleep)
        self._looks: dict[str, _Look] = {}
        self._unseen: deque[_Look] = deque()

    def add(self, seen: Seen) -> None:
        """Look at a job while somebody watches its dispatch."""
        if (known := self._looks.get(seen.job_arn)) is not None:
            self._rounds.remove(known)
        look = self._looks[seen.job_arn] = _Look(seen, self._in_thread, self._pace)
        self._rounds.add(look, FIRST_SECONDS)

    def leave(self, job_arn: str) -> None:
        """Look at a job that has ended only once more, for its cost: now, or when it is watched."""
        look = self._looks.pop(job_arn, None)
        if look is None:
            return
        look.ended = True
        look.seen_to_end = watched(look.seen.dispatch_id)
        self._rounds.add(look, LAST_SECONDS)
        if not look.seen_to_end:
            self._unseen.append(look)
        if len(self._unseen) > UNSEEN:
            self._rounds.remove(self._unseen.popleft())
