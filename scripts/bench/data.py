"""Case `data`: big results, and how much of them Covalent's server holds in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.bench.report import Found, Rows, Target
from scripts.bench.stage import Stage
from scripts.bench.workflows import big_results, fan_out

ELECTRONS = 10
RESULT_MB = 50
GROWTH_TARGET_MB = 150.0


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Run them after a small workflow, which loads all that there is to load."""
    with Stage(folder) as stage:
        say("warming up")
        stage.finish(stage.dispatch(fan_out("braket"), 2, 0.0))
        say(f"{ELECTRONS} results of {RESULT_MB} MB")
        with stage.measuring() as seen:
            flow = big_results()
            size = RESULT_MB * 1_000_000
            stage.finish(stage.dispatch(flow, ELECTRONS, size))
    grown = seen.peak_mb - seen.base_mb
    row = [f"{ELECTRONS} x {RESULT_MB} MB", f"{seen.seconds:.1f}", f"{seen.base_mb:.0f}",
           f"{seen.peak_mb:.0f}", f"{seen.cpu_seconds / ELECTRONS * 1000:.0f}"]  # fmt: skip
    columns = ["results", "wall s", "memory MB", "peak MB", "CPU ms each"]
    return Found(
        "data",
        [Rows("big results", columns, [row])],
        [Target("growth of the server, MB", grown, GROWTH_TARGET_MB)],
        figures={"wall_seconds": seen.seconds, "base_mb": seen.base_mb, "peak_mb": seen.peak_mb},
    )
