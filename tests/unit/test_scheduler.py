"""Slots, pace and turns, against a Braket with quotas, on a clock that jumps."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from itertools import pairwise
from typing import Any

import pytest

from covalent_braket_plugin.errors import (
    AccessError,
    AwsError,
    CredentialsError,
    QueueTimeoutError,
    QuotaError,
    RejectedError,
    ThrottledError,
    UnreachableError,
    ZeroQuotaError,
)
from covalent_braket_plugin.quotas import PUBLISHED, Limits, Quotas
from covalent_braket_plugin.scheduler import Scheduler, Standing, WithdrawnError
from tests.support import virtual_time
from tests.support.virtual_time import now

M5, C5, T3, G4 = "ml.m5.large", "ml.c5.xlarge", "ml.t3.large", "ml.g4dn.xlarge"
FAST: Mapping[str, tuple[float, float]] = {**PUBLISHED.rates, "CreateJob": (1e6, 1e6)}
NO_LIMITS = Quotas(None, {}, FAST)


class Service:
    """A Braket with quotas and, if asked for, a rate; the scheduler learns what Quotas says."""

    def __init__(
        self,
        slots: float = math.inf,
        *,
        known: Quotas = NO_LIMITS,
        rate: tuple[float, float] | None = None,
        **of_kind: int,
    ) -> None:
        self.slots = slots
        self.of_kind = {f"ml.{name.replace('_', '.')}": most for name, most in of_kind.items()}
        self.rate = rate
        self.level, self.since = (rate[1] if rate else 0.0), now()
        self.running: dict[str, str] = {}
        self.made: list[str] = []
        self.made_at: dict[str, float] = {}
        self.answers: Counter[str] = Counter()
        self.trouble: Callable[[], AwsError | None] = lambda: None
        self.call_seconds = 0.01
        self.limits = Limits(clock=now)
        self.scheduler = Scheduler(self.limits, clock=now, jitter=lambda: 0.5)
        self.known = known
        self.limits.renew(self.ask)

    async def ask(self) -> Quotas:
        return self.known

    def create(self, name: str, kind: str) -> Callable[[], Awaitable[str]]:
        async def call() -> str:
            await asyncio.sleep(self.call_seconds)
            if problem := self.trouble() or self.refusal(kind):
                self.answers[type(problem).__name__] += 1
                raise problem
            self.answers["made"] += 1
            assert name not in self.made, "made twice"
            self.running[name] = kind
            self.made.append(name)
            self.made_at[name] = now()
            return name

        return call

    def refusal(self, kind: str) -> AwsError | None:
        if self.rate and not self.token(*self.rate):
            return ThrottledError("slow down", transient=True)
        count = sum(each == kind for each in self.running.values())
        if len(self.running) < self.slots and count < self.of_kind.get(kind, math.inf):
            return None
        return QuotaError("no slot", code="ServiceQuotaExceededException", status=402)

    def token(self, rate: float, burst: float) -> bool:
        self.level = min(burst, self.level + (now() - self.since) * rate)
        self.since = now()
        self.level -= (enough := self.level >= 1)
        return enough

    def submit(
        self, name: str, dispatch: str = "d", kind: str = M5, **more: Any
    ) -> asyncio.Task[str]:
        create = self.create(name, kind)
        return asyncio.ensure_future(self.scheduler.submit(dispatch, create, kind=kind, **more))

    def end(self, name: str) -> None:
        del self.running[name]
        self.scheduler.ended(name)

    async def run(self, name: str, seconds: float, **more: Any) -> str:
        """Submit a job, and end it when it has run for so long."""
        made = await self.submit(name, **more)
        await asyncio.sleep(seconds)
        self.end(made)
        return made


def timed(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a clock that jumps."""

    def run() -> None:
        virtual_time.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


# Slots


@timed
async def test_without_limits_nothing_waits() -> None:
    service = Service()
    await asyncio.gather(*(service.submit(str(number)) for number in range(100)))
    assert now() < 1


@timed
async def test_no_electron_is_lost_to_a_quota_that_has_to_be_learnt() -> None:
    service = Service(slots=3)
    await asyncio.gather(*(service.run(str(number), 5) for number in range(60)))
    assert now() < 1.1 * 60 / 3 * 5
    assert service.answers["QuotaError"] <= 5


