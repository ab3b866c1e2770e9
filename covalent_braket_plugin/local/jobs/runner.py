"""Runs one job to its end: prepares its directory, runs its program, keeps what it leaves."""

from __future__ import annotations

import logging
import signal
import threading
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from covalent_braket_plugin.local.aws_clients import AwsClients
from covalent_braket_plugin.local.jobs.images import Images, UnknownImage
from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_env import Layout, job_environment
from covalent_braket_plugin.local.jobs.job_files import JobTree
from covalent_braket_plugin.local.jobs.job_logs import LogShipper
from covalent_braket_plugin.local.jobs.job_state import EventType, Status
from covalent_braket_plugin.local.jobs.process import ChildProcess, exit_text
from covalent_braket_plugin.local.jobs.sandbox import launch_command
from covalent_braket_plugin.local.jobs.transfers import CheckpointSync, Transfers

__all__ = ["Runner", "RunnerOptions"]

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
KILL_WAIT_SECONDS = 10.0
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
        endpoint_url: Where the local Braket listens.
        grace_seconds: Time between SIGTERM and SIGKILL.
        keep_directories: Whether the directories stay when jobs have ended.
        namespaces: Whether to give jobs their own ``/opt/ml``, where the system allows it.
    """

    directory: Path
    endpoint_url: str
    grace_seconds: float = 5.0
    keep_directories: bool = False
    namespaces: bool = True


class Runner:
    """Runs jobs, each in the calling thread.

    Args:
        options: How jobs are run.
        images: Which command an image stands for.
        clients: Where AWS clients come from.
    """

    def __init__(self, options: RunnerOptions, images: Images, clients: AwsClients) -> None:
        self._options = options
        self._images = images
        self._clients = clients

    def run(self, job: Job, lock: threading.RLock) -> None:
        """Run a job to its end; its state changes only under the lock."""
        tree = JobTree(self._options.directory / job.uuid)
        try:
            _Run(job, lock, tree, self._options, self._images, self._clients).run()
        finally:
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
        images: Images,
        clients: AwsClients,
    ) -> None:
        self._job = job
        self._lock = lock
        self._tree = tree
        self._options = options
        self._images = images
        self._transfers = Transfers(clients, job, tree)
        self._checkpoints = CheckpointSync(self._transfers)
        self._logs = LogShipper(clients, job, tree.log)

    def run(self) -> None:
        try:
            child = self._start()
        except NotStarted as error:
            self._finish(End.EXITED, str(error))
            return
        if child is None:
            self._finish(End.CANCELLED, "")
            return
        end = self._watch(child)
        reason = "" if end is not End.EXITED else self._failure_reason(child.exit_code)
        self._finish(end, self._keep_results() or reason)

    def _start(self) -> ChildProcess | None:
        """Prepare and start the program; None if the job was cancelled meanwhile."""
        try:
            command = self._images.command(self._job)
            self._note(EventType.STARTING_INSTANCE)
            self._tree.make(self._job)
            self._note(EventType.DOWNLOADING_DATA)
            self._transfers.fetch()
            self._checkpoints.baseline()
            with self._lock:
                if self._job.cancel.is_set():
                    return None
                child = self._spawn(command)
                self._job.state.start()
                return child
        except UnknownImage as error:
            raise NotStarted(str(error)) from error
        except Exception as error:
            log.exception("job %s cannot start", self._job.arn)
            raise NotStarted(f"ClientError: {type(error).__name__}: {error}") from error

    def _spawn(self, command: tuple[str, ...]) -> ChildProcess:
        job, tree, url = self._job, self._tree, self._options.endpoint_url
        real = job_environment(job, Layout.real(job), url, tree.home)
        stand_in = job_environment(job, Layout.stand_in(job, tree), url, tree.home)
        differing = {name: value for name, value in stand_in.items() if real.get(name) != value}
        launch = launch_command(
            command,
            str(tree.root),
            tree.checkpoint_mount(job),
            differing,
            namespace=self._options.namespaces,
        )
        return ChildProcess(launch, real, tree.root, tree.log)

    def _watch(self, child: ChildProcess) -> End:
        deadline = time.monotonic() + self._job.time_limit_seconds
        while not child.wait(TICK_SECONDS):
            self._tick()
            if self._job.cancel.is_set():
                return self._stop(child, End.CANCELLED)
            if time.monotonic() >= deadline:
                return self._stop(child, End.TIMED_OUT)
        return self._stop(child, End.EXITED)

    def _stop(self, child: ChildProcess, end: End) -> End:
        """End what is left of the process group: asked first, killed after the grace time."""
        child.signal(signal.SIGTERM)
        deadline = time.monotonic() + self._options.grace_seconds
        while not child.wait(TICK_SECONDS) and time.monotonic() < deadline:
            self._tick()
        child.signal(signal.SIGKILL)
        if not child.wait(KILL_WAIT_SECONDS):
            log.error("process %s of job %s cannot be killed", child.pid, self._job.arn)
        return end

    def _tick(self) -> None:
        self._logs.ship()
        try:
            self._checkpoints.sync_if_due()
        except Exception:
            # A file may vanish between two looks; the last sync after the end has to succeed.
            log.warning("checkpoints of job %s not synced", self._job.arn, exc_info=True)

    def _keep_results(self) -> str:
        """Upload what the job left; returns why that failed, empty if it did not."""
        self._logs.close()
        self._note(EventType.UPLOADING_RESULTS)
        try:
            self._checkpoints.sync()
            self._transfers.keep()
        except Exception as error:
            log.exception("results of job %s cannot be kept", self._job.arn)
            return f"ClientError: results cannot be uploaded: {type(error).__name__}: {error}"
        return ""

    def _failure_reason(self, code: int) -> str:
        """Why the job failed, empty if it did not: its exit code or its failure file say so."""
        text = self._tree.failure_text(MAX_FAILURE_CHARACTERS) or exit_text(code)
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
