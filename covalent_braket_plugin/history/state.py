"""What a job is and how it stands: what Braket says of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from covalent_braket_plugin import failure
from covalent_braket_plugin.descriptions import (
    DEVICE_WANTED_TAG,
    NAME_TAG,
    Job,
    JobSummary,
    task_of,
)
from covalent_braket_plugin.errors import AwsError, JobNotEndedError, may_pass
from covalent_braket_plugin.history.lookup import id_of
from covalent_braket_plugin.job.hyperparameters import decode
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.settings.config_file import server_address

__all__ = ["JobState"]

FIRST_LOOK_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 10.0


class JobState:
    """What Braket said of a job last.

    Args:
        ctx: Settings and calls.
        job: What is known of it.
    """

    def __init__(self, ctx: Context, job: JobSummary) -> None:
        self._ctx = ctx
        self._job = job

    def __repr__(self) -> str:
        """Name it, its status and its id."""
        return f"<HybridJob {self.name} {self.status} {self.id}>"

    # --- what it is ------------------------------------------------------------------------------

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self._job.arn

    @property
    def id(self) -> str:
        """The last part of its ARN, a UUID."""
        return id_of(self._job)

    @property
    def name(self) -> str:
        """The name that `rename` gave it, else Braket's."""
        return self.tags.get(NAME_TAG) or self._job.name

    @property
    def braket_name(self) -> str:
        """Its name in Braket, which says function, dispatch, node and attempt."""
        return self._job.name

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return dict(self._job.tags)

    @property
    def dispatch_id(self) -> str:
        """The dispatch of its electron."""
        return self._task[0]

    @property
    def node_id(self) -> int:
        """The node of its electron; of a packed group, the first that is the user's own."""
        return self._task[1]

    @property
    def attempt(self) -> int:
        """Which attempt at the electron it is, counted from 1."""
        return self._task[2]

    @property
    def electron(self) -> str:
        """The electron's function name."""
        return self.tags.get("covalent:electron", "")

    @property
    def workflow(self) -> str:
        """The workflow's name; may be empty."""
        return self.tags.get("covalent:lattice", "")

    @property
    def device(self) -> str:
        """ARN of its quantum device, or ``local:...``."""
        return self._job.device

    @property
    def device_wanted(self) -> str:
        """The device that was wanted, if another one stood in for it; else empty."""
        return self.tags.get(DEVICE_WANTED_TAG, "")

    @property
    def instance_type(self) -> str:
        """What it runs on."""
        return self.description.instance_type

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What it was given, as `job.hyperparameters()` gives it to the electron."""
        return decode(self.description.hyperparameters)

    @property
    def is_local(self) -> bool:
        """Whether it is one of the local Braket, which has no console and charges nothing."""
        return self._ctx.settings.local

    @property
    def console_url(self) -> str:
        """Where the AWS console shows it; empty for a job of the local Braket, which has none."""
        return "" if self.is_local else failure.console_link(self.arn)

    def live_url(self, environ: Mapping[str, str]) -> str:
        """Where the Covalent server of this machine shows its electron, if it runs.

        Args:
            environ: Environment variables: they say where Covalent's configuration is.
        """
        host, port = server_address(environ)
        return f"http://{host}:{port}/braket/{self.dispatch_id}#node-{self.node_id}"

    # --- how it stands ---------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """QUEUED, RUNNING, COMPLETED, FAILED, CANCELLING or CANCELLED, when it was asked last."""
        return self._job.status

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self._job.ended

    @property
    def created_at(self) -> datetime | None:
        """When it was made, by the service's clock (UTC)."""
        return self._job.created_at

    @property
    def started_at(self) -> datetime | None:
        """When it began to run."""
        return self._job.started_at

    @property
    def ended_at(self) -> datetime | None:
        """When it ended."""
        return self._job.ended_at

    @property
    def billable_seconds(self) -> float | None:
        """For how long its instance is paid for; None as long as that is not known."""
        return self.description.billable_seconds

    def poll(self) -> str:
        """Ask Braket once how it stands, and say its status.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        self._job = self._ctx.jobs.describe(self.arn)
        return self.status

    def wait(self, timeout_sec: float | None = None) -> str:
        """Wait until it has ended, and say its status; that Braket does not answer may pass.

        Args:
            timeout_sec: For so many seconds at most; None: for as long as it takes.

        Raises:
            JobNotEndedError: It has not ended by then.
            AwsError: Braket refused.
        """
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        pause = FIRST_LOOK_SECONDS
        while not self.ended and not self._asked(last=_over(deadline)):
            if _over(deadline):
                raise JobNotEndedError(
                    f"{self.name} has not ended: it is {self.status}, and was waited for no longer "
                    f"than {timeout_sec:g} s."
                )
            left = pause if deadline is None else max(deadline - time.monotonic(), 0.0)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)
        return self.status

    def _asked(self, *, last: bool) -> bool:
        """Ask whether it has ended; no answer is one only if it is not asked again."""
        try:
            self.poll()
        except AwsError as error:
            if last or not may_pass(error):
                raise
        return self.ended

    # --- inside ----------------------------------------------------------------------------------

    @property
    def _task(self) -> tuple[str, int, int]:
        return task_of(self._job) or ("", -1, 0)

    @property
    def description(self) -> Job:
        """All that GetJob says of it; asked once, when it is needed.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        if not isinstance(self._job, Job):
            self.poll()
        assert isinstance(self._job, Job)
        return self._job

    def _require_end(self, what: str) -> None:
        """Ask once, unless it is known to have ended.

        Raises:
            JobNotEndedError: It has not ended.
            AwsError: Braket refused or did not answer.
        """
        if not self.ended:
            self.poll()
        if not self.ended:
            raise JobNotEndedError(f"{self.name} is {self.status}, and {what} until it has ended.")


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
