"""Asks about jobs with the settings and credentials of the moment; blocking."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from covalent_braket_plugin import pipeline
from covalent_braket_plugin.descriptions import Job, JobSummary, Page
from covalent_braket_plugin.devices.choice import Chosen
from covalent_braket_plugin.errors import LocalBraketError, NotFoundError
from covalent_braket_plugin.pipeline import Context

__all__ = ["Asker", "ContextMaker", "NewWorkMaker"]


class ContextMaker(Protocol):
    """Settles an executor's settings anew; blocking. Credentials may have changed meanwhile."""

    def __call__(self, *, may_start: bool) -> Context:
        """Settle them; ``may_start`` says whether it is for new work, as in `pipeline.context`."""


class NewWorkMaker(ContextMaker, Protocol):
    """Settles an executor's settings for new work too, with a device that was chosen for it."""

    def __call__(self, *, may_start: bool, device: Chosen | None = None) -> Context:
        """Settle them; without ``device`` the one in the settings is looked up for new work."""


class Asker:
    """What the watcher asks.

    Args:
        make: Settles the settings.
    """

    def __init__(self, make: ContextMaker) -> None:
        self._make = make

    def describe(self, job_arn: str) -> Job:
        """Ask for all about a job.

        Raises:
            AwsError: Braket refused or did not answer.
            LocalBraketError: The local Braket that ran the job is gone.
        """
        ctx = self._make(may_start=False)
        try:
            return ctx.jobs.describe(job_arn)
        except NotFoundError:
            if not ctx.settings.local:
                raise
        try:
            return ctx.jobs.describe(job_arn)
        except NotFoundError as error:  # it knows its jobs at once, so this is another one
            raise LocalBraketError(pipeline.LOCAL_BRAKET_GONE) from error

    def page(self, created: datetime, token: str) -> Page[JobSummary]:
        """Ask for 100 of the jobs made since then.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        return self._make(may_start=False).jobs.page(created, token)
