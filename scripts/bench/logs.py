"""Case `logs`: how soon what electrons print is in their stdout, and what following costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.report import Found, Rows, Target, percentile
from scripts.bench.stage import Interval, Stage, repeated
from scripts.bench.workflows import TICK, fan_out, talkers

JOBS = 3
SECONDS = 20
LOOK_SECONDS = 0.05
DELAY_TARGET_SECONDS = 5.0
CALLS_TARGET = 0.5
ALL_CALLS_TARGET = 2.0


class Reader:
    """Reads the stdout files of a dispatch's nodes, as Covalent's server keeps them.

    Args:
        dispatch_id: The dispatch.

    Attributes:
        late: For each line, how many seconds after it was printed it was in its file.
    """

    def __init__(self, dispatch_id: str) -> None:
        from covalent._shared_files.config import get_config

        self._folder = Path(str(get_config("dispatcher.results_dir"))) / dispatch_id
        self._sizes: dict[Path, int] = {}
        self._seen: set[str] = set()
        self.late: list[float] = []

    def look(self) -> None:
        """Read what has changed; a line counts once, however often its file is written."""
        for path in self._folder.glob("node_*/stdout*"):
            size = path.stat().st_size
            if self._sizes.get(path) != size:
                self._sizes[path] = size
                self._read(path.read_text(errors="replace"), time.time())

    def _read(self, text: str, now: float) -> None:
        for line in text.splitlines(keepends=True):
            if line.startswith(TICK) and line.endswith("\n") and line not in self._seen:
                self._seen.add(line)
                self.late.append(now - float(line.split()[-1]))

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look again and again until the block ends."""
        try:
            with repeated(LOOK_SECONDS, self.look):
                yield
        finally:
            self.look()


def measure(stage: Stage, *, aloud: bool) -> tuple[Interval, Reader, int]:
    """Run the jobs; returns the time they took, what was read, and the calls for logs."""
    stage.forget()
    with stage.measuring() as seen:
        dispatch_id = stage.dispatch(talkers(), JOBS, SECONDS if aloud else 0, SECONDS)
        reader = Reader(dispatch_id)
        with reader.looking():
            stage.finish(dispatch_id)
    calls = stage.counted("calls")
    return seen, reader, sum(n for name, n in calls.items() if name.startswith("logs:"))


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Run the same jobs twice: silent, and printing each second."""
    with Stage(folder, slots=JOBS) as stage:
        say("warming up")
        stage.finish(stage.dispatch(fan_out("braket"), 1, 0.0))
        say(f"{JOBS} jobs of {SECONDS} s that print nothing")
        silent, _, silent_calls = measure(stage, aloud=False)
        say(f"{JOBS} jobs of {SECONDS} s that print each second")
        aloud, reader, calls = measure(stage, aloud=True)
    late = [percentile(reader.late, 0.5), percentile(reader.late, 0.99)]
    rate = calls / aloud.seconds
    columns = ["jobs", "wall s", "server CPU s", "logs calls", "a second", "lines", "late s p50",
               "p99"]  # fmt: skip
    rows = [
        ["silent", f"{silent.seconds:.1f}", f"{silent.cpu_seconds:.1f}", str(silent_calls),
         f"{silent_calls / silent.seconds:.2f}", "0", "", ""],
        ["printing", f"{aloud.seconds:.1f}", f"{aloud.cpu_seconds:.1f}", str(calls), f"{rate:.2f}",
         str(len(reader.late)), *(f"{each:.2f}" for each in late)],
    ]  # fmt: skip
    return Found(
        "logs",
        [Rows(f"{JOBS} jobs of {SECONDS} s, followed", columns, rows)],
        [
            Target("from print to the node's stdout, s, 99th percentile", late[1],
                   DELAY_TARGET_SECONDS),
            Target("lines that never came", JOBS * SECONDS - len(reader.late), 0),
            Target("logs calls a second and job", rate / JOBS, CALLS_TARGET),
            Target("logs calls a second", rate, ALL_CALLS_TARGET),
        ],
        figures={
            "late_seconds": late,
            "calls": {"silent": silent_calls, "printing": calls},
            "cpu_seconds": {"silent": silent.cpu_seconds, "printing": aloud.cpu_seconds},
        },
    )  # fmt: skip