@timed
async def test_a_quota_that_service_quotas_tells_is_never_exceeded() -> None:
    service = Service(slots=3, known=Quotas(3, {}, FAST))
    await asyncio.sleep(0.1)
    await asyncio.gather(*(service.run(str(number), 5) for number in range(60)))
    assert now() < 1.1 * 60 / 3 * 5
    assert service.answers["QuotaError"] == 0


@timed
async def test_a_freed_slot_is_used_at_once() -> None:
    service = Service(slots=1)
    first, second = service.submit("1"), service.submit("2")
    await first
    await asyncio.sleep(300)
    before = now()
    service.end("1")
    await second
    assert now() - before < 1


@timed
async def test_the_limit_is_probed_upwards_after_a_quiet_while() -> None:
    service = Service(slots=2)
    jobs = [service.submit(str(number)) for number in range(6)]
    await asyncio.sleep(30)
    assert len(service.running) == 2
    refused = service.answers["QuotaError"]
    service.slots = 4
    await asyncio.sleep(70)
    assert len(service.running) == 4
    await asyncio.sleep(600)
    assert service.answers["QuotaError"] - refused <= 12, "one a minute"
    service.slots = 100
    await asyncio.gather(*jobs)


@timed
async def test_a_refusal_although_service_quotas_says_there_is_room_is_waited_out() -> None:
    """Others use the account as well."""
    service = Service(slots=0, known=Quotas(3, {M5: 5}, FAST))
    job = service.submit("1")
    await asyncio.sleep(600)
    assert service.answers["QuotaError"] <= 35
    service.slots = 1
    before = now()
    await job
    assert now() - before <= 31


@timed
async def test_the_setting_bounds_the_jobs_at_the_same_time() -> None:
    service = Service()
    jobs = [service.submit(str(number), most=2) for number in range(4)]
    await asyncio.sleep(100)
    assert len(service.running) == 2
    service.end(service.made[0])
    service.end(service.made[1])
    await asyncio.gather(*jobs)
    assert service.answers["QuotaError"] == 0


@timed
async def test_the_setting_of_one_executor_is_not_lifted_by_another() -> None:
    service = Service()
    bounded = [service.submit(f"one-{number}", most=1) for number in range(3)]
    free = [service.submit(f"any-{number}") for number in range(2)]
    await asyncio.sleep(100)
    assert all(job.done() for job in free)
    assert sum(job.done() for job in bounded) <= 1
    while not all(job.done() for job in bounded):
        service.end(next(iter(service.running)))
        await asyncio.sleep(10)
        assert len(service.running) <= 2


@timed
async def test_more_instances_than_the_account_may_have_are_refused_at_once() -> None:
    service = Service(known=Quotas(3, {M5: 2}, FAST))
    await asyncio.sleep(0.1)
    assert await service.submit("two", instances=2) == "two"
    with pytest.raises(ZeroQuotaError, match="instance_count=3 needs more"):
        await service.submit("three", instances=3)


@timed
async def test_a_job_that_was_adopted_has_a_slot_until_it_has_ended() -> None:
    service = Service(known=Quotas(2, {}, FAST))
    await asyncio.sleep(0.1)
    service.scheduler.adopt("old", M5)
    await service.submit("1")
    second = service.submit("2")
    await asyncio.sleep(100)
    assert not second.done()
    service.scheduler.ended("old")
    await second


@timed
async def test_those_who_wait_go_when_service_quotas_tells_of_more() -> None:
    service = Service(slots=1, known=Quotas(1, {}, FAST))
    await asyncio.sleep(0.1)
    jobs = [service.submit(str(number)) for number in range(5)]
    await asyncio.sleep(3700)
    assert len(service.running) == 1
    assert service.answers["QuotaError"] <= 6
    service.slots = 5
    service.known = Quotas(5, {}, FAST)
    service.limits.renew(service.ask)
    before = now()
    await asyncio.gather(*jobs)
    assert now() - before < 1


@timed
async def test_a_job_whose_end_escaped_us_blocks_its_slot_for_minutes_only() -> None:
    service = Service(slots=1, known=Quotas(1, {M5: 1}, FAST))
    await asyncio.sleep(0.1)
    await service.submit("1")
    del service.running["1"]  # and the scheduler hears nothing of it
    await service.run("2", 5)
    assert now() < 700
    before = now()
    await asyncio.gather(service.run("3", 5), service.run("4", 5))
    assert now() - before < 20
    assert service.answers["QuotaError"] <= 2


