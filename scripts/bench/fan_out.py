"""Case `fan-out`: many electrons under the quotas that a new AWS account has."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripts.bench.report import Found, Rows, Target
from scripts.bench.stage import CaseError, Stage
from scripts.bench.workflows import fan_out

ELECTRONS = 60
JOB_SECONDS = 5.0
SLOTS = 3
STRETCH = 1.2
THROTTLED_TARGET_PERCENT = 2.0
CALLS_TARGET = 2.3


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Run them; count calls, throttled answers and seconds."""
    with Stage(folder, quotas="default", slots=SLOTS) as stage:
        say(f"{ELECTRONS} electrons of {JOB_SECONDS:g} s, {SLOTS} jobs at once, AWS's rates")
        stage.forget()
        start = time.monotonic()
        flow = fan_out("braket")
        dispatch_id = stage.dispatch(flow, ELECTRONS, JOB_SECONDS)
        with contextlib.suppress(CaseError):  # those that failed are counted
            stage.finish(dispatch_id)
        wall = time.monotonic() - start
        failed = stage.errors(dispatch_id)
        return _found(wall, failed, stage.jobs(), stage.counted("calls"), stage.counted("answers"))


def _found(
    wall: float,
    failed: Mapping[int, str],
    jobs: list[dict[str, Any]],
    calls: Mapping[str, int],
    answers: Mapping[str, int],
) -> Found:
    took = [(job["endedAt"] - job["createdAt"]).total_seconds() for job in jobs if "endedAt" in job]
    ends = [job["endedAt"] for job in jobs if "endedAt" in job]
    span = (max(ends) - min(job["createdAt"] for job in jobs)).total_seconds() if ends else 0.0
    startup = statistics.mean(took) - JOB_SECONDS if took else 0.0
    free = (SLOTS * wall - sum(took)) / ELECTRONS
    rounds = ELECTRONS / SLOTS
    allowed = STRETCH * rounds * JOB_SECONDS + rounds * startup
    braket = {name: n for name, n in sorted(calls.items()) if name.startswith("braket:")}
    throttled = sum(n for name, n in answers.items() if name.endswith(" 429"))
    percent = 100 * throttled / max(1, sum(braket.values()))
    rows = [
        [name, str(n), f"{n / ELECTRONS:.2f}", str(answers.get(f"{name} 429", 0)),
         str(answers.get(f"{name} 402", 0))]
        for name, n in braket.items()
    ]  # fmt: skip
    columns = ["operation", "calls", "per electron", "throttled", "over the quota"]
    return Found(
        "fan-out",
        [Rows(f"{ELECTRONS} electrons of {JOB_SECONDS:g} s, {SLOTS} at once", columns, rows)],
        [
            Target("electrons that failed", len(failed), 0),
            Target("jobs made beyond one for each electron", len(jobs) - ELECTRONS, 0),
            Target("makespan, seconds", wall, allowed),
            Target("throttled answers, percent of Braket calls", percent, THROTTLED_TARGET_PERCENT),
            Target("Braket calls per electron", sum(braket.values()) / ELECTRONS, CALLS_TARGET),
        ],
        notes=[
            f"Start-up {startup:.2f} s: what a job takes beyond its {JOB_SECONDS:g} s, from its own"
            f" createdAt and endedAt, on average. Makespan allowed: {STRETCH} x {rounds:g} x"
            f" {JOB_SECONDS:g} s, and {rounds:g} start-ups.",
            f"A slot stood free for {free:.2f} s an electron: until the end of its job was noticed,"
            " and the next one was made.",
            f"Makespan is from dispatch to result; from the first job's createdAt to the last one's"
            f" endedAt it was {span:.1f} s.",
        ],
        figures={
            "wall_seconds": wall, "jobs_seconds": span, "startup_seconds": startup,
            "free_seconds": free, "failed": dict(failed),
            "jobs": len(jobs), "calls": dict(calls), "answers": dict(answers),
        },
    )  # fmt: skip
