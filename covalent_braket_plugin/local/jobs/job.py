"""One hybrid job: what was asked for, its state, and how it looks in answers."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from covalent_braket_plugin.local.jobs.job_state import Event, JobState
from covalent_braket_plugin.local.service import Params

__all__ = ["DEFAULT_CHECKPOINT_PATH", "DEFAULT_TIME_LIMIT_SECONDS", "Job", "describe", "summarize"]

# The service's own default is not documented; the SDK always sends this maximum.
DEFAULT_TIME_LIMIT_SECONDS = 432_000
DEFAULT_CHECKPOINT_PATH = "/opt/braket/checkpoints/"
LAST_SHOWN_POSITION = 15

_ECHOED = (
    "jobName",
    "roleArn",
    "algorithmSpecification",
    "outputDataConfig",
    "deviceConfig",
    "hyperParameters",
    "inputDataConfig",
    "associations",
)


@dataclass(eq=False)
class Job:
    """A hybrid job.

    Attributes:
        arn: ``arn:aws:braket:{region}:{account}:job/{uuid}``.
        region: Region it was created in.
        account_id: Account of its creator.
        request: The members of its CreateJob request.
        state: Status, times and events.
        tags: Its tags, live.
        token: Opaque token that quantum tasks of this job carry.
        cancel: Set when somebody asks to cancel it.
    """

    arn: str
    region: str
    account_id: str
    request: Params
    state: JobState = field(default_factory=JobState)
    tags: dict[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def place(self) -> tuple[str, str]:
        """Region and account that it is in."""
        return self.region, self.account_id

    @property
    def uuid(self) -> str:
        """Last part of the ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def name(self) -> str:
        """Name of the job; need not be unique."""
        return str(self.request["jobName"])

    @property
    def device(self) -> str:
        """Device ARN, or ``local:<provider>/<name>``."""
        return str(self.request["deviceConfig"]["device"])

    @property
    def instance_type(self) -> str:
        """Type of the instance that it asks for, such as ``ml.m5.large``."""
        return str(self.request["instanceConfig"]["instanceType"])

    @cached_property
    def time_limit_seconds(self) -> int:
        """Longest time the job may run, counted from RUNNING."""
        condition = self.request.get("stoppingCondition") or {}
        return int(condition.get("maxRuntimeInSeconds") or DEFAULT_TIME_LIMIT_SECONDS)

    @cached_property
    def checkpoint(self) -> tuple[str, str] | None:
        """(S3 URI, local path) of the checkpoints, if the job keeps any."""
        config = self.request.get("checkpointConfig")
        if not config:
            return None
        return config["s3Uri"], config.get("localPath") or DEFAULT_CHECKPOINT_PATH


def describe(job: Job, queue_position: int | None, *, with_queue: bool) -> Params:
    """The job as GetJob answers it.

    Args:
        job: The job.
        queue_position: Its place in the queue, from 1; None when it does not wait.
        with_queue: Whether the caller asked for ``QueueInfo``.
    """
    state = job.state
    answer: Params = {name: job.request.get(name) for name in _ECHOED}
    answer |= {
        "jobArn": job.arn,
        "status": state.status.value,
        "createdAt": state.created_at,
        "startedAt": state.started_at,
        "endedAt": state.ended_at,
        "failureReason": state.failure_reason,
        "billableDuration": state.billable_milliseconds,
        "stoppingCondition": {"maxRuntimeInSeconds": job.time_limit_seconds},
        "instanceConfig": {"instanceCount": 1, **job.request["instanceConfig"]},
        "checkpointConfig": _checkpoint(job),
        "events": [_event(event) for event in state.events],
        "tags": dict(job.tags),
    }
    if with_queue:
        answer["queueInfo"] = _queue_info(job, queue_position)
    return answer


def summarize(job: Job) -> Params:
    """The job as SearchJobs lists it."""
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "device": job.device,
        "status": job.state.status.value,
        "createdAt": job.state.created_at,
        "startedAt": job.state.started_at,
        "endedAt": job.state.ended_at,
        "tags": dict(job.tags),
    }


def _checkpoint(job: Job) -> Params | None:
    if job.checkpoint is None:
        return None
    return {"s3Uri": job.checkpoint[0], "localPath": job.checkpoint[1]}


def _event(event: Event) -> dict[str, Any]:
    return {
        "eventType": event.type.value,
        "timeOfEvent": event.time,
        "message": event.message or None,
    }


def _queue_info(job: Job, position: int | None) -> Params:
    """Queue members as the SDK reads them: the position of a job that waits not is "None"."""
    if position is None:
        status = job.state.status.value
        text = (
            f"Job is in {status} status. AmazonBraket does not show queue position for this status."
        )
        return {"queue": "JOBS_QUEUE", "position": "None", "message": text}
    shown = str(position) if position <= LAST_SHOWN_POSITION else f">{LAST_SHOWN_POSITION}"
    return {"queue": "JOBS_QUEUE", "position": shown}
