"""Case `cost`: CPU and calls of trivial electrons, beside Covalent's own executor as the floor."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.bench.report import Found, Rows, Target
from scripts.bench.stage import Stage
from scripts.bench.workflows import fan_out

CPU_RATIO_TARGET = 1.6
BRAKET_CALLS_TARGET = 3.0
OTHER_CALLS_TARGET = 6.0
IMPORT_TARGET_SECONDS = 0.050
IMPORT_SAMPLES = 7
SETTLE_SECONDS = 1.0


@dataclass
class Sample:
    """What a workflow of `electrons` trivial electrons took.

    Attributes:
        executor: ``braket`` or ``local``.
        electrons: How many.
        wall_seconds: From dispatch to result.
        cpu_seconds: Of the server's process, per electron.
        peak_mb: Highest resident memory of the server's process.
        braket_calls: Braket calls of the dispatcher, per electron.
        other_calls: Its other AWS calls, per electron.
        calls: All its calls by operation.
    """

    executor: str
    electrons: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    braket_calls: float = 0.0
    other_calls: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)


def measure(stage: Stage, executor: str, electrons: int) -> Sample:
    """Run one workflow."""
    stage.forget()
    with stage.measuring() as seen:
        start = time.monotonic()
        flow = fan_out(executor)
        dispatch_id = stage.dispatch(flow, electrons, 0.0)
        stage.finish(dispatch_id)
        wall = time.monotonic() - start
        time.sleep(SETTLE_SECONDS)
    calls = stage.counted("calls")
    of_braket = sum(count for name, count in calls.items() if name.startswith("braket:"))
    return Sample(
        executor=executor,
        electrons=electrons,
        wall_seconds=round(wall, 3),
        cpu_seconds=round(seen.cpu_seconds / electrons, 4),
        peak_mb=round(seen.peak_mb, 1),
        braket_calls=round(of_braket / electrons, 2),
        other_calls=round((sum(calls.values()) - of_braket) / electrons, 2),
        calls=calls,
    )


def import_seconds() -> float:
    """What importing the plugin adds to importing Covalent, in seconds: the median of a few."""
    code = (
        "import time, covalent; start = time.perf_counter(); "
        "import covalent_braket_plugin.braket; print(time.perf_counter() - start)"
    )
    environment = {**os.environ, "COVALENT_PLUGIN_LOAD": "false"}
    samples = [
        float(subprocess.check_output([sys.executable, "-c", code], env=environment, text=True))
        for _ in range(IMPORT_SAMPLES)
    ]
    return statistics.median(samples)


def run(folder: Path, sizes: Sequence[int], say: Callable[[str], None]) -> Found:
    """Measure all sizes, the floor beside each."""
    samples = []
    with Stage(folder) as stage:
        say("warming up")
        for executor in ("local", "braket"):
            measure(stage, executor, 1)
        for electrons in sizes:
            for executor in ("local", "braket"):
                say(f"{electrons} electrons on {executor}")
                samples.append(measure(stage, executor, electrons))
    importing = import_seconds()
    figures = {"samples": [asdict(one) for one in samples], "import_seconds": importing}
    return Found("cost", [_rows(samples)], _targets(samples, importing), figures=figures)


def _rows(samples: Sequence[Sample]) -> Rows:
    columns = ["executor", "n", "wall s", "CPU ms each", "x floor", "Braket calls each",
               "other calls each", "peak MB"]  # fmt: skip
    floors = _floors(samples)
    rows = []
    for one in samples:
        braket = one.executor == "braket"
        ratio = one.cpu_seconds / floors[one.electrons] if floors[one.electrons] else 0.0
        rows.append([
            one.executor, str(one.electrons), f"{one.wall_seconds:.1f}",
            f"{one.cpu_seconds * 1000:.0f}", f"{ratio:.2f}" if braket else "1",
            f"{one.braket_calls:.2f}" if braket else "", f"{one.other_calls:.2f}" if braket else "",
            f"{one.peak_mb:.0f}",
        ])  # fmt: skip
    return Rows("what an electron costs the dispatcher", columns, rows)


def _floors(samples: Sequence[Sample]) -> dict[int, float]:
    return {one.electrons: one.cpu_seconds for one in samples if one.executor == "local"}


def _targets(samples: Sequence[Sample], importing: float) -> list[Target]:
    floors = _floors(samples)
    found = [Target("import of the plugin, seconds", importing, IMPORT_TARGET_SECONDS)]
    for one in samples:
        if one.executor == "local":
            continue
        of = f"at {one.electrons} electrons"
        found.append(Target(f"Braket calls {of}", one.braket_calls, BRAKET_CALLS_TARGET))
        found.append(Target(f"other AWS calls {of}", one.other_calls, OTHER_CALLS_TARGET))
        if one.electrons >= 20 and floors[one.electrons]:
            ratio = one.cpu_seconds / floors[one.electrons]
            found.append(Target(f"CPU over the floor {of}", ratio, CPU_RATIO_TARGET))
    return found
