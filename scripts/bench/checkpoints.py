"""Case `checkpoints`: what saving and loading take, and what they add to a job."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.bench.report import Found, Rows, Target
from scripts.bench.stage import Stage
from scripts.bench.workflows import saves_checkpoints

SIZES = {"1 kB": 1_000, "1 MB": 1_000_000, "100 MB": 100_000_000}
REPEATS = 5
SAVES, SAVED_BYTES = 20, 1_000_000
SAVE_TARGET_SECONDS = 2.0
RATIO_TARGET = 1.3


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Measure the files first, without any server beside them."""
    rows, seconds = _files(folder, say)
    with Stage(folder) as stage:
        flow = saves_checkpoints()
        say("warming up")
        stage.finish(stage.dispatch(flow, 1, 1))
        took = _best(stage, flow, (0, 1, SAVES), say)
    ratio = took[SAVES] / took[0]
    jobs = [[str(count), f"{best:.2f}", f"{best / took[0]:.2f}"] for count, best in took.items()]
    title = f"one job that saves {SAVED_BYTES // 1_000_000} MB so often"
    return Found(
        "checkpoints",
        [rows, Rows(title, ["saves", f"wall s, best of {REPEATS}", "x none"], jobs)],
        [
            Target("saving 100 MB, seconds", seconds["100 MB"][0], SAVE_TARGET_SECONDS),
            Target(f"a job with {SAVES} saves over one with none", ratio, RATIO_TARGET),
        ],
        figures={"save_and_load_seconds": seconds, "job_seconds": took},
    )


def _files(folder: Path, say: Callable[[str], None]) -> tuple[Rows, dict[str, list[float]]]:
    import numpy as np

    from covalent_braket_plugin.job import checkpoint

    os.environ["AMZN_BRAKET_CHECKPOINT_DIR"] = str(folder / "checkpoints")
    seconds: dict[str, list[float]] = {}
    for name, size in SIZES.items():
        say(f"saving and loading {name}")
        data = {"step": 7, "x": np.random.default_rng(1).random(size // 8)}
        saved = _median(lambda data=data: checkpoint.save(data))  # type: ignore[misc]
        seconds[name] = [saved, _median(checkpoint.load)]
    table = [
        [name, *(f"{took * 1000:.1f}" for took in both), f"{SIZES[name] / both[0] / 1e6:.0f}"]
        for name, both in seconds.items()
    ]
    columns = ["one array of", "save ms, median", "load ms, median", "saved MB/s"]
    return Rows("a checkpoint on disk", columns, table), seconds


def _median(action: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.monotonic()
        action()
        times.append(time.monotonic() - start)
    return statistics.median(times)


def _best(
    stage: Stage, flow: object, counts: Sequence[int], say: Callable[[str], None]
) -> dict[int, float]:
    """Time jobs that save so often, in turn: what else the machine does comes and goes."""
    best = dict.fromkeys(counts, math.inf)
    for turn in range(REPEATS):
        for count in counts:
            say(f"a job that saves {count} times, {turn + 1} of {REPEATS}")
            start = time.monotonic()
            stage.finish(stage.dispatch(flow, count, SAVED_BYTES))
            best[count] = min(best[count], time.monotonic() - start)
    return best
