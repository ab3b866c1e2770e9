from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from covalent_braket_plugin.errors import (
    AwsError,
    QuotaError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from covalent_braket_plugin.scheduler import Scheduler, WithdrawnError


class Service:
    """A Braket with few slots, whose clock only the scheduler's sleeping moves."""

    def __init__(self, slots: int = 1000) -> None:
        self.slots = slots
        self.now = 0.0
        self.running: list[str] = []
        self.made: list[str] = []
        self.refused = 0
        self.trouble: Callable[[], AwsError | None] = lambda: None
        self.scheduler = Scheduler(clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 0.5)

    async def sleep(self, seconds: float) -> None:
        await self.turns(20)  # time passes only when nothing else happens
        self.now += seconds

    def create(self, name: str) -> Callable[[], Awaitable[str]]:
        async def call() -> str:
            await asyncio.sleep(0)
            if problem := self.trouble():
                self.refused += 1
                raise problem
            if len(self.running) >= self.slots:
                self.refused += 1
                raise QuotaError("no slot", code="ServiceQuotaExceededException", status=402)
            self.running.append(name)
            self.made.append(name)
            return name

        return call

    def end(self, name: str) -> None:
        self.running.remove(name)
        self.scheduler.ended(name)

    async def turns(self, count: int = 50) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    def submit(self, name: str, dispatch: str = "d") -> asyncio.Task[str]:
        return asyncio.ensure_future(self.scheduler.submit(dispatch, self.create(name)))


async def test_without_limits_nothing_waits() -> None:
    service = Service()
    done = [service.submit(str(number)) for number in range(100)]
    await asyncio.gather(*done)
    assert service.now == 0


async def test_no_electron_is_lost_to_the_quota_and_few_calls_are_refused() -> None:
    service = Service(slots=3)
    done = [service.submit(str(number)) for number in range(30)]
    for _ in range(2000):
        await service.turns(5)
        if service.running:
            service.end(service.running[0])
        if all(each.done() for each in done):
            break
    assert sorted(await asyncio.gather(*done)) == sorted(service.made)
    assert len(set(service.made)) == 30
    assert service.refused <= 15


async def test_freed_slot_is_used_at_once() -> None:
    service = Service(slots=1)
    first, second = service.submit("1"), service.submit("2")
    await first
    await service.turns(3)
    before = service.now
    service.end("1")
    await second
    assert service.now - before < 2


async def test_dispatches_take_turns() -> None:
    service = Service(slots=1)
    long = [service.submit(f"a{number}", "a") for number in range(5)]
    await service.turns(2)
    short = service.submit("b0", "b")
    for _ in range(500):
        await service.turns(5)
        if service.running:
            service.end(service.running[0])
        if short.done() and all(each.done() for each in long):
            break
    assert service.made.index("b0") <= 2


async def test_throttled_calls_are_paced() -> None:
    service = Service()
    last = [-10.0]

    def one_a_second() -> AwsError | None:
        if service.now - last[0] < 0.999:
            return ThrottledError("slow down", transient=True)
        last[0] = service.now
        return None

    service.trouble = one_a_second
    await asyncio.gather(*(service.submit(str(number)) for number in range(30)))
    assert service.refused <= 9
    assert service.now < 60


async def test_rejected_request_is_never_tried_again() -> None:
    service = Service()
    service.trouble = lambda: RejectedError("illegal")
    with pytest.raises(RejectedError):
        await service.submit("1")
    assert service.refused == 1


async def test_no_answer_is_tried_again_for_a_while_and_then_said() -> None:
    service = Service()
    service.trouble = lambda: UnreachableError("down", transient=True)
    with pytest.raises(UnreachableError):
        await service.submit("1")
    assert 600 <= service.now < 700


async def test_withdrawn_electron_never_becomes_a_job() -> None:
    service = Service(slots=1)
    await service.submit("1")
    withdrawn = asyncio.Event()
    waiting = asyncio.ensure_future(
        service.scheduler.submit("d", service.create("2"), withdrawn=withdrawn)
    )
    await service.turns(3)
    withdrawn.set()
    while not waiting.done():
        await service.turns(3)
    with pytest.raises(WithdrawnError):
        await waiting
    service.end("1")
    await service.turns()
    assert service.made == ["1"]


async def test_limit_is_probed_upwards_after_a_quiet_while() -> None:
    service = Service(slots=2)
    done = [service.submit(str(number)) for number in range(6)]
    while len(service.running) < 2:
        await service.turns(2)
    service.slots = 4
    while len(service.running) < 4:
        await service.turns(2)
    assert service.now < 300
    service.slots = 100
    await asyncio.gather(*done)


async def test_setting_bounds_the_jobs_at_the_same_time() -> None:
    service = Service()
    done = [
        asyncio.ensure_future(service.scheduler.submit("d", service.create(str(n)), most=2))
        for n in range(4)
    ]
    await service.turns(40)
    assert len(service.running) == 2
    service.end("0")
    service.end("1")
    await asyncio.gather(*done)
    assert service.refused == 0


async def test_defect_in_create_is_not_waited_for() -> None:
    async def broken() -> str:
        raise RuntimeError("a defect")

    service = Service()
    with pytest.raises(RuntimeError, match="a defect"):
        await service.scheduler.submit("d", broken)
