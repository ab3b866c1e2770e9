"""The jobs of one identity in one region: a list of them, or a certain one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from covalent_braket_plugin.descriptions import JobSummary, task_of
from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.history.hybrid_job import HybridJob
from covalent_braket_plugin.history.lookup import Which, find, ours
from covalent_braket_plugin.history.where import connect
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.settings import Settings, own_values, resolve, unknown
from covalent_braket_plugin.settings.config_file import config_path, config_section

__all__ = ["STATUSES", "History", "job", "jobs"]

STATUSES = ("QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLING", "CANCELLED")
"""Braket's words for how a job stands."""


class History:
    """What became of jobs, from the service; needs no Covalent server.

    Settings that are not given here come from ``[executors.braket]`` and the environment, as for
    an executor.

    Args:
        executor: A `BraketExecutor` whose jobs it is about; its settings count.
        settings: Settings by name, such as ``region="us-east-1"``, ``profile="lab"`` or
            ``local=True``.

    Raises:
        SettingError: There is no such setting, or its value breaks a rule.
        UnconfiguredError: No region is known.
        LocalBraketError: ``local`` is set, and no local Braket runs.
    """

    def __init__(self, executor: object | None = None, **settings: Any) -> None:
        config = config_section(config_path(os.environ))
        given = own_values(vars(executor), config) if executor is not None else {}
        self._context = connect(resolve({**given, **_known(settings)}, config, os.environ))

    @classmethod
    def of(cls, settings: Settings) -> History:
        """Look where resolved settings say."""
        made = cls.__new__(cls)
        made._context = connect(settings)
        return made

    @property
    def calls(self) -> Jobs:
        """The calls to Braket that it makes."""
        return self._context.jobs

    def jobs(
        self,
        limit: int = 50,
        offset: int = 0,
        *,
        dispatch_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
    ) -> list[HybridJob]:
        """List jobs of this package, the newest first, in the order in which Braket gives them.

        Braket is asked for 100 jobs at a time, and for no more than it takes. It searches by age
        only, so that a dispatch or a status is looked for among all jobs.

        Args:
            limit: At most so many.
            offset: Pass over so many first.
            dispatch_id: Only those of this dispatch, or of those whose id begins so.
            status: Only those in this status, a word of Braket's such as ``"FAILED"``.
            since: Only those made since then; a time without a zone is a local one.

        Raises:
            SettingError: An argument makes no sense.
            AwsError: Braket refused or did not answer.
        """
        wanted = _status(status)
        _at_least("limit", limit, 1)
        _at_least("offset", offset, 0)
        utc = since.astimezone(UTC) if since else None

        def fits(job: JobSummary) -> bool:
            late = utc is None or job.created_at is None or job.created_at >= utc
            ours = dispatch_id is None or (task_of(job) or ("",))[0].startswith(dispatch_id)
            return late and ours and wanted in (None, job.status)

        found = filter(fits, ours(self._context, utc))
        return [HybridJob(self._context, each) for each in islice(found, offset, offset + limit)]

    def job(self, which: Which) -> HybridJob:
        """Find one job.

        Args:
            which: Its ARN; its id (a UUID), or the beginning of it if no other begins so; its
                name (the newest of that name); or the dispatch and the node of its electron (the
                newest attempt), as a tuple or as ``"DISPATCH:NODE"``.

        Raises:
            UnknownJobError: There is no such job, or more than one.
            AwsError: AWS refused or did not answer.
        """
        return HybridJob(self._context, find(self._context, which))


def jobs(
    limit: int = 50,
    offset: int = 0,
    *,
    dispatch_id: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    **settings: Any,
) -> list[HybridJob]:
    """List jobs, the newest first: `History.jobs` with these settings."""
    return History(**settings).jobs(
        limit, offset, dispatch_id=dispatch_id, status=status, since=since
    )


def job(which: Which, **settings: Any) -> HybridJob:
    """Find one job: `History.job` with these settings."""
    return History(**settings).job(which)


def _known(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, guess in unknown(settings):
        fix = f"Did you mean {guess}?" if guess else "See: covalent-braket settings"
        raise SettingError(name, settings[name], "there is no such setting", fix)
    return settings


def _status(status: str | None) -> str | None:
    if status is None or status.upper() in STATUSES:
        return status and status.upper()
    raise SettingError("status", status, "Braket knows no such status", f"Use {_or(STATUSES)}.")


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise SettingError(name, value, f"it must be at least {least}", f"Use {least} or more.")
