"""What is known about each job that somebody waits for, and whom to ask about which. Pure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from covalent_braket_plugin.durations import Lasting, ask_at_age

__all__ = ["JOBS_A_PAGE", "NOWHERE", "TERMINAL", "Description", "Watch", "worth_searching"]

JOBS_A_PAGE = 100
TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
NOWHERE = 10**9
"""Place of a job that a search did not list."""
TOGETHER_SHARE = 0.5
"""Whoever is past this share of his pause may be asked about together with those that are due."""
UNKNOWN_CHANCE = 0.1
"""How likely a job has ended of which nothing is known but that it is due."""

log = logging.getLogger(__name__)


class Description(Protocol):
    """What is known about a job."""

    @property
    def arn(self) -> str:
        """The job."""

    @property
    def status(self) -> str:
        """Braket's word."""

    @property
    def created_at(self) -> datetime | None:
        """When it was made, by the service's clock."""

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, by the service's clock."""


D = TypeVar("D", bound=Description)


@dataclass(eq=False)
class Watch(Generic[D]):
    """One job that somebody waits for; times are the watcher's clock's.

    Attributes:
        arn: The job.
        created: When it was made (UTC), for SearchJobs.
        kind: Jobs of the same kind last about as long; empty if nothing is to be expected.
        poll_seconds: Longest pause between two questions.
        patience_seconds: For so long it is asked about without any answer.
        started: When its age is 0.
        answered_at: When there was an answer last.
        done: What everybody who waits for it gets.
        place: Where a search listed it last, counted from the newest job.
        newer: How many jobs were waited for ever at that time.
        waiters: How many wait.
        next_at: When it is to be asked about.
        pause: The pause that ends then; 0 if it ends when the job is expected to have ended.
        failures: Questions without an answer, one after the other.
        under_way: Whether a GetJob is under way or lined up.
        ended: What a search said about it when it had ended.
        deliver_by: When that is delivered although GetJob has not said the rest.
        heard: Whom each answer is told.
    """

    arn: str
    created: datetime
    kind: str
    poll_seconds: float
    patience_seconds: float
    started: float
    answered_at: float
    done: asyncio.Future[D] = field(repr=False)
    newer: int
    place: int = 0
    waiters: int = 0
    next_at: float = 0.0
    pause: float = 0.0
    failures: int = 0
    under_way: bool = False
    ended: D | None = None
    deliver_by: float = 0.0
    heard: list[Callable[[D], None]] = field(default_factory=list)

    def tell(self, job: D) -> None:
        """Tell an answer to whoever wants to hear it."""
        for heard in self.heard:
            try:
                heard(job)
            except Exception:  # whoever only listens must not hold up the end of a job
                log.warning("What is heard of %s could not be told", self.arn, exc_info=True)

    def schedule(self, now: float, lasting: Lasting | None) -> None:
        """Settle when it is asked about next, after an answer (or at first)."""
        age = now - self.started
        self.next_at = self.started + ask_at_age(age, lasting, self.poll_seconds)
        expected = lasting is not None and age < lasting.earliest
        self.pause = 0.0 if expected else self.next_at - now

    def nearly_due(self, now: float) -> bool:
        """Whether asking about it now instead of a little later wastes nothing."""
        return self.next_at - now <= TOGETHER_SHARE * self.pause

    def chance(self, now: float, lasting: Lasting | None) -> float:
        """Estimate how likely it has ended."""
        return lasting.chance(now - self.started) if lasting else UNKNOWN_CHANCE


def worth_searching(asked: Iterable[tuple[Watch[D], float]], so_far: int) -> list[Watch[D]]:
    """Choose those about whom pages of SearchJobs are cheaper than a GetJob each.

    A GetJob is wasted if the job has not ended: else it would have to be made anyway, to hear the
    rest. The search lists the newest jobs first: those far down the list, behind many younger
    ones, are better asked about one by one.

    Args:
        asked: Those that may be asked about, each with the chance that it has ended.
        so_far: How many jobs were waited for ever: so many may be newer than before.
    """

    def place(one: tuple[Watch[D], float]) -> int:
        return one[0].place + so_far - one[0].newer

    listed = sorted(asked, key=place)
    wasted = best = sum(1 - chance for _, chance in listed)
    count = 0
    for number, one in enumerate(listed, 1):
        wasted -= 1 - one[1]
        cost = wasted + 1 + place(one) // JOBS_A_PAGE
        if cost < best:
            best, count = cost, number
    return [watch for watch, _ in listed[:count]]
