"""One job: what became of it, what it said, what it returned."""

from __future__ import annotations

import asyncio
import tempfile
import time
import webbrowser
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from covalent_braket_plugin import collecting, failure
from covalent_braket_plugin.descriptions import NAME_TAG, Job, JobSummary, task_of
from covalent_braket_plugin.errors import (
    AwsError,
    IntegrityError,
    JobCancelledError,
    JobFailedError,
    JobNotEndedError,
    NoOutcomeError,
    SettingError,
    may_pass,
)
from covalent_braket_plugin.history import following, values
from covalent_braket_plugin.history.lookup import id_of
from covalent_braket_plugin.monitoring import metrics
from covalent_braket_plugin.monitoring.lines import Metric
from covalent_braket_plugin.monitoring.logs import Line
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.protocol import Outcome
from covalent_braket_plugin.settings.rules import tag_character

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HybridJob"]

T = TypeVar("T")

FIRST_LOOK_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 10.0
TAG_VALUE_CHARACTERS = 256


class HybridJob:
    """A Hybrid Job that an electron ran as; `History` finds it.

    What it says of the job is what Braket said last; `poll` asks again.

    Args:
        ctx: Settings and calls.
        job: What is known of it.
    """

    def __init__(self, ctx: Context, job: JobSummary) -> None:
        self._ctx = ctx
        self._job = job
        self._ending: tuple[Outcome | None, IntegrityError | None] | None = None

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
    def instance_type(self) -> str:
        """What it runs on."""
        return self._described.instance_type

    @property
    def console_url(self) -> str:
        """Where the AWS console shows it; empty for a job of the local Braket, which has none."""
        return "" if self._ctx.settings.local else failure.console_link(self.arn)

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
        return self._described.billable_seconds

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
                    f"{self.name} has not ended: it is {self.status}. Wait longer (timeout_sec="
                    f"{timeout_sec:g} was given), or ask again later: poll(), result()."
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

    # --- what it left ----------------------------------------------------------------------------

    def result(self, timeout_sec: float | None = None) -> Any:
        """Give what the electron returned, once the job has ended.

        It comes from S3 while it is there, where its digest is checked, else from Covalent's
        records on this machine. It is unpickled, as Covalent's own ``get_result`` does: that runs
        whatever code the job put there. So ask only for results of jobs that you would run.

        Args:
            timeout_sec: Wait for so many seconds at most; 0: ask once; None: wait until it ends.

        Raises:
            JobNotEndedError: It has not ended by then.
            JobFailedError: It failed; the text is its report.
            JobCancelledError: It was cancelled.
            ResultGoneError: It is not there any more.
            VersionMismatchError: This Python cannot load it.
            IntegrityError: What is there is not what the job left.
            AwsError: AWS refused or did not answer.
        """
        self.wait(timeout_sec)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "value.tobj")
            self.save_value(file)
            return values.load(file, self.name)

    def save_value(self, target: Path) -> None:
        """Write what the electron returned to a file in Covalent's format; unpickles nothing.

        Raises:
            JobNotEndedError: The job has not ended.
            JobFailedError: It failed, or was cancelled.
            ResultGoneError: It is not there any more.
            IntegrityError: What is there is not what the job left.
            AwsError: AWS refused or did not answer.
        """
        self._require_end("has returned nothing")
        if self.status == "CANCELLED":
            raise JobCancelledError(self.report())
        if self._failed:
            raise JobFailedError(self.report())
        values.fetch(self._ctx, self._described, self._left[0], target)

    def report(self) -> str:
        """Say what became of it: if it failed, in the words that Covalent shows with the electron.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        if not self.ended:
            return failure.standing(self._described, None)
        outcome, problem = self._left
        if self._failed:
            return failure.report(self._described, outcome, name=self.electron, problem=problem)
        gone = "" if outcome else "Record: not in S3; it was deleted, or the job left none.\n"
        return failure.standing(self._described, outcome) + gone

    def logs(self, follow: bool = False) -> Iterator[str]:
        """Read its log, line by line: what it is up to now.

        Args:
            follow: Go on until the job has ended, and all of it is read.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        return (line.text for line in self._lines(follow))

    def metrics(self) -> pd.DataFrame:
        """Read the metrics that its code logged up to now, in the order of its log.

        Code logs them with ``braket.jobs.metrics.log_metric``.

        Returns:
            A row for each value: ``metric``, ``value``, ``iteration_number`` (``<NA>`` if the code
            said none), ``timestamp`` (UTC). `metrics.wide` puts metrics side by side.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        return metrics.frame_of(self.each_metric())

    def each_metric(self, follow: bool = False) -> Iterator[Metric]:
        """Go through the values of its metrics, in the order of its log.

        Args:
            follow: Go on until the job has ended, and all of its log is read.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        return metrics.metrics_of(self._lines(follow))

    # --- what can be done with it ----------------------------------------------------------------

    def cancel(self) -> bool:
        """Cancel it and the quantum tasks that it left open; waits for up to a minute for its end.

        Returns:
            Whether it ends, or has ended, CANCELLED; not if it ended otherwise before.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        from covalent_braket_plugin.cancelling import cancel_now

        accepted = _run(cancel_now(self._make_context, self.arn))
        self.poll()
        return accepted

    def rename(self, name: str) -> None:
        """Give it another name: a tag, `NAME_TAG`, since Braket does not rename jobs.

        Args:
            name: What AWS takes as a tag: up to 256 letters, digits, spaces and ``_.:/=+-@``.

        Raises:
            SettingError: AWS would not take it.
            AwsError: Braket refused or did not answer.
        """
        text = name.strip()
        rule = f"a tag's value has 1 to {TAG_VALUE_CHARACTERS} letters, digits, spaces and _.:/=+-@"
        if not 0 < len(text) <= TAG_VALUE_CHARACTERS or not all(map(tag_character, text)):
            raise SettingError("name", name, rule, "Leave other characters out.")
        self._ctx.jobs.tag(self.arn, {NAME_TAG: text})
        self.poll()

    def delete(self) -> list[str]:
        """Delete what it has in S3: payload, value, record, streams and result files.

        Braket keeps the job itself, and its log; results of its quantum tasks stay too.

        Returns:
            The S3 URIs of what was deleted; none if nothing was there any more.

        Raises:
            JobNotEndedError: It has not ended, and still needs them.
            IntegrityError: It names another place than its own.
            AwsError: AWS refused or did not answer.
        """
        if not self.ended:
            self.poll()
        self._require_end("needs what it has in S3")
        keys = self._described.keys
        own = f"{self.dispatch_id}/node-{self.node_id}/attempt-{self.attempt}"
        if f"/{keys.base}".removesuffix(f"/{own}") == f"/{keys.base}":
            raise IntegrityError(
                f"{self.name} says that its objects are at {keys.uri(keys.base)}, where {own} is "
                "due: nothing is deleted."
            )
        self._ending = None
        return self._ctx.storage.remove_all(keys)

    def open(self) -> str:
        """Open the page of the AWS console that shows it, in a browser.

        Returns:
            Its URL; empty, and nothing is opened, for a job of the local Braket.
        """
        if self.console_url:
            webbrowser.open(self.console_url)
        return self.console_url

    # --- inside ----------------------------------------------------------------------------------

    @property
    def _task(self) -> tuple[str, int, int]:
        return task_of(self._job) or ("", -1, 0)

    @property
    def _described(self) -> Job:
        """All that GetJob says; asked once, when it is needed."""
        if not isinstance(self._job, Job):
            self.poll()
        assert isinstance(self._job, Job)
        return self._job

    @property
    def _left(self) -> tuple[Outcome | None, IntegrityError | None]:
        """What the job left, and what is wrong with that."""
        if self._ending is None:
            self._ending = collecting.left(self._ctx, self._described)
        return self._ending

    @property
    def _failed(self) -> bool:
        """Whether an ended job has failed; one of which nothing is left any more has not."""
        outcome, problem = self._left
        gone = problem is None or isinstance(problem, NoOutcomeError)
        unlike = outcome is not None and outcome.status != "completed"
        return self.status != "COMPLETED" or unlike or not gone

    def _require_end(self, what: str) -> None:
        if not self.ended:
            raise JobNotEndedError(f"{self.name} is {self.status}, and {what} until it has ended.")

    def _lines(self, follow: bool) -> Iterator[Line]:
        if not follow:
            return following.read_whole(self._ctx, self.braket_name, self.arn)
        return following.follow(
            self._ctx, self.braket_name, self.arn, lambda: self.ended or self._asked(last=False)
        )

    def _make_context(self, *, may_start: bool) -> Context:
        return self._ctx


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where an event loop runs already, as in notebooks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
