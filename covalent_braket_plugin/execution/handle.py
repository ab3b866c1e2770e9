"""`ExecutionJob`: what became of an execution, from any process that reaches Covalent's server."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
import webbrowser
from collections.abc import Mapping
from typing import Any

from covalent_braket_plugin.descriptions import NAME_TAG
from covalent_braket_plugin.errors import (
    BraketPluginError,
    JobCancelledError,
    JobFailedError,
    JobNotEndedError,
    NoServerError,
    SettingError,
    UnknownJobError,
)
from covalent_braket_plugin.execution.executing import MARK
from covalent_braket_plugin.execution.results import Results
from covalent_braket_plugin.execution.server import Server
from covalent_braket_plugin.history import History, HybridJob

__all__ = ["ENDED", "ExecutionJob", "get_execution_jobs"]

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
FIRST_LOOK_SECONDS = 0.5
LONGEST_LOOK_SECONDS = 5.0
CANCEL_SECONDS = 90.0
"""For so long a cancellation is waited for: each job and its quantum tasks take up to a minute."""
PATIENCE_SECONDS = 60.0
"""For so long a server that has answered before may be silent: it may be restarted."""
LOCAL_ACCOUNT = "0" * 12


class ExecutionJob:
    """A program that was sent to devices; `execute` makes it, `from_id` finds it again.

    Args:
        dispatch_id: The workflow's.
        server: URL of Covalent's server (default: as Covalent is configured).

    Attributes:
        id: The dispatch id.
    """

    def __init__(self, dispatch_id: str, server: str | None = None) -> None:
        self.id = dispatch_id
        self._server = Server(server)
        self._told: Mapping[str, Any] = {}
        self._given_name = ""

    @classmethod
    def from_id(cls, dispatch_id: str, server: str | None = None) -> ExecutionJob:
        """Find an execution by its id.

        Args:
            dispatch_id: As `id` of the handle that `execute` gave, or the beginning of it.
            server: URL of Covalent's server (default: as Covalent is configured).

        Raises:
            UnknownJobError: There is none, or more than one.
            NoServerError: Covalent's server does not answer.
        """
        text = dispatch_id.strip().lower()
        asked = Server(server)
        found = [each["dispatch_id"] for each in itertools.islice(asked.listed(MARK, text), 2)]
        if len(found) != 1 or not text:
            raise UnknownJobError(
                f"{dispatch_id!r} begins the id of {'more than one' if found else 'no'} execution "
                f"that Covalent's server at {asked.url} knows. See: covalent-braket executions list"
            )
        return cls(found[0], server)

    def __repr__(self) -> str:
        """Name it and its id."""
        return f"<ExecutionJob {self.id}>"

    # --- what it is ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What `rename` called it, else its ``job_name``.

        Raises:
            NoServerError: Covalent's server does not answer.
        """
        if not self._given_name:
            with contextlib.suppress(BraketPluginError):  # nobody says that it has another name
                for arn in self._arns()[:1]:  # all jobs have the same
                    self._given_name = _history_of(arn).job(arn).tags.get(NAME_TAG, "")
        return self._given_name or self._name

    @property
    def backends(self) -> list[str]:
        """The devices, as they were asked for.

        Raises:
            NoServerError: Covalent's server does not answer.
        """
        return [each["metadata"]["name"] for each in self._electrons()]

    @property
    def url(self) -> str:
        """Where Covalent's server shows it live."""
        return f"{self._server.url}/braket/{self.id}"

    def jobs(self) -> list[HybridJob]:
        """Find the Hybrid Jobs of its electrons, those that there are yet.

        Raises:
            NoServerError: Covalent's server does not answer, or has no live page.
            AwsError: Braket refused or did not answer.
        """
        return [_history_of(arn).job(arn) for arn in self._arns()]

    # --- how it stands ---------------------------------------------------------------------------

    def status(self) -> str:
        """Ask once how it stands: Covalent's word, such as RUNNING, COMPLETED, FAILED, CANCELLED.

        It is FAILED if any device failed; `result` gives what the others answered.

        Raises:
            UnknownJobError: Covalent's server does not know it.
            NoServerError: Covalent's server does not answer.
        """
        return str(self._ask()["metadata"]["status"])

    def statuses(self) -> dict[str, str]:
        """Ask once how each device stands, by its name in `backends`.

        Raises:
            NoServerError: Covalent's server does not answer.
        """
        self._ask()
        return {
            each["metadata"]["name"]: str(each["metadata"]["status"]) for each in self._electrons()
        }

    def poll(self, timeout_sec: float | None = None) -> str:
        """Wait until it has ended, and say its status; a server that restarts is waited for.

        Args:
            timeout_sec: For so many seconds at most; 0: ask once; None: as long as it takes.

        Returns:
            The status; not a final one if it has not ended by then.

        Raises:
            NoServerError: Covalent's server does not answer.
        """
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        pause = FIRST_LOOK_SECONDS
        status = self.status()
        while status not in ENDED:
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)
            status = self._status_in_time()
        return status

    def _status_in_time(self) -> str:
        """Ask how it stands, again and again for a while if nobody answers.

        Raises:
            NoServerError: Nobody did.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.status()
            except NoServerError:
                if time.monotonic() >= until:
                    raise
            time.sleep(FIRST_LOOK_SECONDS)

    def result(self, timeout_sec: float | None = None, *, partial: bool = False) -> Results:
        """Give what the devices answered, once all have ended.

        If some failed, the others' answers are there all the same, and ``failed`` says why.

        Args:
            timeout_sec: Wait for so many seconds at most; 0: ask once; None: until all have ended.
            partial: Give what is there by then, even if not all have ended.

        Raises:
            JobNotEndedError: Not all have ended by then; a TimeoutError.
            JobFailedError: None of them answered.
            JobCancelledError: It was cancelled before any of them did.
            NoServerError: Covalent's server does not answer.
        """
        status = self.poll(timeout_sec)
        if status not in ENDED and not partial:
            standing = ", ".join(f"{name} {how}" for name, how in self.statuses().items())
            raise JobNotEndedError(
                f"{self.id} has not ended: {standing}. To have what is there: partial=True "
                "(--partial)."
            )
        found = self._answers()
        if not found.answers and status in ENDED:
            reasons = "\n".join(f"{name}: {why}" for name, why in found.failed.items())
            kind = JobCancelledError if status == "CANCELLED" else JobFailedError
            raise kind(f"No device answered.\n{reasons}" if reasons else f"{self.id} is {status}.")
        return found

    # --- what can be done with it ----------------------------------------------------------------

    def cancel(self, timeout_sec: float = CANCEL_SECONDS) -> bool:
        """Cancel what has not ended: its jobs and their quantum tasks; wait for the end.

        Args:
            timeout_sec: Wait for so many seconds at most.

        Returns:
            Whether it is CANCELLED now. False: it had ended otherwise before, or its end is not
            known yet, which `poll` tells.

        Raises:
            NoServerError: Covalent's server does not answer.
        """
        import covalent as ct

        if self.status() not in ENDED:
            ct.cancel(self.id, dispatcher_addr=self._server.url)
        return self.poll(timeout_sec) == "CANCELLED"

    def rename(self, name: str) -> None:
        """Give it another name: a tag of its jobs, which can be seen from everywhere.

        Args:
            name: Up to 256 letters, digits, spaces and ``_.:/=+-@``.

        Raises:
            JobNotEndedError: It has no jobs yet.
            SettingError: AWS would not take the name.
            AwsError: Braket refused or did not answer.
            NoServerError: Covalent's server does not answer, or has no live page.
        """
        jobs = self.jobs()
        if not jobs:
            raise JobNotEndedError(f"{self.id} has no job yet whose tag would keep the name.")
        for job in jobs:
            job.rename(name)
        self._given_name = name.strip()

    def open(self) -> str:
        """Open the page that shows it live in a browser, and give its address."""
        webbrowser.open(self.url)
        return self.url

    # --- inside ----------------------------------------------------------------------------------

    def _arns(self) -> list[str]:
        told = self._server.live(self.id)
        return [each["job_arn"] for each in told["electrons"] if each["job_arn"]]

    def _ask(self) -> Mapping[str, Any]:
        self._told = self._server.manifest(self.id)
        return self._told

    @property
    def _name(self) -> str:
        told = self._told or self._ask()
        return str(told["lattice"]["metadata"]["name"]).removeprefix(MARK)

    def _electrons(self) -> list[Mapping[str, Any]]:
        told = self._told or self._ask()
        nodes = told["lattice"]["transport_graph"]["nodes"]
        ours = [each for each in nodes if not each["metadata"]["name"].startswith(":")]
        return sorted(ours, key=lambda each: int(each["id"]))

    def _answers(self) -> Results:
        """Fetch what those have answered that have ended."""
        import covalent as ct

        with tempfile.TemporaryDirectory() as folder:
            found = ct.get_result(
                self.id,
                dispatcher_addr=self._server.url,
                results_dir=folder,
                workflow_output=False,
            )
            answers, failed = [], {}
            for each in self._electrons():
                node = found.get_node_result(int(each["id"]))
                if str(node["status"]) == "COMPLETED":
                    answers.append(node["output"].get_deserialized())
                elif str(node["status"]) in ENDED:
                    failed[node["node_name"]] = _why(node)
        return Results(answers, failed)


def _why(node: Mapping[str, Any]) -> str:
    text = str(node["error"] or node["stderr"] or "").strip()
    return text or f"it is {node['status']}"


def _history_of(arn: str) -> History:
    """Look where a job is: its ARN says the region, and whether it is one of the local Braket."""
    parts = arn.split(":")
    local = parts[4] == LOCAL_ACCOUNT
    return History(region=parts[3], local=local)


def get_execution_jobs(
    offset: int = 0, limit: int = 50, *, server: str | None = None
) -> list[ExecutionJob]:
    """List executions, the newest first, whichever process or machine sent them.

    They are those of one Covalent server. Their jobs are in Braket, where `history` finds them
    without it.

    Args:
        offset: Pass over so many.
        limit: At most so many.
        server: URL of Covalent's server (default: as Covalent is configured).

    Raises:
        SettingError: `offset` or `limit` is too small.
        NoServerError: Covalent's server does not answer.
    """
    for name, value, least in (("offset", offset, 0), ("limit", limit, 1)):
        if value < least:
            raise SettingError(name, value, f"it must be at least {least}", f"Use {least} or more.")
    found = itertools.islice(Server(server).listed(MARK), offset, offset + limit)
    return [ExecutionJob(each["dispatch_id"], server) for each in found]
