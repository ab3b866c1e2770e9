"""The watcher against a service of jobs that end at given times, on a clock that jumps."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from covalent_braket_plugin.descriptions import Job, JobSummary
from covalent_braket_plugin.errors import (
    AccessError,
    AwsError,
    CredentialsError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
)
from covalent_braket_plugin.watcher import Watcher
from tests.support import virtual_time
from tests.support.virtual_time import now

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
RATES = {"GetJob": (5.0, 25.0), "SearchJobs": (5.0, 50.0)}
UNLIMITED = (1e6, 1e6)

Trouble = Callable[[float, str, str], Exception | None]


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


class Service:
    """Jobs of one account.

    Args:
        limited: Whether the published rates hold.
        others: How many younger jobs of other people are listed before ours.
    """

    def __init__(self, *, limited: bool = True, others: int = 0) -> None:
        self.jobs: dict[str, tuple[float, float, str]] = {}
        self.calls: list[tuple[float, str, str]] = []
        self.trouble: Trouble = lambda when, operation, arn: None
        self.others = others
        rates = (lambda operation: RATES[operation]) if limited else (lambda _: UNLIMITED)
        self.watcher: Watcher[JobSummary] = Watcher(
            self, self.in_thread, rates, clock=now, jitter=lambda: 0.5
        )

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        await asyncio.sleep(0.01)
        return function(*args)

    def run(
        self,
        arn: str,
        seconds: float,
        poll_seconds: float = 30,
        *,
        end: str = "COMPLETED",
        **more: Any,
    ) -> Awaitable[JobSummary]:
        """Make a job that lasts so long, and wait for it."""
        self.jobs[arn] = (now(), now() + seconds, end)
        return self.watcher.wait(arn, at(now()), poll_seconds, **more)

    def count(self, operation: str) -> int:
        return Counter(operation for _, operation, _ in self.calls)[operation]

    def _called(self, operation: str, what: str) -> None:
        self.calls.append((now(), operation, what))
        if problem := self.trouble(now(), operation, what):
            raise problem

    def _common(self, arn: str) -> dict[str, Any]:
        created, ends, end = self.jobs[arn]
        found = {"arn": arn, "name": arn, "status": "RUNNING", "created_at": at(created)}
        if now() >= ends:
            found |= {"status": end, "ended_at": at(ends)}
        return found

    def describe(self, job_arn: str) -> JobSummary:
        self._called("GetJob", job_arn)
        return Job(**self._common(job_arn), failure_reason="why")

    def page(self, created: datetime, token: str) -> tuple[list[JobSummary], str]:
        self._called("SearchJobs", token)
        since = (created - EPOCH).total_seconds()
        others = [f"other-{n}" for n in range(self.others)]
        # Newest first; Python keeps the order of a dict.
        ours = [arn for arn in reversed(self.jobs) if self.jobs[arn][0] >= since]
        start = int(token or 0)
        listing = [*others, *ours]
        more = str(start + 100) if len(listing) > start + 100 else ""
        return [self._summary(arn) for arn in listing[start : start + 100]], more

    def _summary(self, arn: str) -> JobSummary:
        if arn in self.jobs:
            return JobSummary(**self._common(arn))
        return JobSummary(arn=arn, name=arn, status="RUNNING")


def most_in_any(times: list[float], rate: float, burst: float) -> bool:
    """Whether a bucket of that rate and burst would have had a token for each call."""
    level, last = burst, 0.0
    for when in times:
        level, last = min(burst, level + (when - last) * rate), when
        if level < 0.99:
            return False
        level -= 1
    return True


def half_of_each_rate_is_left(service: Service) -> bool:
    return all(
        most_in_any([t for t, name, _ in service.calls if name == operation], rate / 2, burst / 2)
        for operation, (rate, burst) in RATES.items()
    )


def virtual(test: Callable[[], Any]) -> Callable[[], None]:
    """Run a test on a clock that jumps."""

    def run() -> None:
        virtual_time.run(test())

    run.__name__ = test.__name__
    return run


# --- one job -----------------------------------------------------------------------------------


@virtual
async def test_short_job_costs_two_questions_at_the_most() -> None:
    service = Service()
    job = await service.run("a", 2.5)
    assert isinstance(job, Job)
    assert job.status == "COMPLETED"
    assert len(service.calls) <= 2
    assert now() <= 3.1


@virtual
async def test_long_job_is_asked_about_ever_more_rarely_but_within_poll_freq() -> None:
    service = Service()
    await service.run("a", 3600.0)
    times = [when for when, _, _ in service.calls]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= 30.1
    assert gaps[0] < 2
    assert len(times) < 3600 / 30 + 60
    assert now() - 3600 <= 30.1


@virtual
async def test_poll_freq_below_the_first_interval_is_obeyed() -> None:
    service = Service()
    await service.run("a", 1.0, 0.25)
    assert now() <= 1.3


@virtual
async def test_two_waiters_for_one_job_share_its_questions() -> None:
    service = Service()
    both = await asyncio.gather(service.run("a", 2.0), service.run("a", 2.0))
    assert [job.status for job in both] == ["COMPLETED", "COMPLETED"]
    assert len(service.calls) <= 2


@virtual
async def test_job_that_nobody_waits_for_any_more_is_not_asked_about() -> None:
    service = Service()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(service.run("a", 1000.0), 20)
    asked = len(service.calls)
    await asyncio.sleep(500)
    assert len(service.calls) == asked


@virtual
async def test_job_that_was_cancelled_is_asked_about_soon() -> None:
    service = Service()
    waiting = asyncio.ensure_future(service.run("a", 1005.0, 60))
    await asyncio.sleep(1003)
    service.watcher.expect_end("a", 1.5)
    await waiting
    assert now() <= 1005 + 1.6


@virtual
async def test_how_a_job_ended_is_remembered() -> None:
    service = Service()
    await service.run("a", 1.0, end="CANCELLED")
    end = service.watcher.end_of("a")
    assert end is not None
    assert end.status == "CANCELLED"
    assert service.watcher.end_of("b") is None
    asked = len(service.calls)
    assert await service.watcher.wait("a", EPOCH, 30) is end
    assert len(service.calls) == asked


# --- jobs of a kind ----------------------------------------------------------------------------


async def one_after_the_other(service: Service, lasting: list[float], **more: Any) -> list[float]:
    """Run jobs in three slots; tell how late the end of each was heard of."""
    slots = asyncio.Semaphore(3)
    late = []

    async def electron(number: int, seconds: float) -> None:
        async with slots:
            started = now()
            await service.run(f"job-{number}", seconds, **more)
            late.append(now() - started - seconds)

    await asyncio.gather(*(electron(n, seconds) for n, seconds in enumerate(lasting)))
    return late


@virtual
async def test_sixty_short_jobs_in_three_slots_cost_little_more_than_a_call_each() -> None:
    service = Service()
    lasting = [5.4 + 0.1 * (n * 7 % 5) for n in range(60)]
    late = await one_after_the_other(service, lasting, kind="sleep")
    assert len(service.calls) <= 60 * 1.25
    assert sum(late) / len(late) <= 0.5
    assert now() <= 20 * 5.6 * 1.1
    assert half_of_each_rate_is_left(service)


@virtual
async def test_jobs_that_last_unequally_long_are_heard_of_as_soon_as_without_learning() -> None:
    service = Service()
    lasting = [(3.0, 45.0, 8.0, 120.0)[n % 4] for n in range(40)]
    late = dict(zip(range(40), await one_after_the_other(service, lasting, kind="x"), strict=True))
    assert max(late.values()) <= 12.1
    service = Service()
    await service.run("long", 100.0, kind="y")
    await service.run("short", 4.0, kind="y")
    start = now()
    await service.run("short again", 4.0, kind="y")
    assert now() - start - 4.0 <= 1.7


@virtual
async def test_early_end_of_a_kind_that_lasts_long_is_heard_of_within_poll_freq() -> None:
    service = Service()
    await service.run("a", 600.0, kind="x")
    start = now()
    await service.run("b", 5.0, kind="x", end="FAILED")
    assert now() - start <= 30.1


@virtual
async def test_long_jobs_of_a_known_kind_cost_less_than_the_first() -> None:
    service = Service()
    await service.run("a", 25.0, kind="x")
    first = len(service.calls)
    await service.run("b", 25.2, kind="x")
    assert len(service.calls) - first <= 5 < first


@virtual
async def test_failed_jobs_teach_nothing_about_the_others() -> None:
    service = Service()
    for number in range(5):
        await service.run(f"bad-{number}", 1.0, kind="x", end="FAILED")
    await service.run("a", 7.0, kind="x")
    asked = len(service.calls)
    await service.run("b", 7.0, kind="x")
    assert len(service.calls) - asked <= 1


@virtual
async def test_job_much_shorter_than_all_of_its_kind_is_not_late_by_their_time() -> None:
    service = Service()
    for number in range(5):
        await service.run(f"long-{number}", 60.0, kind="x")
    began = now()
    await service.run("short", 1.0, kind="x")
    assert now() - began < 17


# --- many jobs ---------------------------------------------------------------------------------


@virtual
async def test_many_jobs_are_asked_about_together() -> None:
    service = Service()
    found = await asyncio.gather(*(service.run(f"job-{n}", 20.0 + n / 10) for n in range(100)))
    assert {job.status for job in found} == {"COMPLETED"}
    assert service.count("SearchJobs") <= 25
    assert service.count("GetJob") <= 110
    assert half_of_each_rate_is_left(service)


@virtual
async def test_thousand_jobs_of_any_age_stay_under_half_of_each_rate() -> None:
    service = Service()
    late: list[float] = []

    async def electron(number: int) -> None:
        await asyncio.sleep(number % 10 * 100.0)
        seconds = 60.0 + number * 37 % 1500
        start = now()
        await service.run(f"job-{number}", seconds)
        late.append(now() - start - seconds)

    await asyncio.gather(*(electron(n) for n in range(1000)))
    assert half_of_each_rate_is_left(service)
    assert max(late) <= 30 + 10 + 5
    assert service.count("GetJob") <= 1100


@virtual
async def test_thousand_jobs_that_are_made_and_end_together_are_not_kept_back() -> None:
    service = Service()
    found = await asyncio.gather(*(service.run(f"job-{n}", 100.0) for n in range(1000)))
    assert {job.status for job in found} == {"COMPLETED"}
    assert now() <= 100 + 10 + 10 + 5
    assert half_of_each_rate_is_left(service)


@virtual
async def test_young_job_among_a_thousand_old_ones_is_heard_of_soon() -> None:
    service = Service()
    old = [asyncio.ensure_future(service.run(f"job-{n}", 2000.0)) for n in range(1000)]
    await asyncio.sleep(1000)
    await service.run("young", 4.0)
    assert now() <= 1004 + 2.5
    for waiting in old:
        waiting.cancel()


@virtual
async def test_job_behind_many_younger_ones_is_asked_about_by_itself() -> None:
    service = Service(others=2000)
    both = [service.run("a", 300.0), service.run("b", 300.0), service.run("c", 300.0)]
    await asyncio.gather(*both)
    assert service.count("SearchJobs") <= 21
    assert half_of_each_rate_is_left(service)


@virtual
async def test_with_no_limits_the_end_of_three_hundred_jobs_is_heard_of_at_once() -> None:
    service = Service(limited=False)
    found = await asyncio.gather(*(service.run(f"job-{n}", 4.4) for n in range(300)))
    assert all(isinstance(job, Job) for job in found)
    assert now() <= 4.4 + 1.5 + 300 / 4 * 0.011 + 0.1


# --- trouble -----------------------------------------------------------------------------------

DOWN = UnreachableError("down", transient=True)


@pytest.mark.parametrize(
    "error", [DOWN, CredentialsError("expired"), ThrottledError("slowly", transient=True)]
)
@pytest.mark.parametrize("jobs", [1, 5])
def test_no_answer_for_a_while_loses_no_job(error: AwsError, jobs: int) -> None:
    async def test() -> None:
        service = Service()
        service.trouble = lambda when, operation, arn: error if when < 1800 else None
        found = await asyncio.gather(*(service.run(f"job-{n}", 100.0) for n in range(jobs)))
        assert {job.status for job in found} == {"COMPLETED"}
        assert now() <= 1800 + 35
        assert half_of_each_rate_is_left(service)

    virtual_time.run(test())


@virtual
async def test_no_answer_for_longer_than_patience_is_an_error() -> None:
    service = Service()
    service.trouble = lambda when, operation, arn: DOWN
    with pytest.raises(UnreachableError, match="down"):
        await service.run("a", 100.0, patience_seconds=900)
    assert 900 <= now() <= 940


@virtual
async def test_patience_counts_from_the_last_answer() -> None:
    service = Service()
    service.trouble = lambda when, operation, arn: DOWN if int(when / 100) % 2 else None
    assert (await service.run("a", 1000.0, patience_seconds=150)).status == "COMPLETED"


@virtual
async def test_job_may_be_unknown_right_after_it_was_made() -> None:
    service = Service()
    service.trouble = lambda when, operation, arn: NotFoundError("not yet") if when < 50 else None
    assert (await service.run("a", 10.0)).status == "COMPLETED"


@virtual
async def test_job_that_runs_may_be_unknown_for_a_moment() -> None:
    service = Service()
    gone = NotFoundError("one of the copies lags")
    service.trouble = lambda when, operation, arn: gone if 300 < when < 340 else None
    assert (await service.run("a", 600.0)).status == "COMPLETED"


@virtual
async def test_job_that_stays_unknown_is_an_error() -> None:
    service = Service()
    service.trouble = lambda when, operation, arn: NotFoundError("no such job")
    with pytest.raises(NotFoundError, match="no such job"):
        await service.run("a", 10.0)
    assert 60 <= now() <= 95


@pytest.mark.parametrize("error", [AccessError("no"), RuntimeError("a defect")])
@pytest.mark.parametrize("jobs", [1, 5])
def test_what_will_not_pass_is_said_at_once(error: Exception, jobs: int) -> None:
    async def test() -> None:
        service = Service()
        service.trouble = lambda when, operation, arn: error
        runs = [service.run(f"job-{n}", 10.0) for n in range(jobs)]
        found = await asyncio.gather(*runs, return_exceptions=True)
        assert found == [error] * jobs
        assert now() < 2

    virtual_time.run(test())


@virtual
async def test_trouble_with_one_job_is_no_other_jobs_trouble() -> None:
    service = Service()
    service.trouble = lambda when, operation, arn: AccessError("not that") if arn == "bad" else None
    bad = asyncio.ensure_future(service.run("bad", 40.0))
    await asyncio.sleep(1)
    good = await asyncio.gather(service.run("a", 40.0), service.run("b", 40.0))
    assert [job.status for job in good] == ["COMPLETED"] * 2
    with pytest.raises(AccessError, match="not that"):
        await bad


@pytest.mark.parametrize("error", [AccessError("no SearchJobs"), DOWN])
def test_where_there_is_no_search_each_job_is_asked_about(error: AwsError) -> None:
    async def test() -> None:
        service = Service()
        service.trouble = lambda when, name, arn: error if name == "SearchJobs" else None
        found = await asyncio.gather(*(service.run(f"job-{n}", 60.0) for n in range(5)))
        assert all(isinstance(job, Job) for job in found)
        assert now() <= 60 + 6 + 12

    virtual_time.run(test())


@virtual
async def test_job_that_a_search_does_not_list_is_asked_about() -> None:
    service = Service()
    young = EPOCH + timedelta(days=1)  # as if our clock were that far ahead
    runs = []
    for arn in ("a", "b", "c"):
        service.jobs[arn] = (0.0, 20.0, "COMPLETED")
        runs.append(service.watcher.wait(arn, young, 30))
    found = await asyncio.gather(*runs)
    assert {job.status for job in found} == {"COMPLETED"}
    assert now() <= 20 + 3


@virtual
async def test_end_is_delivered_although_nobody_tells_the_rest() -> None:
    service = Service()
    service.trouble = lambda when, operation, arn: DOWN if operation == "GetJob" else None
    found = await asyncio.gather(*(service.run(f"job-{n}", 10.0) for n in range(5)))
    assert {job.status for job in found} == {"COMPLETED"}
    assert not any(isinstance(job, Job) for job in found)
    assert now() <= 10 + 1.6 + 10.1


@virtual
async def test_reason_of_a_failure_is_waited_for() -> None:
    service = Service()
    service.trouble = lambda when, operation, arn: (
        DOWN if operation == "GetJob" and when < 50 else None
    )
    runs = [service.run(f"job-{n}", 10.0, end="FAILED") for n in range(5)]
    found = await asyncio.gather(*runs)
    assert [job.failure_reason for job in found if isinstance(job, Job)] == ["why"] * 5


@virtual
async def test_hanging_question_about_one_job_keeps_no_other_waiting() -> None:
    service = Service()
    in_thread = service.in_thread

    async def hanging(function: Callable[..., Any], *args: Any) -> Any:
        if args == ("stuck",):
            await asyncio.sleep(300)
        return await in_thread(function, *args)

    service.watcher = Watcher(service, hanging, RATES.__getitem__, clock=now)
    stuck = asyncio.ensure_future(service.run("stuck", 1.0))
    await asyncio.sleep(2)
    await service.run("a", 5.0)
    assert now() <= 2 + 5 + 1.6
    await stuck


@virtual
async def test_job_that_comes_while_others_are_old_is_asked_about_soon() -> None:
    service = Service()
    old = asyncio.ensure_future(service.run("old", 2000.0, 60))
    await asyncio.sleep(1000)
    await service.run("new", 3.0, 60)
    assert now() <= 1003 + 2
    await old


def test_a_job_that_gets_due_while_the_loop_looks_around_is_not_overlooked() -> None:
    async def main() -> None:
        ticks, early = itertools.count(), itertools.cycle(1e-6 * n for n in range(8))
        service = Service()
        # Time goes on between two looks at the clock, and timers end a little early.
        service.watcher = Watcher(
            service,
            service.in_thread,
            lambda _: UNLIMITED,
            clock=lambda: now() + 1e-6 * next(ticks),
            sleep=lambda seconds: asyncio.sleep(max(0.0, seconds - next(early))),
            jitter=lambda: 0.5,
        )
        for number in range(20):
            began = now()
            await service.run(f"job-{number}", 1.0)
            assert now() - began < 3

    virtual_time.run(main())
