"""Measure what an electron costs the dispatcher; prints a table and writes JSON.

    make bench                          1, 20 and 100 electrons
    make bench ARGS="--sizes 1,5"       other sizes

A real Covalent server with a home of its own runs workflows of trivial, independent electrons,
once with `BraketExecutor(local=True)` on a local Braket and once with Covalent's own `local`
executor, which is the floor. CPU time and memory are those of the server's process alone (the
electrons run in other processes in both cases); calls are counted by the local Braket where they
arrive. Machines are noisy: compare the ratios within one run, not seconds between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from demo_server import DemoServer  # noqa: E402 (it lies beside the demo)

CPU_RATIO_TARGET = 1.6
BRAKET_CALLS_TARGET = 3.0
OTHER_CALLS_TARGET = 6.0
IMPORT_TARGET_SECONDS = 0.050
IMPORT_SAMPLES = 7
SETTLE_SECONDS = 1.0
INSIDE = "BENCH_FOLDER"


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


class Server:
    """The Covalent server and the local Braket under measurement."""

    def __init__(self, folder: Path) -> None:
        from covalent_braket_plugin import local_endpoint

        self.demo = DemoServer(folder)
        self.braket = local_endpoint.find_or_start(self.demo.local_braket)
        self.url = self.demo.find_or_start()
        state = json.loads((folder / "covalent-server.json").read_text())
        self.process = psutil.Process(state["pid"])

    def stop(self) -> None:
        """End both."""
        from covalent_braket_plugin.local import daemon

        self.demo.stop()
        daemon.stop(self.demo.local_braket)

    def calls(self) -> dict[str, int]:
        """Calls of the dispatcher since the last `forget`, by service and operation."""
        with urllib.request.urlopen(f"{self.braket['endpoint_url']}/_local/calls") as answer:
            counted: dict[str, dict[str, int]] = json.load(answer)
        return counted.get("dispatcher", {})

    def forget(self) -> None:
        """Start counting anew."""
        url = f"{self.braket['endpoint_url']}/_local/calls"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()

    def cpu_seconds(self) -> float:
        """CPU time of the server's own process so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @contextmanager
    def watching_memory(self) -> Iterator[list[float]]:
        """Keep the highest resident memory, in MB, as the list's only item."""
        peak, done = [0.0], threading.Event()

        def watch() -> None:
            while not done.wait(0.02):
                peak[0] = max(peak[0], self.process.memory_info().rss / 1e6)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield peak
        finally:
            done.set()
            watcher.join()


