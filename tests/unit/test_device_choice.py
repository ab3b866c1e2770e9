"""Whether a device can be used, who asks, and which device an electron gets; on a clock of ours."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from covalent_braket_plugin.devices.availability import DeviceState, availability
from covalent_braket_plugin.devices.choice import Picker, Waits
from covalent_braket_plugin.devices.lookout import LONGEST_PAUSE_SECONDS, Lookout
from covalent_braket_plugin.errors import DeviceError, SettingError
from covalent_braket_plugin.settings import resolve

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
EMERALD = "arn:aws:braket:eu-north-1::device/qpu/iqm/Emerald"
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
# 2026-11-23 is a Monday.
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
SUNDAY = MONDAY - timedelta(days=1)


def window(day: str, begin: str, end: str) -> dict[str, str]:
    return {"executionDay": day, "windowStartHour": begin, "windowEndHour": end}


OFFICE = (window("Weekdays", "08:00:00", "16:00:00"),)
ALWAYS = (window("Everyday", "00:00:00", "23:59:59"),)


def state(status: str = "ONLINE", windows: Any = ALWAYS, arn: str = GARNET) -> DeviceState:
    name = arn.rpartition("/")[2]
    return DeviceState(arn, f"IQM {name}", "QPU", status, tuple(windows))


# --- availability --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["OFFLINE", "RETIRED"])
def test_a_device_that_is_not_online_cannot_be_used_whatever_its_windows(status: str) -> None:
    found = availability(state(status), MONDAY)
    assert (found.now, found.why, found.opens) == (False, f"is {status}", None)


def test_a_device_is_available_inside_its_window_only() -> None:
    assert availability(state(windows=OFFICE), MONDAY).closes == MONDAY.replace(hour=16)
    closed = availability(state(windows=OFFICE), SUNDAY)
    assert (closed.now, closed.opens) == (False, MONDAY.replace(hour=8))


def test_a_device_that_is_always_open_closes_never() -> None:
    assert availability(state(), MONDAY).closes is None


def test_a_device_that_names_no_window_is_open() -> None:
    assert availability(state(windows=()), MONDAY).now


# --- who asks ------------------------------------------------------------------------------------


class World:
    """Devices and a clock; `asked` says which were asked about."""

    def __init__(self, *states: DeviceState, now: datetime = MONDAY) -> None:
        self.states = {each.arn: each for each in states}
        self.began, self.seconds = now, 0.0
        self.back_after = float("inf")
        self.asked: list[str] = []
        self.told: list[Waits] = []
        self.withdrawn = asyncio.Event()
        self.lookout = Lookout(lambda: self.seconds, self.now)

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)

    async def ask(self, arn: str) -> DeviceState | None:
        self.asked.append(arn)
        await asyncio.sleep(0)
        return self.states.get(arn)

    async def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        if self.seconds >= self.back_after:
            self.states = {arn: replace(each, status="ONLINE") for arn, each in self.states.items()}

    def picker(self, **settings: Any) -> Picker:
        return Picker(
            resolve({"quantum_device": GARNET, **settings}, {}, {}),
            "eu-north-1",
            self.lookout,
            self.ask,
            self.told.append,
            self.withdrawn,
            lambda: self.seconds,
            self.pass_time,
        )


async def test_those_who_want_to_know_at_the_same_time_ask_once() -> None:
    world = World(state())
    picked = await asyncio.gather(*(world.picker().pick() for _ in range(50)))
    assert {each.arn for each in picked if each} == {GARNET}
    assert world.asked == [GARNET]


async def test_a_simulator_and_a_device_inside_the_job_are_not_asked_about() -> None:
    world = World()
    for device in (SV1, "local:braket/default", "local:none/none"):
        chosen = await world.picker(quantum_device=device).pick()
        assert chosen is not None
        assert chosen.arn == device
    assert world.asked == []


async def test_a_device_that_stays_offline_is_asked_about_less_and_less_often() -> None:
    world = World(state("OFFLINE"))
    with pytest.raises(DeviceError, match="max_device_wait=3600 s are over"):
        await world.picker(max_device_wait=3600).pick()
    assert 3600 / LONGEST_PAUSE_SECONDS <= len(world.asked) <= 3600 / LONGEST_PAUSE_SECONDS + 8


async def test_a_closed_device_is_asked_about_again_when_it_opens_and_each_hour_before() -> None:
    world = World(state(windows=OFFICE), now=SUNDAY)
    chosen = await world.picker().pick()
    assert chosen is not None
    assert world.now() == MONDAY.replace(hour=8)
    hours = (MONDAY.replace(hour=8) - SUNDAY).total_seconds() / 3600
    assert len(world.asked) == math.ceil(hours) + 1
    assert world.told[0].long
    assert (
        "IQM Garnet is outside its execution window, which opens Mon 23 Nov" in world.told[0].text
    )


async def test_windows_that_have_changed_are_noticed() -> None:
    world = World(state(windows=OFFICE))
    await world.picker().pick()
    world.seconds += 5 * 24 * 3600  # a Saturday
    world.states[GARNET] = state(windows=ALWAYS)
    chosen = await world.picker(if_device_unavailable="fail").pick()
    assert chosen is not None
    assert chosen.arn == GARNET


async def test_who_may_not_ask_takes_the_device_as_it_is() -> None:
    chosen = await World().picker().pick()
    assert chosen is not None
    assert chosen.arn == GARNET


@pytest.mark.parametrize("arn", [GARNET, SV1])
async def test_a_refusal_of_create_job_counts_whatever_get_device_says(arn: str) -> None:
    world = World(state(arn=arn))
    picker = world.picker(quantum_device=arn)
    await picker.pick()
    for _ in range(3):
        picker.refused(DeviceError("offline", code="DeviceOfflineException"))
        before = world.seconds
        await picker.pick()
        assert world.seconds > before, "it is not tried again at once"
    assert world.seconds >= 2 + 4 + 8


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("DeviceRetiredException", {}),
        ("DeviceOfflineException", {"if_device_unavailable": "fail"}),
    ],
)
async def test_a_refusal_that_is_not_to_be_waited_out_is_final(
    code: str, settings: dict[str, Any]
) -> None:
    picker = World(state()).picker(**settings)
    await picker.pick()
    with pytest.raises(DeviceError, match="refused"):
        picker.refused(DeviceError("refused", code=code))


# --- which one -----------------------------------------------------------------------------------


def fallback(others: Iterable[str], **more: Any) -> dict[str, Any]:
    return {"if_device_unavailable": "fallback", "fallback_devices": list(others), **more}


async def test_the_first_that_is_available_stands_in_and_it_is_said_why() -> None:
    world = World(state("OFFLINE"), state(arn=EMERALD))
    chosen = await world.picker(**fallback([EMERALD, SV1])).pick()
    assert chosen is not None
    assert (chosen.arn, chosen.wanted) == (EMERALD, GARNET)
    assert chosen.why == "IQM Garnet is OFFLINE"


async def test_the_wanted_device_comes_first_again_when_it_is_back() -> None:
    world = World(state("OFFLINE"), state("OFFLINE", arn=EMERALD))
    world.back_after = 30.0
    chosen = await world.picker(**fallback([EMERALD])).pick()
    assert chosen is not None
    assert chosen.arn == GARNET


async def test_other_devices_are_for_the_policy_fallback_only() -> None:
    world = World(state("OFFLINE"), state(arn=EMERALD))
    with pytest.raises(DeviceError, match="IQM Garnet is OFFLINE"):
        await world.picker(if_device_unavailable="fail", fallback_devices=[EMERALD]).pick()
    assert world.asked == [GARNET]


async def test_a_window_that_opens_after_the_longest_wait_fails_at_once() -> None:
    world = World(state(windows=OFFICE), now=SUNDAY)
    with pytest.raises(DeviceError, match="later than max_device_wait=3600 s allows"):
        await world.picker(max_device_wait=3600).pick()
    assert world.seconds == 0


async def test_a_retired_device_is_refused_also_one_that_would_stand_in() -> None:
    world = World(state("OFFLINE"), state("RETIRED", arn=EMERALD))
    with pytest.raises(SettingError, match=r"fallback_devices=.*IQM Emerald is retired"):
        await world.picker(**fallback([EMERALD])).pick()


async def test_a_reserved_device_is_neither_waited_for_nor_replaced() -> None:
    world = World(state("OFFLINE"), state(arn=EMERALD))
    reservation = "arn:aws:braket:eu-north-1:123456789012:reservation/a1"
    chosen = await world.picker(**fallback([EMERALD], reservation_arn=reservation)).pick()
    assert chosen is not None
    assert (chosen.arn, world.asked) == (GARNET, [])


async def test_who_is_cancelled_gets_no_device() -> None:
    world = World(state("OFFLINE"))
    world.withdrawn.set()
    assert await world.picker().pick() is None


async def test_who_is_cancelled_while_braket_does_not_answer_waits_no_longer() -> None:
    world, never = World(state()), asyncio.Event()
    others = world.picker()

    async def silent(arn: str) -> DeviceState | None:
        await never.wait()
        return world.states[arn]

    world.ask = silent  # type: ignore[method-assign]
    picking = asyncio.ensure_future(world.picker().pick())
    await asyncio.sleep(0.01)
    world.withdrawn.set()
    assert await asyncio.wait_for(picking, 1) is None
    world.withdrawn.clear()
    waiting = asyncio.ensure_future(others.pick())
    await asyncio.sleep(0.01)
    never.set()
    assert await waiting, "the question has gone on for the others"
