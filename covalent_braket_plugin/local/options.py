"""What can be chosen when a local Braket is started, and how it is said on a command line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covalent_braket_plugin.local.quotas import Quotas, chosen

__all__ = ["RUNNERS", "Options"]

MIN_SLOTS = 2
RUNNERS = ("processes", "docker")
"""What jobs can run in."""


@dataclass(frozen=True)
class Options:
    """How a local Braket serves.

    Attributes:
        state_dir: Its state directory.
        worker: Command line of the container program that the worker image stands for.
        worker_image: Repository and tag of that image.
        port: Port to listen on; 0 picks a free one.
        slots: Jobs that run at once; 0 for one per processor, at least two.
        quotas: Which quotas to enforce: ``none``, or ``default``, those of a new account on AWS.
        max_concurrent_jobs: Unfinished jobs that CreateJob allows, 0 for no limit; None leaves it
            to ``quotas``.
        rate_limits: Whether to enforce the service's request rates; None leaves it to ``quotas``.
        grace_seconds: Time between SIGTERM and SIGKILL of a job.
        keep_job_dirs: Whether the directories of ended jobs stay.
        runner: What jobs run in: ``processes``, or ``docker``, containers of those images that the
            engine of this machine has.
        namespaces: Whether jobs get their own ``/opt/ml`` where the system allows it.
    """

    state_dir: Path
    worker: tuple[str, ...] = ()
    worker_image: str = "covalent-braket-worker:none"
    port: int = 0
    slots: int = 0
    quotas: str = "none"
    max_concurrent_jobs: int | None = None
    rate_limits: bool | None = None
    grace_seconds: float = 5.0
    keep_job_dirs: bool = False
    runner: str = "processes"
    namespaces: bool = True

    @property
    def running_jobs(self) -> int:
        """Number of jobs that run at once."""
        return self.slots or max(MIN_SLOTS, os.cpu_count() or 1)

    def enforced_quotas(self) -> Quotas:
        """The quotas that these options ask for."""
        return chosen(self.quotas, self.max_concurrent_jobs, self.rate_limits)

    def arguments(self) -> Sequence[str]:
        """The arguments of ``serve`` and ``start`` that say the same."""
        values: dict[str, object] = {
            "--state-dir": self.state_dir,
            "--worker": json.dumps(self.worker),
            "--worker-image": self.worker_image,
            "--port": self.port,
            "--slots": self.slots,
            "--quotas": self.quotas,
            "--max-concurrent-jobs": self.max_concurrent_jobs,
            "--grace": self.grace_seconds,
            "--runner": self.runner,
        }
        flags = {
            "--rate-limits": self.rate_limits is True,
            "--no-rate-limits": self.rate_limits is False,
            "--keep-job-dirs": self.keep_job_dirs,
            "--no-namespaces": not self.namespaces,
        }
        said = [str(part) for pair in values.items() if pair[1] is not None for part in pair]
        return [*said, *(flag for flag, given in flags.items() if given)]
