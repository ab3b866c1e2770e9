"""How many jobs may run at once, in all and of each instance type: known, or learnt from answers.

A refusal does not say by class whose quota it was: that of all jobs, or that of the instance type
(here: the *kind*). It is laid to the kind, so that other kinds go on. Once a second kind is refused
while as many jobs run, it was the quota of all; once more jobs run, it was certainly the kind's.
After a quiet while one more than the learnt limit is tried. Knows no AWS; no input or output.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from covalent_braket_plugin.quotas import Quotas

__all__ = ["PROBE_SECONDS", "Slots"]

PROBE_SECONDS = 60.0
"""After so long without a refusal one job more than the learnt limit is tried."""
ALONE_SECONDS = (1.0, 30.0)
"""Shortest and longest pause after a refusal while none of ours runs, whose end we could see."""


NO_LIMIT = 1_000_000
"""What the local Braket answers for a quota that it does not enforce; no account has so many."""
STALE_SECONDS = 600.0
"""If nothing was tried or ended for so long, one job more than Service Quotas says is tried: our
count may be too high, should the end of a job have escaped us, or the quota have been raised."""


@dataclass
class _Learnt:
    """What was learnt about one quota.

    Attributes:
        limit: So many ran when one more was refused; None if none was.
        among: So many ran of all kinds then.
        certain: More have run of all kinds since, so it was the quota of this kind.
        beyond: So many more were made than Service Quotas says.
    """

    running: int = 0
    trying: int = 0
    limit: int | None = None
    among: int = 0
    certain: bool = False
    beyond: int = 0
    again_at: float = 0.0
    refusals: int = 0

    @property
    def busy(self) -> int:
        return self.running + self.trying

    def room_in(self, now: float) -> float:
        if self.limit is None or self.busy < self.limit:
            return 0.0
        return max(0.0, self.again_at - now) if self.busy == self.limit else math.inf

    def refuse(self, among: int, now: float, jitter: float) -> None:
        self.limit, self.among = self.busy, among
        self.refusals += 1
        shortest, longest = ALONE_SECONDS
        alone = min(longest, shortest * 2 ** min(self.refusals - 1, 10))
        self.again_at = now + (PROBE_SECONDS if among else alone * jitter)

    def is_full(self, quota: float) -> bool:
        return self.busy >= quota + self.beyond

    def succeed(self, among: int, quota: float) -> None:
        self.running += 1
        self.refusals = 0
        if self.running > quota:
            self.beyond = self.running - int(quota)
        if self.limit is not None and self.running > self.limit:
            self.limit, self.among = self.running, among

    def forget(self) -> None:
        self.limit, self.certain, self.refusals = None, False, 0


class Slots:
    """Counts jobs and tries against what is known and what was learnt.

    Args:
        quotas: Gives what Service Quotas says, as far as it is known.
        clock: Seconds, monotonic.
        jitter: Gives a factor between 1/2 and 1 for pauses.
    """

    def __init__(
        self,
        quotas: Callable[[], Quotas],
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._quotas = quotas
        self._clock = clock
        self._jitter = jitter
        self._all = _Learnt()
        self._kinds: defaultdict[str, _Learnt] = defaultdict(_Learnt)
        self._jobs: dict[str, str] = {}
        self._moved_at = clock()

    @property
    def running(self) -> int:
        """How many jobs run that were made or adopted here."""
        return self._all.running

    def limit(self, kind: str, most: int = 0) -> int | None:
        """How many jobs may run as far as is known, as a job of this kind sees it.

        Args:
            kind: The instance type.
            most: Most jobs by the user's setting; 0: as many as Braket takes.
        """
        known = most or math.inf, self._jobs_quota, self._of(kind)
        learnt = self._all.limit, self._kinds[kind].limit
        found = min(*known, *(math.inf if each is None else each for each in learnt))
        return None if found >= NO_LIMIT else int(found)

    def room_in(self, kind: str, most: int = 0) -> float:
        """Tell in how many seconds one more of a kind may be tried.

        Args:
            kind: The instance type.
            most: Most jobs by the user's setting; 0: as many as Braket takes.

        Returns:
            0 if at once; infinity if only the end of a job makes room.
        """
        now, own = self._clock(), self._kinds[kind]
        if most and self._all.busy >= most:
            return math.inf
        full = own.is_full(self._of(kind)) or self._all.is_full(self._jobs_quota)
        known = max(0.0, self._moved_at + STALE_SECONDS - now) if full else 0.0
        # A slot of another kind that is free now may have been what was missing.
        freed = not own.certain and self._all.busy < own.among
        return max(known, self._all.room_in(now), 0.0 if freed else own.room_in(now))

    def surely_none(self, kind: str) -> bool:
        """Whether a kind was refused as such: although nothing ran, or less than runs of others."""
        own = self._kinds[kind]
        return own.limit == 0 and (own.certain or own.among == 0)

    def forget(self, kind: str) -> None:
        """Forget what was learnt about a kind: its quota may be raised any time."""
        self._kinds[kind].forget()

    def begin(self, kind: str) -> None:
        """Note that a job of a kind is being made."""
        self._moved_at = self._clock()
        self._all.trying += 1
        self._kinds[kind].trying += 1

    def end_try(self, kind: str) -> None:
        """Note that a try is over; tell what came of it next."""
        self._all.trying -= 1
        self._kinds[kind].trying -= 1

    def made(self, job_arn: str, kind: str) -> None:
        """Note that a job runs."""
        if job_arn in self._jobs:
            return
        self._jobs[job_arn] = kind
        self._moved_at = self._clock()
        among = self._all.running + 1
        self._all.succeed(among, self._jobs_quota)
        self._kinds[kind].succeed(among, self._of(kind))
        for each in self._kinds.values():
            each.certain = each.limit is not None and (each.certain or among > each.among)

    def refused(self, kind: str) -> None:
        """Note that one more job of a kind was refused for a quota."""
        now, own, among = self._clock(), self._kinds[kind], self._all.busy
        same = [
            each
            for each in self._kinds.values()
            if each is not own and each.limit is not None and each.among == among
            if not each.certain
        ]
        if not same:
            own.certain = own.certain and own.limit is not None and own.busy >= own.limit
            own.refuse(among, now, self._jitter())
            return
        for each in (own, *same):
            each.forget()
        self._all.refuse(among, now, self._jitter())

    def ended(self, job_arn: str) -> bool:
        """Note that a job has ended; False if none of ours."""
        kind = self._jobs.pop(job_arn, None)
        if kind is None:
            return False
        self._moved_at = self._clock()
        self._all.running -= 1
        self._kinds[kind].running -= 1
        return True

    @property
    def _jobs_quota(self) -> float:
        jobs = self._quotas().concurrent_jobs
        return math.inf if jobs is None else jobs

    def _of(self, kind: str) -> float:
        return self._quotas().instances.get(kind, math.inf)
