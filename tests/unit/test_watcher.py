from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from covalent_braket_plugin.descriptions import JobSummary
from covalent_braket_plugin.errors import AccessError, AwsError, NotFoundError, UnreachableError
from covalent_braket_plugin.watcher import Watcher

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Service:
    """Jobs that end at given times, by a clock that only the watcher's sleeping moves."""

    def __init__(self, ends: dict[str, float]) -> None:
        self.ends = ends
        self.now = 0.0
        self.calls: list[tuple[float, str]] = []
        self.trouble: Callable[[float], Exception | None] = lambda now: None

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    def _status(self, arn: str) -> str:
        return "COMPLETED" if self.now >= self.ends[arn] else "RUNNING"

    def _answer(self, operation: str) -> None:
        self.calls.append((self.now, operation))
        if problem := self.trouble(self.now):
            raise problem

    def describe(self, job_arn: str) -> JobSummary:
        self._answer("GetJob")
        return JobSummary(arn=job_arn, name=job_arn, status=self._status(job_arn))

    def page(self, created: datetime, token: str) -> tuple[list[JobSummary], str]:
        self._answer("SearchJobs")
        return [JobSummary(arn=a, name=a, status=self._status(a)) for a in self.ends], ""

    def watcher(self) -> Watcher[JobSummary]:
        return Watcher(self, self.in_thread, clock=self.clock, sleep=self.sleep)


async def test_short_job_costs_two_questions_at_the_most() -> None:
    service = Service({"a": 2.5})
    assert (await service.watcher().wait("a", NOW, 30)).status == "COMPLETED"
    assert len(service.calls) <= 2
    assert service.now <= 3.1


async def test_long_job_is_asked_about_ever_more_rarely_but_within_poll_freq() -> None:
    service = Service({"a": 3600.0})
    await service.watcher().wait("a", NOW, 30)
    times = [at for at, _ in service.calls]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= 30.001
    assert gaps[0] < 2
    assert len(times) < 3600 / 30 + 60
    assert service.now - 3600 <= 30.001


async def test_poll_freq_below_the_first_interval_is_obeyed() -> None:
    service = Service({"a": 1.0})
    await service.watcher().wait("a", NOW, 0.25)
    assert service.now <= 1.26


async def test_many_jobs_are_asked_about_together() -> None:
    service = Service({f"job-{n}": 20.0 + n / 10 for n in range(100)})
    watcher = service.watcher()
    found = await asyncio.gather(*(watcher.wait(arn, NOW, 30) for arn in service.ends))
    assert {job.status for job in found} == {"COMPLETED"}
    assert len(service.calls) < 200
    assert {operation for _, operation in service.calls[:5]} == {"SearchJobs"}


async def test_two_waiters_for_one_job_share_its_questions() -> None:
    service = Service({"a": 2.0})
    watcher = service.watcher()
    both = await asyncio.gather(watcher.wait("a", NOW, 30), watcher.wait("a", NOW, 30))
    assert [job.status for job in both] == ["COMPLETED", "COMPLETED"]
    assert len(service.calls) <= 2


async def test_no_answer_for_a_while_loses_no_job() -> None:
    service = Service({"a": 100.0})
    service.trouble = lambda now: UnreachableError("down", transient=True) if now < 300 else None
    assert (await service.watcher().wait("a", NOW, 30)).status == "COMPLETED"


async def test_no_answer_for_too_long_is_an_error() -> None:
    service = Service({"a": 100.0})
    service.trouble = lambda now: UnreachableError("down", transient=True)
    with pytest.raises(UnreachableError, match="down"):
        await service.watcher().wait("a", NOW, 30)
    assert service.now >= 900


async def test_job_may_be_unknown_right_after_it_was_made() -> None:
    service = Service({"a": 10.0})
    service.trouble = lambda now: NotFoundError("not yet") if now < 5 else None
    assert (await service.watcher().wait("a", NOW, 30)).status == "COMPLETED"


@pytest.mark.parametrize("error", [AccessError("no"), RuntimeError("a defect")])
async def test_what_will_not_pass_is_said_at_once(error: AwsError | RuntimeError) -> None:
    service = Service({"a": 10.0})
    service.trouble = lambda now: error
    with pytest.raises(type(error), match=str(error)):
        await service.watcher().wait("a", NOW, 30)
    assert service.now < 2


async def test_job_that_comes_while_others_are_old_is_asked_about_soon() -> None:
    service = Service({"old": 2000.0, "new": 1003.0})
    watcher = service.watcher()
    old = asyncio.ensure_future(watcher.wait("old", NOW, 60))
    while service.now < 1000:  # noqa: ASYNC110 (the clock moves with the turns of the loop)
        await asyncio.sleep(0)
    await watcher.wait("new", NOW, 60)
    asked = [at for at, _ in service.calls if at > 1003]
    assert asked[0] < 1003 + 2
    await old
