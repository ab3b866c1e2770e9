"""Case `mass`: hundreds of electrons at once, and how Covalent's server bears it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.bench.report import Found, Rows, Target, percentile
from scripts.bench.stage import Stage
from scripts.bench.workflows import fan_out

ELECTRONS = 300
LAG_TARGET_MS = 50.0
ASK_SECONDS = 0.5
BLOCKERS = 5


@dataclass
class Borne:
    """What the server bore with one executor.

    Attributes:
        executor: ``braket`` or ``local``.
        wall_seconds: From the end of the dispatch call until the workflow had ended.
        cpu_seconds: Of the server's process, per electron.
        base_mb: Its resident memory before.
        peak_mb: The highest.
        lag_ms: How late the event loop was: p50, p99, max.
        own_lag_ms: The same without the time that its thread waited for a processor.
        answers_ms: The same of what the UI asks for.
        blockers: What the loop was seen doing while it was late, and how often.
    """

    executor: str
    wall_seconds: float
    cpu_seconds: float
    base_mb: float
    peak_mb: float
    lag_ms: tuple[float, float, float]
    own_lag_ms: tuple[float, float, float]
    answers_ms: tuple[float, float, float]
    blockers: list[tuple[str, int]] = field(default_factory=list)


def measure(stage: Stage, executor: str) -> Borne:
    """Run them on one executor."""
    flow = fan_out(executor)
    stage.finish(stage.dispatch(flow, 2, 0.0))
    before = dict(stage.blockers())
    with stage.measuring() as seen:
        dispatch_id = stage.dispatch(flow, ELECTRONS, 0.0)
        sent = time.monotonic()
        overview = f"/api/v1/dispatches/{dispatch_id}"
        status = f"/api/v2/dispatches?dispatch_id={dispatch_id}&status_only=true"
        with stage.asking(seen, "/", overview, status, every_seconds=ASK_SECONDS):
            stage.finish(dispatch_id)
    lags = [(1000 * lag, 1000 * (lag - starved)) for lag, starved in stage.lags(sent, seen.end)]
    answers = [1000 * one for many in seen.answers.values() for one in many]
    blockers = [(stack, n - before.get(stack, 0)) for stack, n in stage.blockers()]
    return Borne(
        executor, seen.end - sent, seen.cpu_seconds / ELECTRONS, seen.base_mb, seen.peak_mb,
        _three([lag for lag, _ in lags]), _three([own for _, own in lags]), _three(answers),
        sorted(blockers, key=lambda each: -each[1])[:BLOCKERS],
    )  # fmt: skip


def _three(values: list[float]) -> tuple[float, float, float]:
    return percentile(values, 0.5), percentile(values, 0.99), max(values, default=0.0)


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Measure both executors."""
    both = []
    with Stage(folder) as stage:
        for executor in ("local", "braket"):
            say(f"{ELECTRONS} electrons on {executor}")
            both.append(measure(stage, executor))
    floor, ours = both
    columns = ["executor", "wall s", "CPU ms each", "memory MB", "peak MB",
               "lag ms p50", "p99", "max", "own p99", "UI ms p50", "p99", "max"]  # fmt: skip
    rows = [
        [one.executor, f"{one.wall_seconds:.1f}", f"{one.cpu_seconds * 1000:.0f}",
         f"{one.base_mb:.0f}", f"{one.peak_mb:.0f}", *(f"{ms:.1f}" for ms in one.lag_ms),
         f"{one.own_lag_ms[1]:.1f}",
         *(f"{ms:.0f}" for ms in one.answers_ms)]
        for one in both
    ]  # fmt: skip
    notes = ["Own lag: without the time that the loop's thread waited for a processor."]
    if ours.lag_ms[1] > LAG_TARGET_MS:
        notes += ["The loop was late while it did this (innermost frame first, times seen):"]
        notes += [f"{count:5}  {stack}" for stack, count in ours.blockers]
    return Found(
        "mass",
        [Rows(f"{ELECTRONS} electrons at once, no quotas", columns, rows)],
        [Target("lag of the event loop, ms, 99th percentile", ours.lag_ms[1], LAG_TARGET_MS)],
        notes,
        {"local": asdict(floor), "braket": asdict(ours)},
    )
