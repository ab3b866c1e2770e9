"""An event loop whose clock jumps to the next thing to do: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["now", "run"]

LONGEST_SECONDS = 30 * 24 * 3600.0

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Does not wait: it moves the clock on by as much as it should have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("Everybody waits, and nobody for a time: a deadlock")
        self.now += max(0.0, timeout)
        if self.now > LONGEST_SECONDS:
            raise AssertionError("This goes on for ever")
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, selector: _Jumping) -> None:
        self._jumping = selector
        super().__init__(selector)

    def time(self) -> float:
        return self._jumping.now


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop with such a clock; ``asyncio.sleep`` obeys it."""
    with asyncio.Runner(loop_factory=lambda: _Loop(_Jumping())) as runner:
        return runner.run(test)


def now() -> float:
    """The time on the running loop, in seconds; hand this in as the clock."""
    return asyncio.get_running_loop().time()
