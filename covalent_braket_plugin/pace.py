"""How fast a call may be made: a token bucket, as AWS keeps one for each operation.

Calls that come before a token is there wait in the order in which they came. Knows no AWS.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["Pace", "sleep_or", "unless"]

SLACK_SECONDS = 0.25
"""A call may take so much longer to AWS than the next one: the bucket there fills later than ours.

So whoever found our bucket empty leaves that much in it.
"""
_ROUNDING = 1e-6

T = TypeVar("T")


class Pace:
    """A token bucket; lives on one event loop.

    Args:
        rate: Calls a second, in the long run.
        burst: Calls at once, after a quiet time; at least 1.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self._sleep = sleep
        self._level = self._burst
        self._filled_at = clock()
        self._empty = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._changed = asyncio.Event()
        self._giving: asyncio.Task[None] | None = None

    def ready_in(self) -> float:
        """Tell in how many seconds one more call could be made; 0 if at once."""
        return self._missing(len(self._waiting)) / self._rate

    def take(self) -> bool:
        """Take a token if one is there and nobody waits for it."""
        if self._waiting:
            return False
        if self._missing() > 0:
            self._empty = True
            return False
        self._level -= 1
        return True

    def owe(self, tokens: float) -> None:
        """Take more tokens for what was begun already, also ones that are yet to come."""
        self._fill()
        self._level -= tokens

    async def turn(self) -> None:
        """Wait for a token and take it."""
        if self.take():
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if self._giving is None or self._giving.done():
            self._giving = asyncio.get_running_loop().create_task(self._give())
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # it had got its token: that is for the next one
                self._level += 1
            elif mine in self._waiting:
                self._waiting.remove(mine)
            self._changed.set()
            raise

    def set(self, rate: float, burst: float) -> None:
        """Use another rate from now on; what was taken before stays taken. Those who wait wake."""
        self._fill()
        burst = max(1.0, burst)
        self._level = max(0.0, self._level + burst - self._burst)
        self._rate, self._burst = rate, burst
        self._changed.set()

    def slow_down(self) -> None:
        """Empty the bucket, after an answer that it was too fast: others may call, too."""
        self._fill()
        self._level = min(self._level, 0.0)
        self._empty = True

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level >= self._burst:
            self._empty = False

    def _missing(self, before: int = 0) -> float:
        """Count the tokens that must come in before the next call, if so many go before it."""
        self._fill()
        slack = min(SLACK_SECONDS * self._rate, self._burst - 1) if self._empty or before else 0
        missing = 1 + before + slack - self._level
        return missing if missing > _ROUNDING else 0.0

    async def _give(self) -> None:
        while self._waiting:
            self._changed.clear()
            if missing := self._missing():
                await sleep_or(self._changed, missing / self._rate, self._sleep)
                continue
            first = self._waiting.popleft()
            if not first.cancelled():
                self._level -= 1
                first.set_result(None)


async def sleep_or(
    event: asyncio.Event, seconds: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Sleep, but not longer than until the event is set."""
    sleeping = asyncio.ensure_future(sleep(seconds))
    changing = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({sleeping, changing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        changing.cancel()


async def unless(event: asyncio.Event, work: Awaitable[T]) -> T | None:
    """Wait for something, but not longer than until the event is set; None then.

    Raises:
        Exception: What the work raises.
    """
    working = asyncio.ensure_future(work)
    changing = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({working, changing}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        changing.cancel()
