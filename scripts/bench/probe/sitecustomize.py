"""Runs inside the benchmark's own Covalent server: records how late its event loop is.

Python imports this module at its start because its folder is on PYTHONPATH. It does nothing unless
the process is Covalent's server. A timer of 10 ms on the event loop notes how late it comes, and
how long its thread waited meanwhile for a processor that others had; while it is late, a thread
notes what the loop's thread is doing. Both end up in files, on a clock that all processes of the
machine share (``time.monotonic``).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

TICK_SECONDS = 0.010
LOOK_SECONDS = 0.020
LATE_SECONDS = 0.030
WRITE_SECONDS = 0.5
FRAMES = 14


class Probe:
    """Watches one event loop.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lags: list[tuple[float, float, float]] = []
        self._stacks: Counter[str] = Counter()
        self._thread = threading.get_ident()
        self._due = time.monotonic()
        try:
            self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:  # not every system says it
            self._schedstat = -1

    async def tick(self) -> None:
        """Note for ever how late the loop is."""
        while True:
            starved = self._starved()
            self._due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            lag = max(0.0, now - self._due)
            self._lags.append((now, lag, min(lag, self._starved() - starved)))

    def _starved(self) -> float:
        """Seconds that this thread has waited for a processor so far; the kernel counts them."""
        if self._schedstat < 0:
            return 0.0
        return int(os.pread(self._schedstat, 100, 0).split()[1]) / 1e9

    def watch(self) -> None:
        """Note for ever what the loop does while it is late; write all down now and then."""
        written = time.monotonic()
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if now - self._due > LATE_SECONDS:
                self._stacks[_stack(sys._current_frames()[self._thread])] += 1
            if now - written > WRITE_SECONDS:
                written = now
                self._write()

    def _write(self) -> None:
        lags, self._lags = self._lags, []
        with (self._folder / "lags").open("a") as file:
            file.writelines(f"{at:.6f} {lag:.6f} {starved:.6f}\n" for at, lag, starved in lags)
        text = json.dumps(self._stacks.most_common(40))
        (self._folder / "stacks.new").write_text(text)
        (self._folder / "stacks.new").rename(self._folder / "stacks.json")


def _stack(frame: FrameType | None) -> str:
    """Name the innermost frames, the innermost first."""
    names: list[str] = []
    while frame is not None and len(names) < FRAMES:
        code = frame.f_code
        file = "/".join(Path(code.co_filename).parts[-2:])
        names.append(f"{file}:{code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(names)


def _install(folder: Path) -> None:
    import uvicorn

    serve = uvicorn.Server.serve

    async def probed(self: uvicorn.Server, *args: Any, **kwargs: Any) -> None:
        probe = Probe(folder)
        threading.Thread(target=probe.watch, name="bench-probe", daemon=True).start()
        ticking = asyncio.ensure_future(probe.tick())
        try:
            await serve(self, *args, **kwargs)
        finally:
            ticking.cancel()

    uvicorn.Server.serve = probed  # type: ignore[method-assign]


if "BENCH_PROBE" in os.environ and any(word.endswith("app.py") for word in sys.orig_argv):
    _install(Path(os.environ["BENCH_PROBE"]))