# Instance types


@timed
async def test_a_refused_instance_type_does_not_hold_up_others() -> None:
    service = Service(m5_large=2)
    blocked = [service.submit(f"m{number}", kind=M5) for number in range(20)]
    others = [service.submit(f"c{number}", kind=C5) for number in range(20)]
    await asyncio.gather(*others)
    assert now() < 5
    assert sum(job.done() for job in blocked) == 2
    assert service.answers["QuotaError"] <= 5


@timed
async def test_each_instance_type_uses_its_own_quota_to_the_full() -> None:
    service = Service(m5_large=2, c5_xlarge=3, t3_large=1)
    jobs = [
        service.run(f"{kind}{number}", 5, kind=kind)
        for number in range(20)
        for kind in (M5, C5, T3)
    ]
    await asyncio.gather(*jobs)
    assert now() < 1.1 * 20 * 5
    assert service.answers["QuotaError"] <= 20


@timed
async def test_types_that_share_the_quota_of_all_jobs_are_rarely_refused() -> None:
    service = Service(slots=3)
    jobs = [
        service.run(f"{kind}{number}", 5, kind=kind)
        for number in range(20)
        for kind in (M5, C5, T3)
    ]
    await asyncio.gather(*jobs)
    assert now() < 1.1 * 60 / 3 * 5
    assert service.answers["QuotaError"] <= 15


@timed
async def test_a_slot_that_another_type_frees_is_used_at_once() -> None:
    service = Service(slots=3)
    await asyncio.gather(*(service.submit(f"m{number}", kind=M5) for number in range(3)))
    waiting = service.submit("c", kind=C5)
    await asyncio.sleep(600)
    before = now()
    service.end("m1")
    await waiting
    assert now() - before < 1


@timed
async def test_a_type_goes_on_while_more_of_another_come_all_the_time() -> None:
    service = Service(slots=3)
    many = [asyncio.ensure_future(service.run(f"m{n}", 5, dispatch="a")) for n in range(100)]
    await asyncio.sleep(20)
    before = now()
    await service.run("c", 1, dispatch="b", kind=C5)
    assert now() - before < 15
    await asyncio.gather(*many)


# Quota zero


@timed
async def test_a_type_with_quota_zero_is_not_even_submitted() -> None:
    service = Service(known=Quotas(3, {G4: 0}, FAST), g4dn_xlarge=0)
    with pytest.raises(ZeroQuotaError, match=r"ml\.g4dn\.xlarge.*is 0.*classical_device"):
        await service.submit("1", kind=G4)  # before Service Quotas has answered
    with pytest.raises(ZeroQuotaError):
        await service.submit("2", kind=G4)
    assert not service.answers


@timed
async def test_a_type_of_which_nobody_has_any_by_default_fails_when_it_is_refused() -> None:
    service = Service(known=PUBLISHED, g4dn_xlarge=0)
    with pytest.raises(ZeroQuotaError, match="Service Quotas"):
        await service.submit("1", kind=G4)
    assert service.answers == {"QuotaError": 1}


@timed
async def test_such_a_type_waits_as_others_do_when_the_account_has_some() -> None:
    told = Service(known=Quotas(1, {G4: 4}, FAST), slots=1)
    unknown = Service(known=PUBLISHED, g4dn_xlarge=1)
    for service in (told, unknown):
        assert await asyncio.gather(*(service.run(str(n), 5, kind=G4) for n in range(3)))


@timed
async def test_such_a_type_waits_while_jobs_of_others_have_all_slots() -> None:
    service = Service(known=PUBLISHED, slots=3, g4dn_xlarge=1)
    others = [asyncio.ensure_future(service.run(str(number), 50)) for number in range(3)]
    await asyncio.sleep(5)
    assert await service.submit("4", kind=G4) == "4"
    await asyncio.gather(*others)


@timed
async def test_such_a_type_waits_although_the_first_of_several_is_answered_last() -> None:
    service = Service(known=PUBLISHED, g4dn_xlarge=1)

    async def late() -> str:
        made = await service.create("late", G4)()
        await asyncio.sleep(1)
        return made

    first = asyncio.ensure_future(service.scheduler.submit("d", late, kind=G4))
    others = [asyncio.ensure_future(service.run(str(n), 5, kind=G4)) for n in range(3)]
    await first
    service.end("late")
    assert await asyncio.gather(*others) == ["0", "1", "2"]


