"""Runs circuits on Braket's default simulators, in child processes that stay up.

Importing the simulators takes seconds and running them holds the interpreter, so neither happens
in the server. Each child is asked over a pipe and answers one request after the other. A child
that dies fails the one circuit that it ran; the next circuit gets a new child.

Children are started one by one, when work waits and nobody is free: a job that sends one circuit
after the other never pays for a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["Reply", "SimulatorCrashed", "Simulators"]

# With -P: a `braket.py` in the current directory would hide the Braket SDK.
PROGRAM = "covalent_braket_plugin.local.quantum.simulate"
START_SECONDS = 120.0
STOP_SECONDS = 5.0

Request = dict[str, Any]


class SimulatorCrashed(Exception):
    """The process that ran the circuit ended before it answered."""


@dataclass(frozen=True)
class Reply:
    """What a simulator answered.

    Attributes:
        error: Why the circuit failed; None if it did not.
        successful_shots: Shots that have a result.
        body: Content of ``results.json``; may be empty if it failed.
    """

    error: str | None
    successful_shots: int
    body: bytes


@dataclass
class _Work:
    request: Request
    future: Future[Reply]
    on_start: Callable[[], None]
    stopped: bool = False


class Simulators:
    """A pool of simulator processes. Safe to share among threads.

    Args:
        size: Most processes at a time; None: one per core, at least 2 and at most 4.
        command: Program to run instead of the simulators' own, for tests.
    """

    def __init__(self, size: int | None = None, command: Sequence[str] | None = None) -> None:
        self._size = size or min(4, max(2, os.cpu_count() or 1))
        self._command = list(command or (sys.executable, "-P", "-m", PROGRAM))
        self._changed = threading.Condition()
        self._waiting: deque[_Work] = deque()
        self._running: dict[Future[Reply], tuple[_Work, _Child]] = {}
        self._threads: list[threading.Thread] = []
        self._children: list[_Child] = []
        self._busy = 0
        self._closed = False
        self._properties: dict[str, dict[str, Any]] = {}
        self._broken = ""

    def warm_up(self) -> None:
        """Start the first process in the background, if none runs."""
        with self._changed:
            if not self._threads and not self._closed:
                self._add_thread()

    def submit(
        self, request: Request, on_start: Callable[[], None] = lambda: None
    ) -> Future[Reply]:
        """Queue a request.

        Args:
            request: What `covalent_braket_plugin.local.quantum.simulate` understands.
            on_start: Called when a process takes it up.

        Returns:
            Ends with the reply, or with `SimulatorCrashed`. While it waits it can be cancelled.
        """
        work = _Work(request, Future(), on_start)
        with self._changed:
            if self._closed:
                raise SimulatorCrashed("The simulators are closed")
            self._waiting.append(work)
            wanted = len(self._waiting) + self._busy
            if len(self._threads) < min(wanted, self._size):
                self._add_thread()
            self._changed.notify()
        return work.future

    def stop(self, future: Future[Reply]) -> None:
        """End a request: drop it while it waits, else end the process that runs it."""
        # Not under the lock: cancelling calls the future's callbacks.
        if future.cancel():
            return
        with self._changed:
            work, child = self._running.get(future, (None, None))
            if work is not None:
                work.stopped = True
        if child is not None:
            child.kill()

    def properties(self, simulator: str) -> dict[str, Any]:
        """The capabilities that a default simulator states for itself, as JSON data.

        They are learnt when the first process starts, so that they never wait behind a circuit.

        Raises:
            SimulatorCrashed: The simulators do not start; the package may be missing.
        """
        self.warm_up()
        with self._changed:
            self._changed.wait_for(self._learnt, START_SECONDS)
            if simulator not in self._properties:
                raise SimulatorCrashed(self._broken or "The simulators do not start")
            return self._properties[simulator]

    def close(self) -> None:
        """End all processes; what waits is cancelled."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
        for work in waiting:
            work.future.cancel()
        for child in self._children:
            child.kill()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _add_thread(self) -> None:
        name = f"simulator-{len(self._threads)}"
        child = _Child(self._command)
        thread = threading.Thread(target=self._serve, args=(child,), name=name, daemon=True)
        self._children.append(child)
        self._threads.append(thread)
        thread.start()

    def _serve(self, child: _Child) -> None:
        # Whoever is first to have imported everything takes the next circuit. A process that
        # cannot start says so again when a circuit asks for it.
        try:
            self._learn(child.ask({"do": "warm_up"}))
        except SimulatorCrashed as error:
            self._learn(Reply(str(error), 0, b"{}"))
        while (work := self._next()) is not None:
            if self._claim(child, work):
                self._run(child, work)
            with self._changed:
                self._busy -= 1
        child.end()

    def _learnt(self) -> bool:
        return bool(self._properties or self._broken or self._closed)

    def _learn(self, warm: Reply) -> None:
        with self._changed:
            self._broken = warm.error or ""
            self._properties = self._properties or json.loads(warm.body or b"{}")
            self._changed.notify_all()

    def _next(self) -> _Work | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            self._busy += 1
            return self._waiting.popleft()

    def _claim(self, child: _Child, work: _Work) -> bool:
        """Take a piece of work up, unless it was cancelled."""
        # In one step: what can no longer be cancelled can be stopped.
        with self._changed:
            claimed = work.future.set_running_or_notify_cancel()
            if claimed:
                self._running[work.future] = (work, child)
            return claimed

    def _run(self, child: _Child, work: _Work) -> None:
        try:
            work.on_start()
            reply = child.ask(work.request, lambda: work.stopped)
        except BaseException as error:
            self._forget(work)
            work.future.set_exception(error)
        else:
            self._forget(work)
            work.future.set_result(reply)

    def _forget(self, work: _Work) -> None:
        # Before the future ends, so that a late `stop` cannot end the process under the next one.
        with self._changed:
            self._running.pop(work.future, None)


class _Child:
    """One simulator process; started when first asked, and again after it died."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._killed = False
        self._ended = False

    def ask(self, request: Request, stopped: Callable[[], bool] = lambda: False) -> Reply:
        process = self._started(stopped)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            return _read_reply(process.stdout)
        except (OSError, EOFError, ValueError):
            raise SimulatorCrashed(self._epitaph(process)) from None

    def kill(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._killed = True

    def end(self) -> None:
        """Let it go for good."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()
                _reap(self._process)

    def _started(self, stopped: Callable[[], bool]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise SimulatorCrashed("The simulators are closed")
            if stopped():
                # The process has been killed for it already, or will be: it gets no new one.
                raise SimulatorCrashed("The circuit was stopped before it began")
            # A process that was killed may still seem to live for a moment.
            if self._process is None or self._killed or self._process.poll() is not None:
                if self._process is not None:
                    _reap(self._process)
                self._process = self._start()
                self._killed = False
            return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(),
            )
        except OSError as error:
            raise SimulatorCrashed(f"The simulator does not start: {error}") from error

    def _epitaph(self, process: subprocess.Popen[bytes]) -> str:
        process.kill()
        code = process.wait(STOP_SECONDS)
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"The simulator process {how}"


def _read_reply(stream: IO[bytes]) -> Reply:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    body = stream.read(head["length"])
    if len(body) != head["length"]:
        raise EOFError
    return Reply(head["error"], head["successful_shots"], body)


def _reap(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)


def _environment() -> dict[str, str]:
    """The server's environment, with this package importable from any directory."""
    root = str(Path(__file__).resolve().parents[3])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # Circuits that people try locally are small: threads inside of one only cost.
    threads = {name: os.environ.get(name, "1") for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)}
