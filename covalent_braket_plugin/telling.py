"""Tells the electrons that wait to become jobs where they stand, a few at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from covalent_braket_plugin.slots import Slots
from covalent_braket_plugin.turns import Standing, Turn, Turns

__all__ = ["Teller"]

TELL_SECONDS = 1.0
"""Who waits longer is told where it stands; so often it is looked who is to be told."""
TELL_AGAIN_SECONDS = 5.0
TELL_AT_ONCE = 10
"""So many are told at a time: writing it down for a thousand together would hold up the rest."""

log = logging.getLogger(__name__)


class Teller:
    """Looks every second who is to be told, as long as anybody waits; lives on one event loop.

    Args:
        turns: Who waits.
        slots: What runs and may run.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        turns: Turns,
        slots: Slots,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._turns = turns
        self._slots = slots
        self._clock = clock
        self._sleep = sleep
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it goes on already."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    def in_order(self) -> list[tuple[Turn, Standing]]:
        """Tell where all stand, the next one first."""
        running = self._slots.running
        slots = {lane: self._slots.limit(lane.kind, lane.most) for lane in self._turns.lanes}
        return [
            (turn, Standing(ahead, running, slots[turn.lane]))
            for ahead, turn in enumerate(self._turns)
        ]

    async def _tell(self) -> None:
        while self._turns:
            await self._sleep(TELL_SECONDS)
            now = self._clock()
            due = [
                (turn, standing)
                for turn, standing in self.in_order()
                if turn.told is not None and now - turn.since >= TELL_SECONDS
                if turn.standing != standing and now - turn.told_at >= TELL_AGAIN_SECONDS
            ]
            for turn, standing in sorted(due, key=lambda each: each[0].told_at)[:TELL_AT_ONCE]:
                try:
                    turn.tell(standing, now)
                except Exception:  # a nicety: it must not stop the others
                    log.exception("An electron could not be told where it stands")
