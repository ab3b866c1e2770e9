"""Case `watch`: the watcher alone with a thousand simulated jobs, on a clock that jumps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from covalent_braket_plugin.descriptions import JobSummary
from covalent_braket_plugin.quotas import PUBLISHED
from covalent_braket_plugin.watcher import Watcher
from scripts.bench.report import Found, Rows, Target, percentile
from tests.support import virtual_time

JOBS = 1000
POLL_SECONDS = 30.0
OPERATIONS = ("GetJob", "SearchJobs")
SHARE_TARGET_PERCENT = 50.0
CALL_SECONDS = 0.1
PAGE = 100
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

Mix = Callable[[random.Random], tuple[float, float]]
"""Draws when a job is made, and how long it lasts, in seconds."""

MIXES: dict[str, Mix] = {
    "all at once, of 5 minutes": lambda chance: (0.0, 300.0),
    "all at once, 1 to 60 minutes": lambda chance: (0.0, chance.uniform(60, 3600)),
    "over an hour, 1 to 120 minutes": lambda c: (c.uniform(0, 3600), c.uniform(60, 7200)),
}


class Simulated:
    """Braket, as far as the watcher sees it."""

    def __init__(self, mix: Mix) -> None:
        chance = random.Random(0)
        drawn = sorted(mix(chance) for _ in range(JOBS))
        self._jobs = {f"job-{n}": (at, at + lasts) for n, (at, lasts) in enumerate(drawn)}
        self.calls: dict[str, list[float]] = {name: [] for name in OPERATIONS}
        self.late: list[float] = []
        self._watcher: Watcher[JobSummary] = Watcher(
            self, self._in_thread, lambda name: PUBLISHED.rates[name], clock=virtual_time.now
        )

    async def run(self) -> None:
        """Wait for all jobs."""
        await asyncio.gather(*(self._wait(arn) for arn in self._jobs))

    async def _wait(self, arn: str) -> None:
        created, ends = self._jobs[arn]
        await asyncio.sleep(created)
        await self._watcher.wait(arn, _at(created), POLL_SECONDS, kind="bench")
        self.late.append(virtual_time.now() - ends)

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        await asyncio.sleep(CALL_SECONDS)
        return function(*args)

    def describe(self, job_arn: str) -> JobSummary:
        """GetJob."""
        self.calls["GetJob"].append(virtual_time.now())
        return self._summary(job_arn)

    def page(self, created: datetime, token: str) -> tuple[Sequence[JobSummary], str]:
        """SearchJobs."""
        self.calls["SearchJobs"].append(virtual_time.now())
        since, now = (created - EPOCH).total_seconds(), virtual_time.now()
        made = [arn for arn, (at, _) in self._jobs.items() if since <= at <= now]
        start = int(token or 0)
        shown = made[::-1][start : start + PAGE]
        more = str(start + PAGE) if len(made) > start + PAGE else ""
        return [self._summary(arn) for arn in shown], more

    def _summary(self, arn: str) -> JobSummary:
        created, ends = self._jobs[arn]
        over = virtual_time.now() >= ends
        return JobSummary(
            arn=arn, name=arn, status="COMPLETED" if over else "RUNNING",
            created_at=_at(created), ended_at=_at(ends) if over else None,
        )  # fmt: skip


def _at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def _busiest(times: Sequence[float], seconds: float) -> int:
    """The most calls in any span of so many seconds."""
    ordered, first, most = sorted(times), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Run all mixes; nothing of it needs a server."""
    found = Found("watch")
    columns = ["jobs", "operation", "calls", "a job", f"most in {POLL_SECONDS:g} s",
               "most in 1 s", "% of the rate", "late s p50", "p99", "max"]  # fmt: skip
    rows: list[Sequence[str]] = []
    for name, mix in MIXES.items():
        say(f"{JOBS} jobs, {name}")
        service = Simulated(mix)
        virtual_time.run(service.run())
        late = [percentile(service.late, 0.5), percentile(service.late, 0.99), max(service.late)]
        found.figures[name] = {"late_seconds": late}
        for operation, times in service.calls.items():
            rate, burst = PUBLISHED.rates[operation]
            tick, second = _busiest(times, POLL_SECONDS), _busiest(times, 1.0)
            percent = max(100 * tick / (rate * POLL_SECONDS + burst), 100 * second / (rate + burst))
            rows.append([
                name, operation, str(len(times)), f"{len(times) / JOBS:.2f}", str(tick),
                str(second), f"{percent:.0f}", *(f"{each:.1f}" for each in late),
            ])  # fmt: skip
            what = f"{operation}, percent of its rate, {name}"
            found.targets.append(Target(what, percent, SHARE_TARGET_PERCENT))
            found.figures[name][operation] = {
                "calls": len(times), "most_per_tick": tick, "most_per_second": second,
            }  # fmt: skip
    found.tables = [Rows(f"{JOBS} simulated jobs, poll_freq {POLL_SECONDS:g}", columns, rows)]
    return found
