"""One job: what became of it, what it said, what it returned."""

from __future__ import annotations

import asyncio
import tempfile
import webbrowser
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from covalent_braket_plugin import failure
from covalent_braket_plugin.descriptions import NAME_TAG, QuantumTask
from covalent_braket_plugin.errors import (
    IntegrityError,
    JobCancelledError,
    JobFailedError,
    NoOutcomeError,
    SettingError,
)
from covalent_braket_plugin.history import following, values
from covalent_braket_plugin.history.items import Item, items_of
from covalent_braket_plugin.history.job_files import JobFiles
from covalent_braket_plugin.monitoring import metrics, plots
from covalent_braket_plugin.monitoring.lines import Metric
from covalent_braket_plugin.monitoring.logs import Line
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.protocol import Place
from covalent_braket_plugin.settings.rules import tag_character

if TYPE_CHECKING:
    import pandas as pd

    from covalent_braket_plugin.costs.spending import Spent

__all__ = ["HybridJob"]

T = TypeVar("T")

TAG_VALUE_CHARACTERS = 256


class HybridJob(JobFiles):
    """A Hybrid Job that an electron ran as; `History` finds it.

    What it says of the job is what Braket said last; `poll` asks again.

    Args:
        ctx: Settings and calls.
        job: What is known of it.
    """

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
        values.fetch(self._ctx, self.description, self._left[0], target)

    def report(self) -> str:
        """Say what became of it: if it failed, in the words that Covalent shows with the electron.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        if not self.ended:
            return failure.standing(self.description, None)
        outcome, problem = self._left
        if self._failed:
            return failure.report(self.description, outcome, name=self.electron, problem=problem)
        gone = "" if outcome else "Record: not in S3; it was deleted, or the job left none.\n"
        return failure.standing(self.description, outcome) + gone

    def traceback(self) -> str:
        """Give the traceback of what its code raised, from where it ran; empty if there is none.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        outcome = self._left[0] if self.ended else None
        return failure.remote_traceback(outcome.error if outcome else None)

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

    def plot(self, path: str | Path, *names: str, exact: Mapping[str, float] | None = None) -> None:
        """Draw its metrics into a file, one panel below the other.

        Args:
            path: A ``.png`` or ``.svg`` file.
            names: Only these metrics; all of them if none is named.
            exact: By metric, a value that it should reach: drawn as a dashed line.

        Raises:
            PlotError: There is nothing to draw, or the file is to be of another kind.
            AwsError: AWS refused or did not answer.
        """
        table = self.metrics()
        chosen = table[table["metric"].isin(names)] if names else table
        plots.plot(chosen, Path(path), title=self.name, exact=exact)

    def results(self) -> list[Item]:
        """List what the electron returned: a dictionary's entries by name, else one ``result``.

        Raises as `result` does, with ``timeout_sec=0``.
        """
        return items_of(self.result(timeout_sec=0))

    def quantum_tasks(self) -> list[QuantumTask]:
        """List the quantum tasks that it made.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        return self._ctx.jobs.quantum_tasks(self.arn)

    def cost(self) -> Spent:
        """Say what it has cost up to now, by the price list: not what AWS's bill will say.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        from covalent_braket_plugin.costs.measured import measured
        from covalent_braket_plugin.costs.prices import prices
        from covalent_braket_plugin.costs.spending import spent

        tasks = measured(self.quantum_tasks(), self._ctx.jobs.clients)
        return spent(self.description, tasks, prices())

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
        """Delete what it has in S3: payload, value, record, streams, result files, checkpoints.

        Checkpoints are those of its electron, with all its attempts; what a later job has saved
        stays with that one, and so does what a `checkpoint_key` names. Braket keeps the job itself,
        and its log; results of its quantum tasks stay too.

        Returns:
            The S3 URIs of what was deleted; none if nothing was there any more.

        Raises:
            JobNotEndedError: It has not ended, and still needs them.
            IntegrityError: It names another place than its own.
            AwsError: AWS refused or did not answer.
        """
        self._require_end("needs what it has in S3")
        keys = self.description.keys
        own = f"{self.dispatch_id}/node-{self.node_id}/attempt-{self.attempt}"
        if f"/{keys.base}".removesuffix(f"/{own}") == f"/{keys.base}":
            raise IntegrityError(
                f"{self.name} says that its objects are at {keys.uri(keys.base)}, where {own} is "
                "due: nothing is deleted."
            )
        self._ending = None
        saved = self._last_saved
        removed = self._ctx.storage.remove_below(keys.place)
        return removed + (self._ctx.storage.remove_below(saved) if saved else [])

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
    def _last_saved(self) -> Place | None:
        """Where its electron's checkpoints are, if no job after this one has saved any."""
        saved = self.description.keys.own_checkpoints(self.description.checkpoints)
        newest = self._ctx.storage.changed_at(saved) if saved is not None else None
        if newest is None or self.ended_at is None or newest > self.ended_at:
            return None
        return saved

    @property
    def _failed(self) -> bool:
        """Whether an ended job has failed; one of which nothing is left any more has not."""
        outcome, problem = self._left
        gone = problem is None or isinstance(problem, NoOutcomeError)
        unlike = outcome is not None and outcome.status != "completed"
        return self.status != "COMPLETED" or unlike or not gone

    def _lines(self, follow: bool) -> Iterator[Line]:
        if not follow:
            return following.read_whole(self._ctx, self.braket_name, self.arn)
        return following.follow(
            self._ctx, self.braket_name, self.arn, lambda: self.ended or self._asked(last=False)
        )

    def _make_context(self, *, may_start: bool) -> Context:
        return self._ctx


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where an event loop runs already, as in notebooks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