@timed
async def test_such_a_type_fails_as_soon_as_more_jobs_of_another_run() -> None:
    service = Service(known=PUBLISHED, slots=3, g4dn_xlarge=0)
    await asyncio.gather(*(service.submit(str(number)) for number in range(2)))
    refused = [service.submit(name, kind=G4) for name in ("a", "b")]
    await asyncio.sleep(30)
    assert not any(each.done() for each in refused)
    await service.submit("3")
    for each in refused:
        with pytest.raises(ZeroQuotaError, match=r"new accounts have no ml\.g4dn\.xlarge"):
            await each
    service.of_kind[G4] = 1
    service.end("0")
    assert await service.submit("raised meanwhile", kind=G4) == "raised meanwhile"


@timed
async def test_electrons_that_wait_fail_when_their_quota_turns_out_to_be_zero() -> None:
    service = Service(slots=0, known=NO_LIMITS)
    waiting = service.submit("1")
    await asyncio.sleep(3600)
    service.known = Quotas(3, {M5: 0}, FAST)
    service.limits.renew(service.ask)
    with pytest.raises(ZeroQuotaError):
        await waiting


# Pace


@timed
async def test_a_thousand_electrons_are_hardly_ever_throttled() -> None:
    service = Service(known=PUBLISHED, rate=(1, 5))
    await asyncio.gather(*(service.submit(str(number)) for number in range(1000)))
    assert service.answers["ThrottledError"] < 0.02 * 1000
    assert now() < 1.05 * 1000


@timed
async def test_throttled_answers_stay_few_when_others_call_as_well() -> None:
    service = Service(known=PUBLISHED, rate=(0.5, 1))
    await asyncio.gather(*(service.submit(str(number)) for number in range(50)))
    assert service.answers["ThrottledError"] <= 60
    assert now() < 250


@timed
async def test_a_first_burst_goes_before_service_quotas_has_answered() -> None:
    service = Service()
    service.limits = Limits(clock=now)
    service.scheduler = Scheduler(service.limits, clock=now)
    jobs = [service.submit(str(number)) for number in range(100)]
    await asyncio.sleep(0.5)
    assert len(service.made) == 5
    service.limits.renew(service.ask)  # and the rest does not finish its pause first
    await asyncio.sleep(0.5)
    assert len(service.made) == 100
    await asyncio.gather(*jobs)


# Turns


@timed
async def test_dispatches_take_turns() -> None:
    service = Service(slots=1)
    long = [asyncio.ensure_future(service.run(f"a{n}", 5, dispatch="a")) for n in range(5)]
    await asyncio.sleep(1)
    short = [asyncio.ensure_future(service.run(f"b{n}", 5, dispatch="b")) for n in range(2)]
    await asyncio.gather(*long, *short)
    assert service.made == ["a0", "a1", "b0", "a2", "b1", "a3", "a4"]


@timed
async def test_small_dispatches_that_come_all_the_time_do_not_hold_up_a_large_one() -> None:
    service = Service(slots=1)
    large = [asyncio.ensure_future(service.run(f"a{n}", 5, dispatch="a")) for n in range(10)]
    small = []
    for number in range(60):
        await asyncio.sleep(2)
        run = service.run(f"b{number}", 5, dispatch=f"b{number}")
        small.append(asyncio.ensure_future(run))
    assert sum(name.startswith("a") for name in service.made) >= 3
    assert sum(name.startswith("b") for name in service.made) >= 15
    await asyncio.gather(*large, *small)


@timed
async def test_a_withdrawn_electron_never_becomes_a_job() -> None:
    service = Service(slots=1)
    await service.submit("1")
    withdrawn = asyncio.Event()
    waiting = service.submit("2", withdrawn=withdrawn)
    await asyncio.sleep(10)
    withdrawn.set()
    with pytest.raises(WithdrawnError):
        await waiting
    with pytest.raises(WithdrawnError):
        await service.submit("3", withdrawn=withdrawn)
    service.end("1")
    await asyncio.sleep(1000)
    assert service.made == ["1"]


