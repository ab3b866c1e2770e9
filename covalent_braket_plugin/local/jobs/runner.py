"""Runs one job to its end: prepares its directory, runs its program, keeps what it leaves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from covalent_braket_plugin.local.aws_clients import AwsClients, HaltedTransfer
from covalent_braket_plugin.local.jobs.background import Repeated
from covalent_braket_plugin.local.jobs.checkpoints import CheckpointSync
from covalent_braket_plugin.local.jobs.images import UnknownImage
from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_files import JobTree
from covalent_braket_plugin.local.jobs.job_logs import LogShipper
from covalent_braket_plugin.local.jobs.job_state import EventType, Status
from covalent_braket_plugin.local.jobs.launcher import Launcher
from covalent_braket_plugin.local.jobs.process import ChildProcess, exit_text
from covalent_braket_plugin.local.jobs.transfers import Transfers

__all__ = ["Runner", "RunnerOptions"]

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
KILL_WAIT_SECONDS = 10.0
CLOSE_KILL_SECONDS = 3.0
SHIP_SECONDS = 0.25
SYNC_SECONDS = 2.0
HUNG_SYNC_SECONDS = 30.0

# How long the log of an ended job may still be sent: of one that was stopped, hardly.
LOG_SECONDS = {True: 30.0, False: 1.0}
MAX_FAILURE_CHARACTERS = 1024


class End(Enum):
    """Why a program runs no more."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


class NotStarted(Exception):
    """The job cannot be started; the text becomes its failure reason."""


@dataclass(frozen=True)
class RunnerOptions:
    """How jobs are run.

    Attributes:
        directory: Where the jobs' directories are made.
        grace_seconds: Time between SIGTERM and SIGKILL.
        keep_directories: Whether the directories stay when jobs have ended.
    """

    directory: Path
    grace_seconds: float = 5.0
    keep_directories: bool = False


class Runner:
    """Runs jobs, each in the calling thread.

    Args:
        options: How jobs are run.
        launcher: Starts their programs.
        clients: Where AWS clients come from.
        cancel_tasks: Called with the ARN of each job that has ended.
    """

    def __init__(
        self,
        options: RunnerOptions,
        launcher: Launcher,
        clients: AwsClients,
        cancel_tasks: Callable[[str], None],
    ) -> None:
        self._options = options
        self._launcher = launcher
        self._clients = clients
        self._cancel_tasks = cancel_tasks
        self._running: dict[str, _Run] = {}

    def run(self, job: Job, lock: threading.RLock) -> None:
        """Run a job to its end; its state changes only under the lock."""
        tree = JobTree(self._options.directory / job.uuid)
        run = _Run(job, lock, tree, self._options, self._launcher, self._clients)
        self._running[job.arn] = run
        try:
            run.run(partial(self._end_tasks, job))
        finally:
            self._remove(tree)
            del self._running[job.arn]

    def close(self) -> None:
        """End the processes of all jobs that still run, without a word, and remove their files."""
        for run in list(self._running.values()):
            run.kill()
            self._remove(run.tree)
        self._launcher.sweep()

    def _end_tasks(self, job: Job) -> None:
        try:
            self._cancel_tasks(job.arn)
        except Exception:
            log.exception("quantum tasks of job %s cannot be cancelled", job.arn)

    def _remove(self, tree: JobTree) -> None:
        if not self._options.keep_directories:
            tree.remove()


