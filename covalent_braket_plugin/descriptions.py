"""What Braket says about a job, read once into typed values; pure.

SearchJobs gives a `JobSummary`, GetJob a `Job`: the same with the reason, the events and the time
that is paid for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from covalent_braket_plugin.protocol import HP_MANIFEST, Keys

__all__ = [
    "DEVICE_WANTED_TAG",
    "NAME_TAG",
    "TERMINAL",
    "Event",
    "Job",
    "JobSummary",
    "Page",
    "QuantumTask",
    "job_of",
    "quantum_task_of",
    "summary_of",
    "task_of",
]

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})

DEVICE_WANTED_TAG = "covalent:device_wanted"
"""The device that a job was to have, if another one stands in for it."""

NAME_TAG = "covalent:name"
"""A name that somebody gave a job: Braket does not rename jobs, and takes tags at any time."""

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """One answer of a search.

    Attributes:
        items: What was found.
        token: Asks for the next page; empty if this is the last one.
    """

    items: Sequence[T]
    token: str


class Event(NamedTuple):
    """Something that happened to a job.

    Attributes:
        type: Braket's word, such as ``MAX_RUNTIME_EXCEEDED``.
        time: When.
        message: Braket's text; often empty.
    """

    type: str
    time: datetime | None
    message: str


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """A Hybrid Job as SearchJobs lists it.

    Attributes:
        arn: Its ARN.
        name: Its name.
        status: QUEUED, RUNNING, COMPLETED, FAILED, CANCELLING or CANCELLED.
        device: ARN of its quantum device, or ``local:...``.
        tags: Its tags.
        created_at: When it was made, by the service's clock.
        started_at: When it began to run.
        ended_at: When it ended.
    """

    arn: str
    name: str
    status: str
    device: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in TERMINAL


@dataclass(frozen=True, kw_only=True)
class Job(JobSummary):
    """A Hybrid Job as GetJob describes it.

    Attributes:
        failure_reason: Braket's words; empty if none.
        events: Its events, in order.
        billable_seconds: What is paid for; None as long as it is not known. That Braket gives
            milliseconds is inferred: its model names no unit.
        instance_type: What it runs on.
        instance_count: On how many of them.
        hyperparameters: What it was given.
        reservation_arn: The reservation that it runs in; empty if none.
        checkpoints: S3 URI of its checkpoints; empty without any.
        queue_position: Its place in Braket's queue, such as ``"7"`` or ``">15"``; empty if it is
            not queued.
    """

    failure_reason: str = ""
    events: tuple[Event, ...] = ()
    billable_seconds: float | None = None
    instance_type: str = ""
    instance_count: int = 1
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    reservation_arn: str = ""
    checkpoints: str = ""
    queue_position: str = ""

    @property
    def event_types(self) -> tuple[str, ...]:
        """The types of its events, in order."""
        return tuple(event.type for event in self.events)

    @property
    def keys(self) -> Keys:
        """Where the job's task lies.

        Raises:
            IntegrityError: The job is not one of ours.
        """
        return Keys.from_manifest_uri(self.hyperparameters.get(HP_MANIFEST, ""))


@dataclass(frozen=True)
class QuantumTask:
    """A quantum task as SearchQuantumTasks lists it.

    Attributes:
        arn: Its ARN.
        device: The device's ARN.
        status: CREATED, QUEUED, RUNNING, COMPLETED, FAILED, CANCELLING or CANCELLED.
        shots: How many shots; of a program set, of all its executables together.
        created_at: When it was made.
        ended_at: When it ended.
        output: S3 URI of the folder of its results; empty if it is not known.
        seconds: How long a simulator ran, as its results say; None if they were not read.
    """

    arn: str
    device: str
    status: str
    shots: int = 0
    created_at: datetime | None = None
    ended_at: datetime | None = None
    output: str = ""
    seconds: float | None = None

    @property
    def exact(self) -> bool:
        """Whether it is known how long a simulator ran, or it does not matter any more."""
        return self.seconds is not None or self.status in ("FAILED", "CANCELLED")


def quantum_task_of(found: Mapping[str, Any]) -> QuantumTask:
    """Read one quantum task of SearchQuantumTasks' answer."""
    bucket, folder = found.get("outputS3Bucket", ""), found.get("outputS3Directory", "")
    return QuantumTask(
        arn=found["quantumTaskArn"],
        device=found.get("deviceArn", ""),
        status=found["status"],
        shots=found.get("shots", 0),
        created_at=found.get("createdAt"),
        ended_at=found.get("endedAt"),
        output=f"s3://{bucket}/{folder}" if bucket else "",
    )


def summary_of(found: Mapping[str, Any]) -> JobSummary:
    """Read one job of SearchJobs' answer."""
    return JobSummary(**_common(found), device=found.get("device", ""))


def job_of(found: Mapping[str, Any]) -> Job:
    """Read GetJob's answer."""
    billable = found.get("billableDuration")
    return Job(
        **_common(found),
        device=found.get("deviceConfig", {}).get("device", ""),
        failure_reason=found.get("failureReason", ""),
        events=tuple(_event(event) for event in found.get("events", [])),
        billable_seconds=None if billable is None else billable / 1000,
        instance_type=found.get("instanceConfig", {}).get("instanceType", ""),
        instance_count=found.get("instanceConfig", {}).get("instanceCount", 1),
        hyperparameters=found.get("hyperParameters", {}),
        reservation_arn=_reservation(found.get("associations") or []),
        checkpoints=found.get("checkpointConfig", {}).get("s3Uri", ""),
        queue_position=_position(found.get("queueInfo") or {}),
    )


def task_of(job: JobSummary) -> tuple[str, int, int] | None:
    """Read from its tags which dispatch, node and attempt a job is of; None if not ours.

    Jobs of earlier releases have their attempt in their name alone.
    """
    dispatch_id, node = (job.tags.get(f"covalent:{key}", "") for key in ("dispatch_id", "node_id"))
    attempt = job.tags.get("covalent:attempt") or job.name.rpartition("-")[2]
    if not (dispatch_id and node.isdigit() and attempt.isdigit()):
        return None
    return dispatch_id, int(node), int(attempt)


def _reservation(associations: Sequence[Mapping[str, str]]) -> str:
    kind = "RESERVATION_TIME_WINDOW_ARN"
    return next((each["arn"] for each in associations if each.get("type") == kind), "")


def _position(found: Mapping[str, Any]) -> str:
    """Read the place in a queue; Braket says "None", as text, if there is none."""
    position = str(found.get("position", ""))
    return "" if position == "None" else position


def _common(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arn": found["jobArn"],
        "name": found["jobName"],
        "status": found["status"],
        "tags": found.get("tags", {}),
        "created_at": found.get("createdAt"),
        "started_at": found.get("startedAt"),
        "ended_at": found.get("endedAt"),
    }


def _event(found: Mapping[str, Any]) -> Event:
    return Event(found.get("eventType", ""), found.get("timeOfEvent"), found.get("message", ""))
