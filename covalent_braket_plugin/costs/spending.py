"""What a job has cost, as far as the service tells; pure.

AWS's bill counts in its own way, takes off credits and discounts, and knows taxes; this is what
the price list says for what the service measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from covalent_braket_plugin.budget import FREE, LEAST_SIMULATOR_SECONDS
from covalent_braket_plugin.costs.parts import Part, total
from covalent_braket_plugin.costs.table import Prices, is_simulator
from covalent_braket_plugin.descriptions import Job, QuantumTask

__all__ = ["Spent", "spent", "summed"]


@dataclass(frozen=True)
class Spent:
    """What something has cost.

    Attributes:
        usd: US dollars, of what has a known price; None if nothing has.
        parts: Its lines.
        approximate: Whether the bill may differ, such as while it runs.
        unknown: A sentence for each thing that has no known price.
    """

    usd: float | None
    parts: tuple[Part, ...] = ()
    approximate: bool = False
    unknown: tuple[str, ...] = ()


def spent(
    job: Job,
    quantum_tasks: Sequence[QuantumTask],
    prices: Prices,
    now: datetime | None = None,
) -> Spent:
    """Say what a job has cost so far.

    Args:
        job: The job, as GetJob describes it.
        quantum_tasks: The quantum tasks that it made.
        prices: The prices in force.
        now: The time; the clock's if not given.
    """
    now = now or datetime.now(UTC)
    region = job.arn.split(":")[3] if job.arn.count(":") > 3 else ""
    if job.reservation_arn:  # the device's hours are paid for, whatever runs in them
        prices = prices.with_reserved(job.device, region)
    parts = [*_instance(job, region, prices, now), *_tasks(quantum_tasks, region, prices, now)]
    unknown = {f"No price is known for {p.what} in {region}." for p in parts if p.usd is None}
    running = any(task.ended_at is None and task.status not in FREE for task in quantum_tasks)
    measured = all(task.exact for task in quantum_tasks if is_simulator(task.device))
    guessed = job.billable_seconds is None and job.started_at is not None
    return Spent(
        total(parts), tuple(parts), guessed or running or not measured, tuple(sorted(unknown))
    )


def summed(each: Iterable[Spent]) -> Spent:
    """Add up what several jobs have cost."""
    found = list(each)
    parts = tuple(part for one in found for part in one.parts)
    return Spent(
        total(parts),
        parts,
        any(one.approximate for one in found),
        tuple(sorted({sentence for one in found for sentence in one.unknown})),
    )


def _instance(job: Job, region: str, prices: Prices, now: datetime) -> Iterator[Part]:
    seconds = job.billable_seconds
    note = ""
    if seconds is None:
        if job.started_at is None:
            return
        seconds = max(0.0, ((job.ended_at or now) - job.started_at).total_seconds())
        note = "so far" if job.ended_at is None else "its run, since the billed time is not known"
    hours = seconds * job.instance_count / 3600
    hourly = prices.instance_hour(job.instance_type, region)
    name = job.instance_type or "the job's instance"
    yield Part(name, hours, "hour", None if hourly is None else hours * hourly, note)


def _tasks(
    tasks: Sequence[QuantumTask], region: str, prices: Prices, now: datetime
) -> Iterator[Part]:
    charged: dict[str, list[QuantumTask]] = {}
    for task in tasks:
        if task.status not in FREE:
            charged.setdefault(task.device, []).append(task)
    for device, mine in charged.items():
        name = device.rpartition("/")[2]
        if is_simulator(device):
            yield _simulator(name, mine, prices.simulator_minute(device, region), now)
            continue
        task_usd, shot_usd = prices.task(device, region), prices.shot(device, region)
        shots = sum(task.shots for task in mine)
        yield Part(name, len(mine), "task", None if task_usd is None else len(mine) * task_usd)
        yield Part(name, shots, "shot", None if shot_usd is None else shots * shot_usd)


def _simulator(
    name: str, tasks: Sequence[QuantumTask], minute: float | None, now: datetime
) -> Part:
    minutes = sum(_seconds(task, now) for task in tasks) / 60
    note = f"{len(tasks)} task{'s' if len(tasks) > 1 else ''}, at least 3 s each"
    if not all(task.exact for task in tasks):
        note += "; at most, with the time that they waited"
    return Part(name, minutes, "minute", None if minute is None else minutes * minute, note)


def _seconds(task: QuantumTask, now: datetime) -> float:
    if task.seconds is not None:
        return max(LEAST_SIMULATOR_SECONDS, task.seconds)
    if task.created_at is None:
        return LEAST_SIMULATOR_SECONDS
    took = ((task.ended_at or now) - task.created_at).total_seconds()
    return max(LEAST_SIMULATOR_SECONDS, took)
