"""Runs the cases of the benchmark, each in a process and an environment of its own."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from scripts.bench import report
from scripts.bench.stage import ROOT, CaseError, environment

INSIDE = "BENCH_CASE"
CASES = (
    "cost", "fan-out", "mass", "data", "watch", "logs", "files", "execute", "checkpoints",
)  # fmt: skip


def _run_inside(case: str, folder: Path, sizes: Sequence[int]) -> None:
    """Be one case; what it found is left in ``found.json``."""
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{case}: starting Covalent and the local Braket")
        try:
            found = _runner(case, sizes)(
                folder, lambda text: progress.update(task, description=f"{case}: {text}")
            )
        except CaseError as error:
            sys.exit(f"{case}: {error}")
    (folder / "found.json").write_text(found.to_json())


def _runner(
    case: str, sizes: Sequence[int]
) -> Callable[[Path, Callable[[str], None]], report.Found]:
    from scripts.bench import checkpoints, cost, data, execute, fan_out, files, logs, mass, watch

    runners: Mapping[str, Callable[[Path, Callable[[str], None]], report.Found]] = {
        "cost": lambda folder, say: cost.run(folder, sizes, say),
        "fan-out": fan_out.run,
        "mass": mass.run,
        "data": data.run,
        "watch": watch.run,
        "logs": logs.run,
        "files": files.run,
        "execute": execute.run,
        "checkpoints": checkpoints.run,
    }
    return runners[case]


def _run_apart(case: str, arguments: Sequence[str]) -> report.Found | None:
    """Run a case in a process of its own; None if it failed."""
    with tempfile.TemporaryDirectory(prefix="covalent-braket-bench-") as folder:
        place = Path(folder)
        command = [sys.executable, "-m", "scripts.bench", *arguments]
        inside = {**environment(place), INSIDE: f"{case}:{folder}"}
        if subprocess.call(command, env=inside, cwd=ROOT) != 0:
            return None
        return report.Found.from_json((place / "found.json").read_text())


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...", description="Measure what electrons cost Covalent's server."
    )
    parser.add_argument("--only", default=",".join(CASES), help="cases, with commas: %(default)s")
    parser.add_argument("--sizes", default="1,20,100", help="electrons of the case cost")
    parser.add_argument("--json", default="bench.json", help="file for the figures")
    options = parser.parse_args(arguments)
    options.cases = [case for case in options.only.split(",") if case]
    for case in options.cases:
        if case not in CASES:
            parser.error(f"there is no case {case!r}; there are {', '.join(CASES)}")
    options.sizes = [int(size) for size in options.sizes.split(",")]
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the cases that are asked for.

    Returns:
        Exit code: 0 if all cases ran, whether they met their targets or not.
    """
    options = _options(arguments)
    if INSIDE in os.environ:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers are stopped then too
        case, _, folder = os.environ[INSIDE].partition(":")
        _run_inside(case, Path(folder), options.sizes)
        return 0
    console = Console()
    everything = []
    for case in options.cases:
        found = _run_apart(case, arguments)
        if found is None:
            console.print(f"[red]The case {case} failed.[/red]")
            continue
        everything.append(found)
        report.say(console, found)
    report.write(Path(options.json).absolute(), everything)
    console.print(f"Written to {options.json}")
    return 0 if len(everything) == len(options.cases) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
