"""The queue of jobs: so many run at once, a QPU runs one at a time, the others wait in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from covalent_braket_plugin.local.jobs.job import Job

__all__ = ["Slots"]


class Slots:
    """Starts queued jobs as places get free.

    Args:
        limit: Number of jobs that may run at once.
        run: Runs one job to its end; called in a thread of its own, must not raise.
        exclusive: Whether a device runs only one job at a time.
    """

    def __init__(
        self, limit: int, run: Callable[[Job], None], exclusive: Callable[[str], bool]
    ) -> None:
        self._limit = limit
        self._run = run
        self._exclusive = exclusive
        self._lock = threading.Lock()
        self._waiting: list[Job] = []
        self._running: dict[Job, threading.Thread] = {}
        self._closed = False

    def submit(self, job: Job) -> None:
        """Queue a job and start it as soon as there is a place."""
        with self._lock:
            self._waiting.append(job)
        self._fill()

    def withdraw(self, job: Job) -> bool:
        """Take a waiting job out of the queue; False if it is not (or no longer) waiting."""
        with self._lock:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            return True

    def position(self, job: Job) -> int | None:
        """Place in the queue, from 1, among those that wait for the same; None if not waiting."""
        with self._lock:
            if job not in self._waiting:
                return None
            rivals = [other for other in self._waiting if self._rivals(job, other)]
            return rivals.index(job) + 1

    def waiting(self, device: str) -> int:
        """How many jobs wait that were made for a device."""
        with self._lock:
            return sum(job.device == device for job in self._waiting)

    def close(self, timeout: float) -> None:
        """Start nothing any more and wait for what runs, at most so many seconds in all."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            threads = list(self._running.values())
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _rivals(self, job: Job, other: Job) -> bool:
        return not self._exclusive(job.device) or other.device == job.device

    def _fill(self) -> None:
        with self._lock:
            for job in [] if self._closed else list(self._waiting):
                if len(self._running) >= self._limit:
                    return
                if not self._busy(job):
                    self._begin(job)

    def _busy(self, job: Job) -> bool:
        return self._exclusive(job.device) and any(
            running.device == job.device for running in self._running
        )

    def _begin(self, job: Job) -> None:
        self._waiting.remove(job)
        # A job that hangs must not keep the process from ending.
        name = f"job-{job.uuid}"
        thread = threading.Thread(target=self._work, args=(job,), name=name, daemon=True)
        self._running[job] = thread
        thread.start()

    def _work(self, job: Job) -> None:
        try:
            self._run(job)
        finally:
            with self._lock:
                del self._running[job]
            self._fill()