class _Run:
    """One job's way from the queue to its end."""

    def __init__(
        self,
        job: Job,
        lock: threading.RLock,
        tree: JobTree,
        options: RunnerOptions,
        launcher: Launcher,
        clients: AwsClients,
    ) -> None:
        self._job = job
        self._lock = lock
        self.tree = tree
        self._options = options
        self._launcher = launcher
        self._child: ChildProcess | None = None
        self._transfers = Transfers(clients, job, tree)
        self._checkpoints = CheckpointSync(self._transfers, tree.staging)
        self._logs = LogShipper(clients, job, tree.log)

    def run(self, at_end: Callable[[], None]) -> None:
        """Run it; what is called at its end comes before its last status."""
        try:
            child = self._start()
        except NotStarted as error:
            self._finish(End.EXITED, str(error))
            return
        if child is None:
            self._finish(End.CANCELLED, "")
            return
        end = self._watch_with_helpers(child)
        reason = "" if end is not End.EXITED else self._failure_reason(child.exit_code)
        at_end()
        self._logs.close(LOG_SECONDS[end is End.EXITED])
        lost = self._keep_results()
        # Why the job failed matters more than what could not be kept of it.
        self._finish(end, reason or lost)

    def kill(self) -> None:
        """End all its processes."""
        if self._child is not None and not self._child.kill(CLOSE_KILL_SECONDS):
            log.error("process %s of job %s cannot be killed", self._child.pid, self._job.arn)

    def _start(self) -> ChildProcess | None:
        """Prepare and start the program; None if the job was cancelled meanwhile."""
        try:
            start = self._launcher.program(self._job)
            self._note(EventType.STARTING_INSTANCE)
            self.tree.make(self._job)
            self._note(EventType.DOWNLOADING_DATA)
            self._transfers.fetch()
            self._checkpoints.baseline()
            with self._lock:
                if self._job.cancel.is_set():
                    return None
                self._child = start(self.tree)
                self._job.state.start()
                return self._child
        except HaltedTransfer:
            return None
        except UnknownImage as error:
            raise NotStarted(str(error)) from error
        except Exception as error:
            log.exception("job %s cannot start", self._job.arn)
            raise NotStarted(f"ClientError: {type(error).__name__}: {error}") from error

    def _watch_with_helpers(self, child: ChildProcess) -> End:
        """Watch it, while others ship its log and its checkpoints: those may have to wait."""
        helpers = [Repeated(f"log of {self._job.name}", self._logs.ship, SHIP_SECONDS)]
        if self._transfers.checkpoint_directory is not None:
            name = f"checkpoints of {self._job.name}"
            helpers.append(Repeated(name, self._checkpoints.sync, SYNC_SECONDS))
        try:
            return self._watch(child)
        finally:
            for helper in helpers:
                helper.stop()

    def _watch(self, child: ChildProcess) -> End:
        deadline = time.monotonic() + self._job.time_limit_seconds
        while not self._ended(child):
            if self._job.cancel.is_set():
                return self._stop(child, End.CANCELLED)
            if time.monotonic() >= deadline:
                return self._stop(child, End.TIMED_OUT)
        return End.EXITED

    def _stop(self, child: ChildProcess, end: End) -> End:
        """End the job's processes: asked first, killed after the grace time."""
        child.ask()
        deadline = time.monotonic() + self._options.grace_seconds
        while not self._ended(child):
            if time.monotonic() >= deadline:
                if not child.kill(KILL_WAIT_SECONDS):
                    log.error("process %s of job %s cannot be killed", child.pid, self._job.arn)
                break
        return end

    def _ended(self, child: ChildProcess) -> bool:
        """Whether it has ended; waits for that for a moment."""
        self._logs.bound()
        return child.wait(TICK_SECONDS)

    def _keep_results(self) -> str:
        """Upload what the job left; returns why that failed, empty if it did not."""
        self._note(EventType.UPLOADING_RESULTS)
        failures = []
        for keep in (partial(self._checkpoints.finish, HUNG_SYNC_SECONDS), self._transfers.keep):
            try:
                keep()
            except Exception as error:
                log.exception("results of job %s cannot be kept", self._job.arn)
                failures.append(f"{type(error).__name__}: {error}")
        return f"ClientError: results cannot be uploaded: {failures[0]}" if failures else ""

    def _failure_reason(self, code: int) -> str:
        """Why the job failed, empty if it did not: its exit code or its failure file say so."""
        text = self.tree.failure_text(MAX_FAILURE_CHARACTERS) or exit_text(code)
        if code == 0:
            return f"AlgorithmError: {text}" if text else ""
        # A shell's convention: what a signal ended counts as 128 + its number.
        shown = code if code > 0 else 128 - code
        tail = f", exit code: {shown}"
        return f"AlgorithmError: {text}"[: MAX_FAILURE_CHARACTERS - len(tail)] + tail

    def _note(self, event: EventType) -> None:
        with self._lock:
            self._job.state.note(event)

    def _finish(self, end: End, reason: str) -> None:
        state = self._job.state
        with self._lock:
            if state.status is Status.CANCELLING or end is End.CANCELLED:
                state.request_cancel()
                state.cancelled()
            elif end is End.TIMED_OUT:
                state.time_out(self._job.time_limit_seconds)
            elif reason:
                state.fail(reason)
            else:
                state.complete()
