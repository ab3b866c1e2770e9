"""The setting `max_cost`: what cannot keep it is refused, and a job gets a budget to keep."""

from __future__ import annotations

from dataclasses import dataclass

from covalent_braket_plugin.budget import dollars
from covalent_braket_plugin.costs.estimate import estimate, in_force, instance_usd
from covalent_braket_plugin.costs.parts import Part
from covalent_braket_plugin.costs.prices import prices as prices_in_force
from covalent_braket_plugin.costs.table import Prices, is_qpu
from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.errors import CostLimitError
from covalent_braket_plugin.protocol import Budget, Counted
from covalent_braket_plugin.settings import Settings

__all__ = ["Attempt", "budget_of", "cost_at_most", "sentence"]


@dataclass(frozen=True)
class Attempt:
    """An attempt that is over.

    Attributes:
        job: Its job.
        spent: What was counted of its quantum tasks; None if it left nothing.
    """

    job: Job
    spent: Counted | None = None


def budget_of(
    settings: Settings, region: str, earlier: float = 0.0, prices: Prices | None = None
) -> Budget | None:
    """Settle what an electron's quantum tasks may cost; it may block while prices are fetched.

    Args:
        settings: The executor's settings.
        region: Where the job runs.
        earlier: What earlier attempts have cost at most, in US dollars.
        prices: The prices; those in force if not given.

    Returns:
        None if there is no limit.

    Raises:
        CostLimitError: `max_cost` is missing, is too little, or cannot be kept.
    """
    most = settings.max_cost
    on_demand = is_qpu(settings.quantum_device) and not settings.reservation_arn
    if most == "none" or (most is None and not on_demand):
        return None
    known = in_force(settings, region, prices_in_force() if prices is None else prices)
    if most is None:
        raise CostLimitError(_missing(settings, region, known))
    instance = instance_usd(settings, region, known)
    if instance is None:
        raise CostLimitError(_unpriced(settings, region, known, settings.classical_device))
    least = _least(settings, region, known)
    if earlier + instance + least > most:
        raise CostLimitError(_too_little(settings, region, known, earlier, instance, least))
    left = most - earlier - instance
    return Budget(left, most, instance, earlier, known.devices())


def cost_at_most(before: Attempt, budget: Budget | None, settings: Settings) -> float:
    """Say what an attempt and those before it have cost at most, in US dollars.

    Where the attempt left no count, all that it was allowed to spend is taken to be spent.

    Args:
        before: The attempt.
        budget: What it was allowed.
        settings: The executor's settings.
    """
    if budget is None:
        return 0.0
    tasks = budget.usd if before.spent is None else before.spent.usd
    instance = budget.instance
    if before.job.billable_seconds is not None and settings.time_limit:
        instance *= min(1.0, before.job.billable_seconds / settings.time_limit)
    return budget.earlier + instance + tasks


def sentence(settings: Settings, region: str, prices: Prices) -> str:
    """Say in one line what an electron may cost, and how much that may be."""
    return f"{_may_cost(settings, region, prices)}; max_cost is {_limit(settings)}"


def _may_cost(settings: Settings, region: str, prices: Prices) -> str:
    found = estimate(settings, region, prices)
    usd = instance_usd(settings, region, prices)
    most = "for which no price is known" if usd is None else f"which costs {dollars(usd)} at most"
    text = f"time_limit={settings.time_limit} s on {settings.classical_device}, {most}"
    if settings.reservation_arn and found.each:
        text += f", and {found.each[0].what} is reserved: its tasks are not charged one by one"
    elif found.each:
        text += f", and {_each(found.each)}"
    if settings.local:
        text += " (AWS's prices: the local Braket charges nothing)"
    return text


def _limit(settings: Settings) -> str:
    limit = settings.max_cost
    return dollars(limit) if isinstance(limit, float) else "none" if limit else "not set"


def _each(parts: tuple[Part, ...]) -> str:
    named = [
        f"{dollars(part.usd)} a {part.unit}"
        if part.usd is not None
        else f"an unknown price a {part.unit}"
        for part in parts
    ]
    return f"{parts[0].what} costs {' and '.join(named)}"


def _least(settings: Settings, region: str, prices: Prices) -> float:
    """One task of one shot, on a QPU: less is of no use there."""
    device = settings.quantum_device
    if not is_qpu(device):
        return 0.0
    task, shot = prices.task(device, region), prices.shot(device, region)
    if task is None or shot is None:
        raise CostLimitError(_unpriced(settings, region, prices, device))
    return task + shot


def _missing(settings: Settings, region: str, prices: Prices) -> str:
    return (
        f"max_cost is not set, and {settings.quantum_device} is a QPU: its tasks cost real money. "
        f"The job: {_may_cost(settings, region, prices)}. Say what the electron may cost, such as "
        "max_cost=5.0 (US dollars), or max_cost=None for no limit. Nothing was sent."
        f"{_source(prices)}"
    )


def _unpriced(settings: Settings, region: str, prices: Prices, what: str) -> str:
    return (
        f"max_cost={settings.max_cost:g} cannot be kept: no price is known for {what} in {region}."
        f"{_source(prices)} Use another instance type or device, name a copy of AWS's price list "
        "in the environment variable BRAKET_PRICE_OFFERS_URL, or say max_cost=None for no limit. "
        "Nothing was sent."
    )


def _source(prices: Prices) -> str:
    return f" Prices: {prices.source}. {prices.problem}".rstrip().rstrip(".") + "."


def _too_little(
    settings: Settings,
    region: str,
    prices: Prices,
    earlier: float,
    instance: float,
    least: float,
) -> str:
    needed = earlier + instance + least
    parts = [f"{dollars(instance)} for time_limit={settings.time_limit} s on "]
    parts[0] += f"{settings.instance_count} {settings.classical_device}"
    if least:
        parts.append(f"{dollars(least)} for one task with one shot")
    if earlier:
        parts.append(f"{dollars(earlier)} for earlier attempts")
    room = float(settings.max_cost or 0) - earlier - least
    seconds = int(settings.time_limit * room / instance) if instance and room > 0 else 0
    shorter = f", or time_limit={seconds} at most" if seconds >= 1 else ""
    return (
        f"max_cost={settings.max_cost:g} is too little: it may cost {dollars(needed)} "
        f"({', '.join(parts)}). Use max_cost={_up(needed)} or more{shorter}. Nothing was sent."
        f"{_source(prices)}"
    )


def _up(usd: float) -> str:
    """An amount that is enough, in few digits."""
    digits = 2 if usd >= 0.01 else 6
    step = 10.0**-digits
    return f"{(int(usd / step - 1e-9) + 1) * step:.{digits}f}"
