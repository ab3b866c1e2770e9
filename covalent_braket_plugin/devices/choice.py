"""Which device an electron gets: the one it wants, another one, or it waits; async.

The policy of ``if_device_unavailable``, ``fallback_devices`` and ``max_device_wait``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from covalent_braket_plugin.devices.availability import Availability, local_time, needs_a_look
from covalent_braket_plugin.devices.lookout import Ask, Lookout
from covalent_braket_plugin.devices.retired import retirement
from covalent_braket_plugin.errors import DeviceError, DeviceUnavailableError, SettingError
from covalent_braket_plugin.pace import sleep_or, unless
from covalent_braket_plugin.settings import Settings

__all__ = ["LONG_WAIT", "Chosen", "Picker", "Waits", "span"]

SHORTEST_PAUSE_SECONDS = 0.05
LONG_WAIT = timedelta(hours=1)
"""Whoever has to wait so long is warned."""


@dataclass(frozen=True)
class Chosen:
    """The device that an electron has got.

    Attributes:
        arn: Its ARN, or ``local:...``.
        wanted: The one that it wanted.
        region: Region of the job.
        why: Why it is not the one that was wanted, a sentence; empty if it is.
    """

    arn: str
    wanted: str
    region: str
    why: str = ""


@dataclass(frozen=True)
class Waits:
    """What is told of an electron that waits for a device.

    Attributes:
        text: What it waits for.
        long: Whether that takes an hour or more, or nobody knows how long.
    """

    text: str
    long: bool


class Picker:
    """Picks the device of one electron, and picks again if Braket refuses it.

    Args:
        settings: The executor's settings, with ARNs for devices.
        region: Where the job is made.
        lookout: Knows how devices are.
        ask: Asks Braket.
        told: Is told what is waited for, each time it is looked again.
        withdrawn: Set if the electron is cancelled.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        settings: Settings,
        region: str,
        lookout: Lookout,
        ask: Ask,
        told: Callable[[Waits], None],
        withdrawn: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wanted = settings.quantum_device
        self._policy = settings.if_device_unavailable
        self._others = settings.fallback_devices if self._policy == "fallback" else ()
        # Whoever has reserved a device has it to itself then, in its windows or not.
        self._reserved = settings.reservation_arn is not None
        self._longest = settings.max_device_wait
        self._region = region
        self._lookout = lookout
        self._ask = ask
        self._told = told
        self._withdrawn = withdrawn
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        self._refused: set[str] = set()
        self.chosen = Chosen(self._wanted, self._wanted, region)

    async def pick(self) -> Chosen | None:
        """Find a device that can be used now; wait for one if that is what is wanted.

        Returns:
            The device; None if the electron was cancelled while it waited.

        Raises:
            SettingError: A device is retired, or not known.
            DeviceUnavailableError: None can be used, and it is not to be waited for, or not any
                longer.
            AwsError: Braket cannot be asked.
        """
        while not self._withdrawn.is_set():
            problems: dict[str, Availability] = {}
            for arn in (self._wanted, *self._others):
                verdict = await self._judged(arn)
                if verdict is None:
                    return None
                if verdict.now:
                    self.chosen = Chosen(arn, self._wanted, self._region, self._why(problems))
                    return self.chosen
                problems[arn] = verdict
            await self._pause(problems)
        return None

    def refused(self, error: DeviceError) -> None:
        """Take note that CreateJob has refused the device: it went offline meanwhile.

        Raises:
            DeviceError: It is retired, or is not to be waited for.
        """
        if error.code != "DeviceOfflineException" or self._policy == "fail" or self._reserved:
            raise error
        self._refused.add(self.chosen.arn)
        self._lookout.refused(self.chosen.arn)

    async def _judged(self, arn: str) -> Availability | None:
        if self._reserved or not (needs_a_look(arn) or arn in self._refused):
            return Availability(True)
        # Braket may not answer for an hour; the question goes on for the others who want to know.
        seen = await unless(self._withdrawn, self._lookout.look(arn, self._ask))
        if seen is None:
            return None
        if seen.state is not None and seen.state.status == "RETIRED":
            raise self._retired(arn, seen.state.name)
        verdict = seen.judged(self._lookout.now())
        name = seen.state.name if seen.state else arn
        return Availability(verdict.now, f"{name} {verdict.why}", verdict.opens)

    def _retired(self, arn: str, name: str) -> SettingError:
        known = retirement(arn)
        setting = "quantum_device" if arn == self._wanted else "fallback_devices"
        rule = known.sentence() if known else f"{name} is retired"
        instead = f"Use {known.instead} instead; " if known else "Use another; "
        fix = f"{instead}`covalent-braket devices` lists them."
        return SettingError(setting, arn, rule, fix)

    def _why(self, problems: dict[str, Availability]) -> str:
        return "; ".join(self._told_of(each) for each in problems.values())

    def _told_of(self, verdict: Availability) -> str:
        if verdict.opens is None:
            return verdict.why
        wait = verdict.opens - self._lookout.now()
        return f"{verdict.why}, which opens {local_time(verdict.opens)} (in {span(wait)})"

    async def _pause(self, problems: dict[str, Availability]) -> None:
        text = self._why(problems)
        if self._policy == "fail":
            raise _unavailable(f"{text}, and if_device_unavailable is 'fail'.")
        now = self._clock()
        self._since = now if self._since is None else self._since
        left = self._since + self._longest - now
        if left <= 0:
            raise _unavailable(f"{text}, and max_device_wait={self._longest:g} s are over.")
        opening = self._first_opening(problems)
        wait = None if opening is None else opening - self._lookout.now()
        if wait is not None and wait.total_seconds() > left:
            raise _unavailable(f"{text}: later than max_device_wait={self._longest:g} s allows.")
        self._told(Waits(text, wait is None or wait >= LONG_WAIT))
        pause = min(left, *(self._lookout.due_in(arn) for arn in problems))
        await sleep_or(self._withdrawn, max(pause, SHORTEST_PAUSE_SECONDS), self._sleep)

    @staticmethod
    def _first_opening(problems: dict[str, Availability]) -> datetime | None:
        """When the first one opens; None if one may be back at any time."""
        openings = [each.opens for each in problems.values()]
        return None if None in openings else min(each for each in openings if each is not None)


def _unavailable(why: str) -> DeviceUnavailableError:
    fix = (
        "Set if_device_unavailable to 'wait' or 'fallback', give it longer (max_device_wait), or "
        "take another quantum_device. `covalent-braket devices` shows how they are."
    )
    return DeviceUnavailableError(f"{why} Nothing was submitted. {fix}")


def span(wait: timedelta) -> str:
    """Write how long that is, roughly: ``14 h``."""
    minutes = max(0, round(wait.total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"