@timed
async def test_an_electron_withdrawn_while_it_is_refused_is_not_tried_again() -> None:
    service = Service(slots=0)
    service.call_seconds = 5
    withdrawn = asyncio.Event()
    waiting = service.submit("1", withdrawn=withdrawn)
    await asyncio.sleep(3)
    withdrawn.set()
    with pytest.raises(WithdrawnError):
        await waiting
    await asyncio.sleep(1000)
    assert service.answers == {"QuotaError": 1}


@timed
async def test_the_job_of_an_electron_withdrawn_too_late_is_returned_to_be_cancelled() -> None:
    service = Service()
    service.call_seconds = 5
    withdrawn = asyncio.Event()
    waiting = service.submit("1", withdrawn=withdrawn)
    await asyncio.sleep(3)
    withdrawn.set()
    assert await waiting == "1"


@timed
async def test_whether_there_is_a_job_is_found_out_although_it_was_withdrawn() -> None:
    service = Service()
    service.trouble = lambda: UnreachableError("down", transient=True)
    withdrawn = asyncio.Event()
    waiting = service.submit("1", withdrawn=withdrawn)
    await asyncio.sleep(3)
    withdrawn.set()
    await asyncio.sleep(100)
    assert not waiting.done()
    service.trouble = lambda: None
    assert await waiting == "1"


@pytest.mark.parametrize("seconds", [0, 3, 6, 20])
@pytest.mark.parametrize("trouble", [None, QuotaError("no slot"), UnreachableError("down")])
def test_a_call_cancelled_at_any_time_leaves_nothing_behind(
    seconds: float, trouble: AwsError | None
) -> None:
    async def test() -> None:
        service = Service(known=Quotas(1, {}, FAST))
        service.call_seconds = 5
        if trouble:
            trouble.transient = isinstance(trouble, UnreachableError)
            service.trouble = lambda: trouble
        waiting = service.submit("1")
        await asyncio.sleep(seconds)
        waiting.cancel()
        await asyncio.wait([waiting])
        calls = service.answers.total()
        service.trouble = lambda: None
        await asyncio.sleep(100)
        assert service.answers.total() == calls, "it is called no more"
        if not waiting.cancelled():
            service.end(await waiting)
        service.running.clear()
        await service.submit("2")  # the slot is free

    virtual_time.run(test())


@timed
async def test_of_an_electron_that_waits_too_long_nothing_is_submitted() -> None:
    service = Service(slots=1)
    await service.submit("1")
    waiting = service.submit("2", queue_timeout=600)
    before = now()
    with pytest.raises(QueueTimeoutError, match=r"queue_timeout=600 s.*1 jobs run, 1 may"):
        await waiting
    assert 599 < now() - before < 601
    service.end("1")
    await asyncio.sleep(1000)
    assert service.made == ["1"]


@timed
async def test_whoever_waits_for_ever_outlasts_those_who_do_not() -> None:
    service = Service(slots=1)
    await service.submit("1")
    patient = service.submit("2")
    hasty = [service.submit(f"h{n}", queue_timeout=1 + n % 7) for n in range(300)]
    assert all(
        isinstance(each, QueueTimeoutError)
        for each in await asyncio.gather(*hasty, return_exceptions=True)
    )
    await asyncio.sleep(24 * 3600)
    service.end("1")
    assert await patient == "2"


# Faults


@pytest.mark.parametrize("error", [RejectedError("illegal"), AccessError("not allowed")])
def test_a_request_that_will_never_succeed_is_not_made_again(error: AwsError) -> None:
    async def test() -> None:
        service = Service()
        service.trouble = lambda: error
        with pytest.raises(type(error)):
            await service.submit("1")
        assert service.answers.total() == 1

    virtual_time.run(test())


@pytest.mark.parametrize(
    "error", [UnreachableError("down", transient=True), CredentialsError("expired")]
)
def test_an_outage_is_waited_out_and_costs_few_calls(error: AwsError) -> None:
    async def test() -> None:
        service = Service()
        service.trouble = lambda: error
        jobs = [service.submit(str(number)) for number in range(300)]
        await asyncio.sleep(1800)
        assert service.answers.total() < 150
        service.trouble = lambda: None
        before = now()
        await asyncio.gather(*jobs)
        assert now() - before < 35

    virtual_time.run(test())


