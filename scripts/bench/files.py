"""Case `files`: what input data costs the second time, and what result files cost at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from scripts.bench.report import Found, Rows, Target
from scripts.bench.stage import Stage
from scripts.bench.workflows import reads_input, writes_results

INPUT_MB = 50
SHARING = 10
RESULT_SIZES = {"none": 0, "1 kB": 1_000, "1 MB": 1_000_000, "100 MB": 100_000_000}
REPEATS = 3
UPLOADS = ("s3:PutObject", "s3:UploadPart", "s3:CreateMultipartUpload")
OVERHEAD_TARGET_SECONDS = 1.0


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Run them after a small workflow, which loads all that there is to load."""
    with Stage(folder) as stage:
        say("warming up")
        stage.finish(stage.dispatch(writes_results(), 0))
        inputs, calls = _inputs(stage, folder, say)
        results, seconds = _results(stage, say)
    overhead = seconds["1 MB"] - seconds["none"]
    return Found(
        "files",
        [inputs, results],
        [
            Target("calls that upload, the second time", calls, 3),
            Target("result files of 1 MB, seconds more", overhead, OVERHEAD_TARGET_SECONDS),
        ],
        figures={"results_seconds": seconds, "second_upload_calls": calls},
    )


def _inputs(stage: Stage, folder: Path, say: Callable[[str], None]) -> tuple[Rows, int]:
    data = folder / "input.bin"
    data.write_bytes(os.urandom(INPUT_MB * 1_000_000))
    copy = folder / "elsewhere" / data.name
    copy.parent.mkdir()
    rows, uploads = [], 0
    for what, path, count in (
        ("first", data, 1),
        ("the same again", data, 1),
        ("an equal file elsewhere", copy, 1),
        (f"{SHARING} electrons share it", data, SHARING),
    ):
        if path == copy:
            copy.write_bytes(data.read_bytes())
        say(f"{INPUT_MB} MB of input data: {what}")
        stage.forget()
        seconds = _seconds(stage, reads_input(str(path)), count)
        counted = stage.counted("calls")
        uploads = sum(counted.get(name, 0) for name in UPLOADS)
        rows.append((what, seconds, uploads, counted.get("s3:ListObjectsV2", 0)))
    table = [[what, f"{took:.1f}", str(sent), str(listed)] for what, took, sent, listed in rows]
    columns = ["input data", "wall s", "calls that upload", "listings"]
    return Rows(f"{INPUT_MB} MB of input data", columns, table), rows[1][2]


def _results(stage: Stage, say: Callable[[str], None]) -> tuple[Rows, dict[str, float]]:
    seconds: dict[str, float] = {}
    for name, size in RESULT_SIZES.items():
        say(f"result files: {name}")
        took = [_seconds(stage, writes_results(), size) for _ in range(REPEATS)]
        seconds[name] = min(took)
    base = seconds["none"]
    table = [[name, f"{took:.2f}", f"{took - base:+.2f}"] for name, took in seconds.items()]
    columns = ["result files", "wall s, best of 3", "more"]
    return Rows("result files of one electron", columns, table), seconds


def _seconds(stage: Stage, flow: object, argument: int) -> float:
    start = time.monotonic()
    stage.finish(stage.dispatch(flow, argument))
    return time.monotonic() - start
