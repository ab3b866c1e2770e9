"""The Covalent server and the local Braket under measurement."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from demo_server import DemoServer  # noqa: E402 (it lies beside the demo)

PROBE = Path(__file__).parent / "probe"
LOOK_SECONDS = 0.2
NICE = 10
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}


class CaseError(Exception):
    """A case did not run as it should; the text says why."""


class ProbedServer(DemoServer):
    """Covalent's server, with the probe inside."""

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """As the demo's, with what makes Python load the probe."""
        usual = super().environment(inherited)
        return {**usual, "PYTHONPATH": str(PROBE), "BENCH_PROBE": str(self.folder)}


@dataclass
class Interval:
    """A span of time (``time.monotonic``) and what was seen in it."""

    start: float = 0.0
    end: float = 0.0
    base_mb: float = 0.0
    peak_mb: float = 0.0
    cpu_seconds: float = 0.0
    answers: dict[str, list[float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start


class Stage:
    """Both servers; use it as a context.

    Args:
        folder: Where all lies that belongs to them.
        options: How the local Braket is started; see its ``Options``.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.server = ProbedServer(folder)
        self._options = options

    def __enter__(self) -> Self:
        from covalent_braket_plugin import local_endpoint
        from covalent_braket_plugin.local import daemon

        self.braket = daemon.start(
            self.server.local_braket,
            worker=local_endpoint.worker_command(),
            worker_image=local_endpoint.worker_image(),
            **self._options,
        )
        # On AWS jobs run elsewhere: here they must not take the server's processors.
        psutil.Process(self.braket["pid"]).nice(NICE)
        self.url = self.server.find_or_start()
        state = json.loads((self.server.folder / "covalent-server.json").read_text())
        self.process = psutil.Process(state["pid"])
        return self

    def __exit__(self, *_: object) -> None:
        from covalent_braket_plugin.local import daemon

        self.server.stop()
        daemon.stop(self.server.local_braket)

    # --- the local Braket ------------------------------------------------------------------------

    def counted(self, what: str) -> dict[str, int]:
        """``calls`` of the dispatcher or ``answers`` to it, since the last `forget`."""
        counts: dict[str, dict[str, int]] = self._control("GET", what)
        return counts.get("dispatcher", {})

    def forget(self) -> None:
        """Start counting anew."""
        self._control("DELETE", "calls")
        self._control("DELETE", "answers")

    def _control(self, method: str, name: str) -> Any:
        request = urllib.request.Request(
            f"{self.braket['endpoint_url']}/_local/{name}", method=method
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs that were made."""
        import boto3

        braket = boto3.client(
            "braket",
            endpoint_url=self.braket["endpoint_url"],
            region_name=self.braket["region"],
            aws_access_key_id="bench",
            aws_secret_access_key="bench",
        )
        pages = braket.get_paginator("search_jobs").paginate(filters=[])
        return [job for page in pages for job in page["jobs"]]

    # --- Covalent --------------------------------------------------------------------------------

    def dispatch(self, workflow: Any, *args: Any) -> str:
        """Start a workflow; returns its id."""
        # Not before the server has run: it writes into the configuration that the client reads.
        import covalent as ct

        return str(ct.dispatch(workflow, dispatcher_addr=self.url)(*args))

    def status(self, dispatch_id: str) -> str:
        """A workflow's status, asked as Covalent's client asks."""
        url = f"{self.url}/api/v2/dispatches?dispatch_id={dispatch_id}&status_only=true"
        with urllib.request.urlopen(url) as answer:
            return str(json.load(answer)["dispatches"][0]["status"])

    def finish(self, dispatch_id: str) -> None:
        """Wait until a workflow has ended.

        Raises:
            CaseError: It did not end well.
        """
        while (status := self.status(dispatch_id)) not in ENDED:
            time.sleep(LOOK_SECONDS)
        if status != "COMPLETED":
            errors = self.errors(dispatch_id)
            first = next(iter(errors.values()), "no node says why")
            raise CaseError(f"The workflow ended {status}, {len(errors)} nodes failed: {first}")

    def errors(self, dispatch_id: str) -> dict[int, str]:
        """What the nodes of a workflow say that did not complete."""
        import covalent as ct

        result = ct.get_result(dispatch_id, dispatcher_addr=self.url)
        nodes = result.get_all_node_results()
        bad = [node for node in nodes if str(node["status"]) != "COMPLETED"]
        return {node["node_id"]: f"{node['status']}: {node['error']}" for node in bad}

    @contextmanager
    def measuring(self) -> Iterator[Interval]:
        """Measure the server's process from here to the end of the block."""
        seen = Interval(start=time.monotonic(), base_mb=self.process.memory_info().rss / 1e6)
        cpu = self._cpu_seconds()
        with repeated(0.02, lambda: self._look_at_memory(seen)):
            yield seen
        seen.end = time.monotonic()
        seen.cpu_seconds = self._cpu_seconds() - cpu

    def _look_at_memory(self, seen: Interval) -> None:
        seen.peak_mb = max(seen.peak_mb, self.process.memory_info().rss / 1e6)

    def _cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @contextmanager
    def asking(self, seen: Interval, *paths: str, every_seconds: float) -> Iterator[None]:
        """Ask the server for pages meanwhile; note how long each answer takes, in seconds."""

        def ask() -> None:
            for path in paths:
                start = time.monotonic()
                with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                    answer.read()
                seen.answers.setdefault(path, []).append(time.monotonic() - start)

        with repeated(every_seconds, ask):
            yield

    # --- the probe -------------------------------------------------------------------------------

    def lags(self, start: float, end: float) -> list[tuple[float, float]]:
        """How late the event loop's timer was within a span, in seconds, each time.

        Returns:
            How late, and how much of that its thread waited for a processor.
        """
        time.sleep(1.0)  # the probe writes twice a second
        lines = (self.server.folder / "lags").read_text().splitlines()
        rows = (tuple(map(float, line.split())) for line in lines)
        return [(lag, starved) for at, lag, starved in rows if start <= at <= end]

    def blockers(self) -> list[tuple[str, int]]:
        """What the loop was seen doing while it was late, the most frequent first."""
        found = json.loads((self.server.folder / "stacks.json").read_text())
        return [(str(stack), int(count)) for stack, count in found]


@contextmanager
def repeated(seconds: float, action: Any) -> Iterator[None]:
    """Repeat an action in a thread until the block ends."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(seconds):
            action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def environment(folder: Path) -> dict[str, str]:
    """The environment in which a case runs: it shares nothing with the user's Covalent."""
    return DemoServer(folder).environment(os.environ)
