"""The token bucket, on a clock that jumps."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from covalent_braket_plugin.pace import Pace
from tests.support import virtual_time
from tests.support.virtual_time import now


async def times_of(pace: Pace, calls: int) -> list[float]:
    """Tell when each of so many calls that come together gets its turn."""

    async def call() -> float:
        await pace.turn()
        return now()

    return list(await asyncio.gather(*(call() for _ in range(calls))))


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    async def test() -> None:
        found = await times_of(Pace(2, 5, clock=now), 25)
        assert found[:5] == [0.0] * 5
        assert 10 <= found[-1] <= 10.3
        gaps = [after - before for before, after in pairwise(found[5:])]
        assert all(abs(gap - 0.5) < 1e-3 for gap in gaps)

    virtual_time.run(test())


def test_the_burst_is_there_again_after_a_quiet_time() -> None:
    async def test() -> None:
        pace = Pace(1, 5, clock=now)
        await times_of(pace, 8)
        await asyncio.sleep(10)
        start = now()
        assert await times_of(pace, 5) == [start] * 5

    virtual_time.run(test())


def test_calls_that_take_unequally_long_to_the_service_are_not_throttled() -> None:
    async def test() -> None:
        pace = Pace(1, 5, clock=now)
        arrived = [at + (0.2 if n < 5 else 0.01) for n, at in enumerate(await times_of(pace, 60))]
        level, since = 5.0, arrived[0]
        for at in sorted(arrived):
            level = min(5.0, level + (at - since))
            since = at
            assert level >= 1, f"throttled at {at}"
            level -= 1

    virtual_time.run(test())


def test_nobody_overtakes_who_waits() -> None:
    async def test() -> None:
        pace = Pace(1, 1, clock=now)
        order: list[int] = []

        async def call(number: int) -> None:
            await pace.turn()
            order.append(number)

        calls = [asyncio.ensure_future(call(number)) for number in range(4)]
        await asyncio.sleep(0.9)
        assert not pace.take()
        await asyncio.gather(*calls)
        assert order == [0, 1, 2, 3]

    virtual_time.run(test())


def test_those_who_wait_wake_when_the_rate_rises() -> None:
    async def test() -> None:
        pace = Pace(0.001, 1, clock=now)
        waiting = asyncio.ensure_future(times_of(pace, 100))
        await asyncio.sleep(1)
        pace.set(1e6, 1e6)
        assert max(await waiting) <= 1.001

    virtual_time.run(test())


def test_what_was_taken_stays_taken_when_the_burst_rises() -> None:
    async def test() -> None:
        pace = Pace(1, 5, clock=now)
        await times_of(pace, 5)
        pace.set(1, 7)
        assert [pace.take() for _ in range(3)] == [True, True, False]

    virtual_time.run(test())


def test_a_throttled_answer_empties_the_bucket() -> None:
    async def test() -> None:
        pace = Pace(2, 5, clock=now)
        assert pace.ready_in() == 0
        pace.slow_down()
        assert not pace.take()
        assert 0.5 <= pace.ready_in() <= 0.8
        await pace.turn()
        assert 0.5 <= now() <= 0.8

    virtual_time.run(test())


def test_a_cancelled_call_takes_no_token_and_no_place() -> None:
    async def test() -> None:
        pace = Pace(1, 1, clock=now)
        await pace.turn()
        first, second, third = (asyncio.ensure_future(pace.turn()) for _ in range(3))
        await asyncio.sleep(0.5)
        second.cancel()
        await first
        start = now()
        await third
        assert abs(now() - start - 1) < 1e-3

    virtual_time.run(test())


@pytest.mark.parametrize("steps", range(12))
def test_a_token_given_to_a_cancelled_call_goes_to_the_next(steps: int) -> None:
    """Whether it is cancelled just before it gets its token, just after, or when it has gone."""

    async def test() -> None:
        pace = Pace(1, 1, clock=now)
        await pace.turn()
        first, second = asyncio.ensure_future(pace.turn()), asyncio.ensure_future(pace.turn())
        await asyncio.sleep(1)
        for _ in range(steps):
            await asyncio.sleep(0)
        first.cancel()
        await second
        assert abs(now() - (1 if first.cancelled() else 2)) < 1e-3

    virtual_time.run(test())
