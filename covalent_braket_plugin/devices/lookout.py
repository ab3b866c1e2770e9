"""How devices are, asked once for all electrons that want to know; on one event loop.

Whoever wants to know first asks, the others wait for the answer. Of a device that cannot be used it
is asked again after a pause that grows to a minute, or when its window opens; after an hour in any
case, since windows change, and devices are retired.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from covalent_braket_plugin.devices.availability import Availability, DeviceState, availability

__all__ = ["Ask", "Lookout", "Seen"]

FRESH_SECONDS = 5.0
"""So long a device that could be used is taken to be so still."""
CLOSED_SECONDS = 3600.0
"""So long a device that is outside its window is taken to be so still, if that does not open."""
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
CALM_SECONDS = 300.0
"""A device of which nothing bad was heard for so long is asked about soon again."""

Ask = Callable[[str], Awaitable[DeviceState | None]]
"""Asks Braket how a device is; None if that may not be asked."""


@dataclass
class Seen:
    """What is known of a device.

    Attributes:
        state: What Braket said; None if it may not be asked.
        due: When it is to be asked again (seconds of the clock).
        pause: Seconds until then.
        trouble_at: When it was last heard that it cannot be used.
    """

    state: DeviceState | None = None
    due: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    trouble_at: float = float("-inf")

    def judged(self, now: datetime) -> Availability:
        """Say whether it can be used, as far as is known; CreateJob has the last word."""
        return Availability(True) if self.state is None else availability(self.state, now)


class Lookout:
    """Knows how devices are; for one identity.

    Args:
        clock: Seconds, monotonic.
        now: The time.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self.now = now
        self._seen: dict[str, Seen] = {}
        self._asking: dict[str, asyncio.Task[Seen]] = {}

    async def look(self, arn: str, ask: Ask) -> Seen:
        """Tell how a device is; asked anew if what is known is not fresh.

        Raises:
            Exception: What ``ask`` raises.
        """
        seen = self._seen.get(arn)
        if seen is not None and self._clock() < seen.due:
            return seen
        if arn not in self._asking:
            task = asyncio.get_running_loop().create_task(self._ask(arn, ask))
            task.add_done_callback(lambda done: self._answered(arn, done))
            self._asking[arn] = task
        return await asyncio.shield(self._asking[arn])

    def refused(self, arn: str) -> None:
        """Note that CreateJob says it is offline, whatever GetDevice says."""
        seen = self._seen.setdefault(arn, Seen())
        if seen.state is not None:
            state = seen.state
            seen.state = DeviceState(state.arn, state.name, state.kind, "OFFLINE", state.windows)
        else:
            seen.state = DeviceState(arn, arn.rpartition("/")[2], "QPU", "OFFLINE")
        self._trouble(seen)

    def due_in(self, arn: str) -> float:
        """Seconds until it is worth looking at the device again; at most a minute."""
        seen = self._seen.get(arn)
        due = 0.0 if seen is None else seen.due - self._clock()
        return min(max(due, 0.0), LONGEST_PAUSE_SECONDS)

    async def _ask(self, arn: str, ask: Ask) -> Seen:
        state = await ask(arn)
        seen = self._seen.setdefault(arn, Seen())
        seen.state = state
        verdict = seen.judged(self.now())
        if verdict.opens is not None:
            opens_in = (verdict.opens - self.now()).total_seconds()
            seen.due = self._clock() + min(opens_in, CLOSED_SECONDS)
        elif verdict.now:
            seen.due = self._clock() + FRESH_SECONDS
        else:
            self._trouble(seen)
        return seen

    def _trouble(self, seen: Seen) -> None:
        now = self._clock()
        longer = min(2 * seen.pause, LONGEST_PAUSE_SECONDS)
        seen.pause = FIRST_PAUSE_SECONDS if now - seen.trouble_at > CALM_SECONDS else longer
        seen.due, seen.trouble_at = now + seen.pause, now

    def _answered(self, arn: str, task: asyncio.Task[Seen]) -> None:
        self._asking.pop(arn, None)
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it; nobody may
