"""Looks closer at jobs of dispatches that somebody watches: what only GetJob tells, and cost.

Nothing is asked of AWS while nobody watches. One call a second for all jobs together, each job
every 10 seconds at most; like all of `monitoring`, it can never fail or delay a job.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.monitoring import phases
from covalent_braket_plugin.monitoring.rounds import Item, Rounds
from covalent_braket_plugin.monitoring.watched import watched
from covalent_braket_plugin.pace import Pace

__all__ = ["Closer", "Seen"]

CALLS_PER_SECOND = 1.0
FIRST_SECONDS = 2.0
AGAIN_SECONDS = 10.0
AFTER_TROUBLE_SECONDS = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True)
class Seen:
    """A job that may be looked at.

    Attributes:
        job_arn: The job.
        dispatch_id: The dispatch that its electron is of.
        node_id: The electron's node.
        describe: Asks for all about a job (GetJob); blocks.
    """

    job_arn: str
    dispatch_id: str
    node_id: int
    describe: Callable[[str], Job]


class _Look(Item):
    def __init__(self, seen: Seen, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._seen = seen
        self._in_thread = in_thread
        self.left = False

    def wanted(self) -> bool:
        return watched(self._seen.dispatch_id)

    async def ask(self) -> float:
        seen = self._seen
        try:
            job = await self._in_thread(seen.describe, seen.job_arn)
        except Exception as error:
            log.debug("%s cannot be looked at now: %s", seen.job_arn, error)
            return AFTER_TROUBLE_SECONDS
        if not self.left:
            phases.heard(seen.dispatch_id, seen.node_id, job)
        return AGAIN_SECONDS


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
        pace = Pace(CALLS_PER_SECOND, CALLS_PER_SECOND, clock=clock, sleep=sleep)
        self._rounds = Rounds(pace, clock=clock, sleep=sleep)
        self._looks: dict[str, _Look] = {}

    def add(self, seen: Seen) -> None:
        """Look at a job while somebody watches its dispatch."""
        look = self._looks[seen.job_arn] = _Look(seen, self._in_thread)
        self._rounds.add(look, FIRST_SECONDS)

    def leave(self, job_arn: str) -> None:
        """Look at a job no more, such as when it has ended."""
        look = self._looks.pop(job_arn, None)
        if look is not None:
            look.left = True
            self._rounds.remove(look)
