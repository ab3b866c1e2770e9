"""What an electron may cost, reckoned before it is submitted; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from covalent_braket_plugin.budget import LEAST_SIMULATOR_SECONDS
from covalent_braket_plugin.costs.parts import Part, total
from covalent_braket_plugin.costs.table import Prices, is_qpu, is_simulator
from covalent_braket_plugin.settings import Settings

__all__ = ["Estimate", "Plan", "estimate", "in_force", "instance_usd"]

RESERVED = "reserved: paid for by the hour"
MONTH_HOURS = 730.0
"""What AWS reckons a month of storage as (365 * 24 / 12)."""
ELSEWHERE = 1.5
"""Where an instance has no known price, so many times its highest known one is taken as the most.
A limit for what is small beside a QPU's tasks; it is not shown as a price."""


@dataclass(frozen=True)
class Plan:
    """Which quantum tasks an electron is to make.

    Attributes:
        tasks: How many.
        shots: Shots of each.
        seconds: How long a simulator takes for each; None: the three that are charged at least.
    """

    tasks: int = 0
    shots: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What an electron may cost in one attempt.

    Attributes:
        most: What the job costs at most, quantum tasks apart.
        each: What one of each costs on the device.
        planned: What the planned quantum tasks cost.
        unknown: A sentence for each thing that has no known price.
    """

    most: tuple[Part, ...]
    each: tuple[Part, ...]
    planned: tuple[Part, ...]
    unknown: tuple[str, ...]

    @property
    def usd(self) -> float | None:
        """Job and planned quantum tasks together; None if a price of them is not known."""
        parts = (*self.most, *self.planned)
        return None if any(part.usd is None for part in parts) else total(parts)


def estimate(settings: Settings, region: str, prices: Prices, plan: Plan | None = None) -> Estimate:
    """Reckon what an electron may cost.

    Args:
        settings: The executor's settings.
        region: Where the job runs.
        prices: The prices in force.
        plan: The quantum tasks that it is to make.
    """
    most = tuple(_most(settings, region, prices))
    prices, on_demand = in_force(settings, region, prices), prices
    each = tuple(_each(settings.quantum_device, region, prices))
    planned = tuple(_planned(settings.quantum_device, region, prices, plan or Plan()))
    if prices is not on_demand:
        each, planned = (tuple(replace(p, note=RESERVED) for p in ps) for ps in (each, planned))
    missing = {part.what for part in (*most, *each, *planned) if part.usd is None}
    unknown = tuple(f"No price is known for {what} in {region}." for what in sorted(missing))
    return Estimate(most, each, planned, unknown)


def in_force(settings: Settings, region: str, prices: Prices) -> Prices:
    """The prices for an electron: on a device that is reserved, quantum tasks cost nothing."""
    device = settings.quantum_device
    if settings.reservation_arn and is_qpu(device):
        return prices.with_reserved(device, region)
    return prices


def instance_usd(settings: Settings, region: str, prices: Prices) -> float | None:
    """What the job's instances cost at most, with their volumes; None without a price."""
    parts = list(_most(settings, region, prices))
    return None if any(part.usd is None for part in parts) else total(parts)


def _most(settings: Settings, region: str, prices: Prices) -> Iterator[Part]:
    hours = settings.time_limit * settings.instance_count / 3600
    hourly, note = _hourly(settings.classical_device, region, prices)
    usd = None if hourly is None else hours * hourly
    note = f"time_limit={settings.time_limit} s, the billed time is less or as long{note}"
    yield Part(settings.classical_device, hours, "hour", usd, note)
    monthly = prices.of("volume", region)
    if monthly is not None:
        months = settings.storage * hours / MONTH_HOURS
        yield Part("volume", months, "GB-month", months * monthly, f"{settings.storage} GB")


def _hourly(instance_type: str, region: str, prices: Prices) -> tuple[float | None, str]:
    """What an instance costs an hour at most, with a note if that is not the region's own price."""
    own = prices.instance_hour(instance_type, region)
    other = prices.instance_hour_elsewhere(instance_type)
    if own is not None or other is None:
        return own, ""
    return other.usd * ELSEWHERE, f"; {other.region}'s price and a half of it, for want of one here"


def _each(device: str, region: str, prices: Prices) -> Iterator[Part]:
    name = device.rpartition("/")[2]
    if is_qpu(device):
        yield Part(name, 1, "task", prices.task(device, region))
        yield Part(name, 1, "shot", prices.shot(device, region))
    elif is_simulator(device):
        note = "at least 3 s a task"
        yield Part(name, 1, "minute", prices.simulator_minute(device, region), note)


def _planned(device: str, region: str, prices: Prices, plan: Plan) -> Iterator[Part]:
    name = device.rpartition("/")[2]
    if plan.tasks and is_qpu(device):
        task, shot = prices.task(device, region), prices.shot(device, region)
        shots = plan.tasks * plan.shots
        yield Part(name, plan.tasks, "task", None if task is None else plan.tasks * task)
        yield Part(name, shots, "shot", None if shot is None else shots * shot)
    elif plan.tasks and is_simulator(device):
        seconds = max(LEAST_SIMULATOR_SECONDS, plan.seconds or 0.0)
        minutes = plan.tasks * seconds / 60
        minute = prices.simulator_minute(device, region)
        note = f"{plan.tasks} tasks of {seconds:g} s"
        if plan.seconds is None:
            note += ", the least; --seconds says how long they take"
        yield Part(name, minutes, "minute", None if minute is None else minutes * minute, note)
