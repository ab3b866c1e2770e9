"""Asks about many things in turn: each when it is due, all together at one pace.

One task for all of them, however many they are. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from covalent_braket_plugin.pace import Pace, sleep_or

__all__ = ["Item", "Rounds"]

LOOK_SECONDS = 1.0
"""So often it is looked whether an item is wanted that was not."""
AT_ONCE = 2
"""Calls under way at the same time: more would only fill the threads if AWS hangs."""

log = logging.getLogger(__name__)


class Item:
    """Something to be asked about. Derive from it.

    Attributes:
        next_at: When it is to be asked about, by the clock of its `Rounds`.
        under_way: Whether that is being done.
        over: Whether there is nothing more to ask.
        ended: Whether what it is about has ended; such items and others take turns.
    """

    next_at = 0.0
    under_way = False
    over = False
    ended = False

    def wanted(self) -> bool:
        """Whether anybody needs an answer; must be quick."""
        return True

    async def ask(self) -> float:
        """Make one call and use its answer; returns in how many seconds to ask again."""
        raise NotImplementedError


class Rounds:
    """Asks about items as long as there are any; lives on one event loop.

    Args:
        pace: When a call may be made.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        pace: Pace,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.pace = pace
        self._clock = clock
        self._sleep = sleep
        self._items: set[Item] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._ended_last = True

    def add(self, item: Item, in_seconds: float) -> None:
        """Ask about an item from then on."""
        item.next_at = self._clock() + in_seconds
        self._items.add(item)
        self._changed.set()
        if self._loop is None or self._loop.done():
            self._loop = asyncio.get_running_loop().create_task(self._run())

    def hurry(self, item: Item, in_seconds: float = 0.0) -> None:
        """Ask about an item not later than then."""
        at = self._clock() + in_seconds
        if item in self._items and item.next_at > at:
            item.next_at = at
            self._changed.set()

    def remove(self, item: Item) -> None:
        """Ask no more about an item; a call under way is not stopped."""
        self._items.discard(item)
        self._changed.set()

    async def _run(self) -> None:
        while self._items:
            self._changed.clear()
            if (pause := self._step()) > 0:
                await sleep_or(self._changed, pause, self._sleep)

    def _step(self) -> float:
        """Begin the next call, if one is due; tell in how many seconds to look again."""
        if len(self._calls) >= AT_ONCE:
            return LOOK_SECONDS
        idle = [each for each in self._items if not each.under_way]
        now = self._clock()
        due = [each for each in idle if each.next_at <= now and each.wanted()]
        if not due:
            later = [each.next_at - now for each in idle if each.next_at > now]
            unwanted = [LOOK_SECONDS] if len(later) < len(idle) else []
            return min(later + unwanted, default=LOOK_SECONDS)
        if not self.pace.take():
            return max(self.pace.ready_in(), 0.01)
        # Whoever has waited longest is next, so that none of many is left out; what is under way
        # does not stand behind all that has ended, nor the other way round.
        first = min(due, key=lambda each: (each.ended == self._ended_last, each.next_at))
        self._ended_last = first.ended
        first.under_way = True
        task = asyncio.get_running_loop().create_task(self._call(first))
        self._calls.add(task)
        task.add_done_callback(self._called)
        return 0.0

    async def _call(self, item: Item) -> None:
        pause = LOOK_SECONDS
        try:
            pause = await item.ask()
        except Exception:  # one that goes wrong must not stop the others
            log.debug("A question went wrong", exc_info=True)
            pause = 60.0
        finally:
            item.under_way = False
            item.next_at = self._clock() + pause
            if item.over:
                self._items.discard(item)

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._changed.set()
