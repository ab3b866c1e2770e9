"""Blocking calls about one identity's jobs: create, ask, cancel.

Answers of Braket are read once, here, into typed values. Nothing here sleeps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.descriptions import (
    Job,
    JobSummary,
    Page,
    QuantumTask,
    job_of,
    quantum_task_of,
    summary_of,
)
from covalent_braket_plugin.errors import ConflictError

__all__ = ["Jobs"]

T = TypeVar("T")

_OPEN = frozenset({"CREATED", "QUEUED", "RUNNING"})
_CLOCK_SKEW = timedelta(minutes=5)
"""How far our clock and AWS's may be apart."""


class Jobs:
    """The calls to Braket, for one identity, region and endpoint.

    Args:
        clients: Makes the calls.
    """

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    def create(self, request: Mapping[str, Any]) -> str:
        """Create a job.

        Args:
            request: CreateJob's keywords.

        Returns:
            The job's ARN.

        Raises:
            AwsError: Braket refused.
        """
        with translated("CreateJob"):
            return str(self.clients.braket.create_job(**request)["jobArn"])

    # --- ask ---------------------------------------------------------------------------------

    def describe(self, job_arn: str) -> Job:
        """Ask for all about a job (GetJob), its place in the queue included.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        more = {"additionalAttributeNames": ["QueueInfo"]}
        with translated("GetJob"):
            return job_of(self.clients.braket.get_job(jobArn=job_arn, **more))

    def page(self, created: datetime | None, token: str = "") -> Page[JobSummary]:
        """Ask for 100 of the jobs made since ``created`` (SearchJobs), whosever they are.

        The newest come first, as far as is known; our clock and AWS's may differ by minutes.

        Args:
            created: Since when (UTC); None for all that Braket knows.
            token: Of the page before; empty for the first one.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        filters = []
        if created is not None:
            since = (created.astimezone(UTC) - _CLOCK_SKEW).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            filters = [{"name": "createdAt", "operator": "GTE", "values": [since]}]
        return self._search_jobs(filters, token)

    def search(self, created_after: datetime) -> list[JobSummary]:
        """Ask for all jobs made since then, whosever they are: one call for each 100 of them.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        return _all_of(lambda token: self.page(created_after, token))

    def with_arn_like(self, part: str) -> list[JobSummary]:
        """Ask for jobs whose ARN contains something (SearchJobs): at most 100 of them.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        like = {"name": "jobArn", "operator": "CONTAINS", "values": [part]}
        return list(self._search_jobs([like]).items)

    def _search_jobs(self, filters: list[dict[str, Any]], token: str = "") -> Page[JobSummary]:
        query = {"filters": filters, "maxResults": 100, **_next(token)}
        with translated("SearchJobs"):
            found = self.clients.braket.search_jobs(**query)
            jobs = [summary_of(job) for job in found["jobs"]]
        return Page(jobs, found.get("nextToken") or "")

    def tag(self, job_arn: str, tags: Mapping[str, str]) -> None:
        """Give a job tags (TagResource), beside those that it has.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        with translated("TagResource"):
            self.clients.braket.tag_resource(resourceArn=job_arn, tags=dict(tags))

    # --- cancel ------------------------------------------------------------------------------

    def cancel(self, job_arn: str) -> bool:
        """Cancel a job.

        Returns:
            Whether it will end CANCELLED; False if it had ended already.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        try:
            with translated("CancelJob"):
                self.clients.braket.cancel_job(jobArn=job_arn)
        except ConflictError:
            return False
        return True

    def open_quantum_tasks(self, job_arn: str, token: str = "") -> Page[str]:
        """Ask for 100 of a job's quantum tasks (SearchQuantumTasks); ARNs of those still open.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        tasks, token = self._quantum_tasks(job_arn, token)
        return Page([task.arn for task in tasks if task.status in _OPEN], token)

    def quantum_tasks(self, job_arn: str) -> list[QuantumTask]:
        """Ask for all quantum tasks that a job has made; one call for each 100 of them.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        return _all_of(lambda token: self._quantum_tasks(job_arn, token))

    def _quantum_tasks(self, job_arn: str, token: str = "") -> Page[QuantumTask]:
        query: dict[str, Any] = {
            "filters": [{"name": "jobArn", "operator": "EQUAL", "values": [job_arn]}],
            "maxResults": 100,
        }
        with translated("SearchQuantumTasks"):
            found = self.clients.braket.search_quantum_tasks(**query, **_next(token))
            tasks = [quantum_task_of(task) for task in found["quantumTasks"]]
        return Page(tasks, found.get("nextToken") or "")

    def cancel_quantum_task(self, task_arn: str) -> None:
        """Cancel a quantum task; that it has ended already is fine.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        with contextlib.suppress(ConflictError), translated("CancelQuantumTask"):
            self.clients.braket.cancel_quantum_task(quantumTaskArn=task_arn)


def _next(token: str) -> dict[str, str]:
    return {"nextToken": token} if token else {}


def _all_of(ask: Callable[[str], Page[T]]) -> list[T]:
    """Go through all pages of a search."""
    found, token = ask("")
    items = list(found)
    while token:
        found, token = ask(token)
        items += found
    return items