@timed
async def test_after_too_long_without_an_answer_all_say_so_and_whether_there_may_be_a_job() -> None:
    service = Service()
    service.trouble = lambda: UnreachableError("down", code="X", transient=True)
    jobs = [service.submit(str(number), give_up_after=600) for number in range(20)]
    found = await asyncio.gather(*jobs, return_exceptions=True)
    assert 600 <= now() < 640
    tried = [isinstance(each, UnreachableError) and each.transient for each in found]
    assert 1 <= sum(tried) <= 8
    assert all(isinstance(each, UnreachableError) and each.code == "X" for each in found)


@timed
async def test_a_refusal_after_a_lost_answer_says_that_there_may_be_a_job() -> None:
    service = Service()
    answers = [UnreachableError("lost", transient=True), AccessError("not any more")]
    service.trouble = lambda: answers.pop(0) if answers else None
    with pytest.raises(AccessError) as caught:
        await service.submit("1")
    assert caught.value.transient


@timed
async def test_an_electron_that_alone_gets_no_answer_takes_no_other_with_it() -> None:
    service = Service()

    async def never() -> str:
        raise UnreachableError("a fault for this one", transient=True)

    alone = asyncio.ensure_future(service.scheduler.submit("d", never, give_up_after=600))
    await asyncio.sleep(1)
    others = [service.submit(str(n), dispatch=d) for n, d in enumerate("ddddeeee")]
    assert await asyncio.gather(*others) == list("01234567")
    assert now() < 120
    with pytest.raises(UnreachableError) as caught:
        await alone
    assert caught.value.transient
    assert 600 <= now() < 660


@timed
async def test_quota_and_throttling_are_answers_and_exhaust_no_patience() -> None:
    service = Service(slots=0)
    waiting = service.submit("1", give_up_after=60)
    await asyncio.sleep(100)
    service.trouble = lambda: ThrottledError("slow down", transient=True)
    await asyncio.sleep(1000)
    service.trouble, service.slots = lambda: None, 1
    assert await waiting == "1"


@timed
async def test_a_defect_in_create_is_not_waited_for() -> None:
    async def broken() -> str:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await Service().scheduler.submit("d", broken)


# Standing


@timed
async def test_whoever_has_to_wait_is_told_where_it_stands() -> None:
    service = Service(slots=3, known=Quotas(3, {}, FAST))
    await asyncio.sleep(0.1)
    heard: dict[int, list[Standing]] = {number: [] for number in range(6)}
    jobs = [asyncio.ensure_future(service.run(str(n), 20, told=heard[n].append)) for n in range(6)]
    await asyncio.sleep(10)
    assert [heard[n] for n in range(3)] == [[], [], []]
    assert [heard[n] for n in (3, 4, 5)] == [[Standing(ahead, 3, 3)] for ahead in range(3)]
    await asyncio.gather(*jobs)


@timed
async def test_a_quota_that_is_not_enforced_is_not_told_as_a_number() -> None:
    service = Service(known=Quotas(1_000_000, {M5: 1_000_000}, FAST))
    service.trouble = lambda: ThrottledError("slow down", transient=True)
    heard: list[Standing] = []
    waiting = service.submit("1", told=heard.append)
    await asyncio.sleep(60)
    service.trouble = lambda: None
    await waiting
    assert heard == [Standing(0, 0, None)]


@timed
async def test_a_thousand_who_wait_are_told_little_by_little() -> None:
    service = Service(slots=3, known=Quotas(3, {}, FAST))
    await asyncio.sleep(0.1)
    heard: list[tuple[int, float]] = []

    def told(number: int) -> Callable[[Standing], None]:
        return lambda _: heard.append((number, now()))

    jobs = [asyncio.ensure_future(service.run(str(n), 5, told=told(n))) for n in range(1000)]
    await asyncio.sleep(120)
    assert len({number for number, _ in heard}) > 900
    assert max(Counter(at for _, at in heard).values()) <= 10
    of_last = [at for number, at in heard if number == 999]
    assert all(after - before >= 5 for before, after in pairwise(of_last))
    for job in jobs:
        job.cancel()
    await asyncio.wait(jobs)


@timed
async def test_an_electron_that_cannot_be_told_holds_up_nobody() -> None:
    service = Service(slots=1)

    def broken(_: Standing) -> None:
        raise RuntimeError("a defect")

    heard: list[Standing] = []
    await service.submit("1")
    waiting = [service.submit("2", told=broken), service.submit("3", told=heard.append)]
    await asyncio.sleep(10)
    assert len(heard) == 1
    service.end("1")
    await waiting[0]
    service.end("2")
    await waiting[1]