def measure(server: Server, executor: str, electrons: int) -> Sample:
    """Run one workflow."""
    import covalent as ct

    chosen = ct.executor.BraketExecutor(local=True) if executor == "braket" else executor

    @ct.electron(executor=chosen)  # type: ignore[untyped-decorator]
    def trivial(number: int) -> int:
        return number

    @ct.lattice  # type: ignore[untyped-decorator]
    def fan_out(count: int) -> None:
        for number in range(count):
            trivial(number)

    server.forget()
    cpu, start = server.cpu_seconds(), time.monotonic()
    with server.watching_memory() as peak:
        dispatch_id = ct.dispatch(fan_out, dispatcher_addr=server.url)(electrons)
        result = ct.get_result(dispatch_id, wait=True, dispatcher_addr=server.url)
        wall = time.monotonic() - start
        time.sleep(SETTLE_SECONDS)
    if str(result.status) != "COMPLETED":
        raise SystemExit(f"The workflow of {electrons} on {executor} failed: {result.error}")
    calls = server.calls()
    of_braket = sum(count for name, count in calls.items() if name.startswith("braket:"))
    others = sum(calls.values()) - of_braket
    return Sample(
        executor=executor,
        electrons=electrons,
        wall_seconds=round(wall, 3),
        cpu_seconds=round((server.cpu_seconds() - cpu) / electrons, 4),
        peak_mb=round(peak[0], 1),
        braket_calls=round(of_braket / electrons, 2),
        other_calls=round(others / electrons, 2),
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


def run(sizes: list[int], server: Server, progress: Progress) -> list[Sample]:
    """Measure all sizes, the floor beside each."""
    task = progress.add_task("warming up", total=2 * len(sizes) + 2)
    samples = []
    for executor in ("local", "braket"):
        measure(server, executor, 1)
        progress.advance(task)
    for electrons in sizes:
        for executor in ("local", "braket"):
            progress.update(task, description=f"{electrons} electrons on {executor}")
            samples.append(measure(server, executor, electrons))
            progress.advance(task)
    return samples


def table_of(samples: list[Sample]) -> Table:
    """Lay the samples out for people."""
    table = Table(title="What an electron costs the dispatcher")
    for name in ("n", "executor", "wall s", "CPU ms each", "x floor", "Braket calls each",
                 "other calls each", "peak MB"):  # fmt: skip
        table.add_column(name, justify="left" if name == "executor" else "right")
    floors = {one.electrons: one.cpu_seconds for one in samples if one.executor == "local"}
    for one in samples:
        braket = one.executor == "braket"
        ratio = one.cpu_seconds / floors[one.electrons] if floors[one.electrons] else 0.0
        table.add_row(
            str(one.electrons), one.executor, f"{one.wall_seconds:.1f}",
            f"{one.cpu_seconds * 1000:.0f}", f"{ratio:.2f}" if braket else "1",
            f"{one.braket_calls:.2f}" if braket else "", f"{one.other_calls:.2f}" if braket else "",
            f"{one.peak_mb:.0f}", end_section=braket,
        )  # fmt: skip
    return table


def verdicts(samples: list[Sample], importing: float) -> list[tuple[str, float, float]]:
    """The targets: what, found, allowed."""
    floors = {one.electrons: one.cpu_seconds for one in samples if one.executor == "local"}
    found = [("import of the plugin, seconds", importing, IMPORT_TARGET_SECONDS)]
    for one in samples:
        if one.executor == "local":
            continue
        of = f"at {one.electrons} electrons"
        found.append((f"Braket calls {of}", one.braket_calls, BRAKET_CALLS_TARGET))
        found.append((f"other AWS calls {of}", one.other_calls, OTHER_CALLS_TARGET))
        if one.electrons >= 20 and floors[one.electrons]:
            ratio = one.cpu_seconds / floors[one.electrons]
            found.append((f"CPU over the floor {of}", ratio, CPU_RATIO_TARGET))
    return found


def inside(folder: Path, sizes: list[int], target: Path) -> int:
    """Measure, in an environment that shares nothing with the user's Covalent."""
    console = Console()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task("starting Covalent and the local Braket")
        server = Server(folder)
        try:
            samples = run(sizes, server, progress)
        finally:
            server.stop()
    importing = import_seconds()
    console.print(table_of(samples))
    targets = verdicts(samples, importing)
    for what, found, allowed in targets:
        word = "[green]within[/green]" if found <= allowed else "[red]above[/red]"
        console.print(f"{what}: {found:.3g}, {word} {allowed:g}")
    report = {
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(),
                    "system": platform.platform()},
        "samples": [asdict(one) for one in samples],
        "import_seconds": importing,
        "targets": [{"what": w, "found": f, "allowed": a, "met": f <= a} for w, f, a in targets],
    }  # fmt: skip
    target.write_text(json.dumps(report, indent=1))
    console.print(f"Written to {target}")
    return 0


def main(arguments: list[str]) -> Any:
    """Read the arguments, and start anew in an environment of our own."""
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...", description="Measure what an electron costs the dispatcher."
    )
    parser.add_argument("--sizes", default="1,20,100", help="numbers of electrons, with commas")
    parser.add_argument("--json", default="bench.json", help="file for the figures")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.sizes.split(",")]
    target = Path(options.json).absolute()
    if INSIDE in os.environ:
        return inside(Path(os.environ[INSIDE]), sizes, target)
    with tempfile.TemporaryDirectory(prefix="covalent-braket-bench-") as folder:
        environment = DemoServer(Path(folder)).environment(os.environ)
        command = [sys.executable, "-m", "scripts.bench", *arguments]
        return subprocess.call(command, env={**environment, INSIDE: folder}, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
