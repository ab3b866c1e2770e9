"""Whether a device can be used now, and if not, why and from when on; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from covalent_braket_plugin.devices.windows import next_opening

__all__ = ["Availability", "DeviceState", "availability", "local_time", "needs_a_look", "state_of"]

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class DeviceState:
    """A device as GetDevice describes it.

    Attributes:
        arn: Its ARN.
        name: Provider and name, such as ``IQM Garnet``.
        kind: ``QPU`` or ``SIMULATOR``.
        status: ``ONLINE``, ``OFFLINE`` or ``RETIRED``.
        windows: Its execution windows, as Braket writes them (UTC).
        queue: How many wait: ``jobs``, ``tasks`` and ``priority_tasks``, as far as it says.
    """

    arn: str
    name: str
    kind: str
    status: str
    windows: tuple[Mapping[str, str], ...] = ()
    queue: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Availability:
    """Whether a device can be used.

    Attributes:
        now: Whether it can be used now.
        why: Why not, in a few words; empty if it can.
        opens: When its next window opens (UTC), if that is what it waits for.
        closes: When the window that is open closes (UTC); None if it never does, or none is open.
    """

    now: bool
    why: str = ""
    opens: datetime | None = None
    closes: datetime | None = None


_QUEUES = {
    ("JOBS_QUEUE", ""): "jobs",
    ("QUANTUM_TASKS_QUEUE", ""): "tasks",
    ("QUANTUM_TASKS_QUEUE", "Normal"): "tasks",
    ("QUANTUM_TASKS_QUEUE", "Priority"): "priority_tasks",
}


def needs_a_look(device: str) -> bool:
    """Whether a device may be unavailable at all: simulators and what runs in the job never are."""
    return ":device/qpu/" in device


def state_of(found: Mapping[str, Any]) -> DeviceState:
    """Read GetDevice's answer.

    Raises:
        KeyError: It is not whole.
    """
    service = json.loads(found["deviceCapabilities"]).get("service", {})
    queues = {
        _QUEUES[key]: str(each["queueSize"])
        for each in found.get("deviceQueueInfo", [])
        if (key := (each["queue"], each.get("queuePriority", ""))) in _QUEUES
    }
    return DeviceState(
        arn=found["deviceArn"],
        name=f"{found['providerName']} {found['deviceName']}",
        kind=found["deviceType"],
        status=found["deviceStatus"],
        windows=tuple(service.get("executionWindows") or ()),
        queue=queues,
    )


def availability(state: DeviceState, now: datetime) -> Availability:
    """Judge by status and execution windows; outside its windows a QPU only queues tasks.

    A QPU without any window is taken to be open: Braket says of none when it would be.

    Args:
        state: The device.
        now: The time, with its zone.
    """
    if state.status != "ONLINE":
        return Availability(False, f"is {state.status}")
    if state.kind != "QPU":
        return Availability(True)
    opening = next_opening(state.windows, now)
    if opening is None:
        return Availability(True)
    if opening.begin > now:
        return Availability(False, "is outside its execution window", opens=opening.begin)
    always = opening.end - now > _WEEK
    return Availability(True, closes=None if always else opening.end)


def local_time(moment: datetime) -> str:
    """Write a time in the zone of this machine, such as ``Mon 23 Nov 09:00 CET``."""
    return moment.astimezone().strftime("%a %d %b %H:%M %Z")
