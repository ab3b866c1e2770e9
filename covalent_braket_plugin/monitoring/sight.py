"""A job in sight: what Braket and its log say of it goes to the board and to its electron's stdout.

Used on the event loop of the server only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from covalent_braket_plugin.descriptions import JobSummary
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.monitoring import phases
from covalent_braket_plugin.monitoring.closer import Closer, Seen
from covalent_braket_plugin.monitoring.follower import Follower, JobLog

__all__ = ["Sight", "in_sight"]


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Which job it is, and how to see it.

    Attributes:
        job_arn: The job.
        job_name: Its name; empty if that is not known yet.
        created: When it was made, or before (UTC).
        lasts: How many seconds such jobs last; None if that is not known.
        dispatch_id: The dispatch that its electron is of.
        node_id: The electron's node.
        log_group: Where its log is.
        jobs: Gives the calls about jobs; blocks.
        write: Takes new lines of its log and says whether it takes more; blocks.
    """

    job_arn: str
    job_name: str
    created: datetime
    lasts: float | None
    dispatch_id: str
    node_id: int
    log_group: str
    jobs: Callable[[], Jobs]
    write: Callable[[str], bool]


@contextlib.contextmanager
def in_sight(
    sight: Sight, follower: Follower, closer: Closer
) -> Iterator[Callable[[JobSummary], None]]:
    """Keep a job in sight; gives what is to be told each answer about it."""
    job_log = JobLog(
        job_arn=sight.job_arn,
        job_name=sight.job_name,
        group=sight.log_group,
        dispatch_id=sight.dispatch_id,
        node_id=sight.node_id,
        clients=lambda: sight.jobs().clients,
        write=sight.write,
    )
    seen = Seen(
        job_arn=sight.job_arn,
        dispatch_id=sight.dispatch_id,
        node_id=sight.node_id,
        jobs=sight.jobs,
    )

    def heard(job: JobSummary) -> None:
        phases.heard(sight.dispatch_id, sight.node_id, job)
        follower.heard(job.arn, job.name, queued=job.status == "QUEUED")

    age_seconds = (datetime.now(UTC) - sight.created).total_seconds()
    follower.follow(job_log, age_seconds, sight.lasts)
    closer.add(seen)
    try:
        yield heard
    finally:
        follower.leave(sight.job_arn)
        closer.leave(sight.job_arn)
