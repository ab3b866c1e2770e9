"""A quantum task: what it is, the states that it goes through, and how the service shows it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from covalent_braket_plugin.local.quantum.simulators import Reply
from covalent_braket_plugin.local.service import Params

__all__ = ["TERMINAL", "TRANSITIONS", "IllegalTransition", "QuantumTask", "TaskStatus"]

TaskStatus = Literal[
    "CREATED", "QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLING", "CANCELLED"
]

TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    "CREATED": frozenset({"QUEUED", "FAILED"}),
    "QUEUED": frozenset({"RUNNING", "FAILED", "CANCELLED"}),
    "RUNNING": frozenset({"COMPLETED", "FAILED", "CANCELLING"}),
    "CANCELLING": frozenset({"CANCELLED"}),
    "COMPLETED": frozenset(),
    "FAILED": frozenset(),
    "CANCELLED": frozenset(),
}
"""Where a task can go from each status."""

TERMINAL = frozenset(status for status, following in TRANSITIONS.items() if not following)


class IllegalTransition(Exception):
    """A task was to take a step that `TRANSITIONS` does not have."""


@dataclass(eq=False)
class QuantumTask:
    """A quantum task.

    Attributes:
        arn: Its ARN.
        device_arn: The device.
        shots: How often the circuit is run; 0: exact results.
        bucket: Where its results go.
        directory: Key prefix of its results, ``{outputS3KeyPrefix}/{uuid}``.
        device_parameters: JSON text.
        created_at: When it was made.
        action_type: Schema of its action.
        program_count: Programs of a program set, else None.
        executable_count: Executables of a program set, else None.
        job_arn: The job that made it; empty if none did.
        tags: Its tags; shared with the tagging operations.
        experimental: The member ``experimentalCapabilities`` of the request.
        status: Where it is.
        failure_reason: Why it failed.
        ended_at: When it reached a terminal status.
        successful_shots: Shots that have a result.
        future: Its run on a simulator.
        ended: Set once the status is terminal.
    """

    arn: str
    device_arn: str
    shots: int
    bucket: str
    directory: str
    device_parameters: str
    created_at: datetime
    action_type: str
    program_count: int | None = None
    executable_count: int | None = None
    job_arn: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    experimental: Params | None = None
    status: TaskStatus = "CREATED"
    failure_reason: str = ""
    ended_at: datetime | None = None
    successful_shots: int | None = None
    future: Future[Reply] | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def priority(self) -> str:
        """The queue that it waits in: tasks of hybrid jobs go first."""
        return "Priority" if self.job_arn else "Normal"

    @property
    def key(self) -> str:
        """S3 key of its results."""
        return f"{self.directory}/results.json"

    def move(self, status: TaskStatus, now: datetime) -> None:
        """Go to another status.

        Raises:
            IllegalTransition: There is no such step.
        """
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.arn}: {self.status} -> {status}")
        self.status = status
        if status in TERMINAL:
            self.ended_at = now
            self.ended.set()

    def summary(self) -> Params:
        """The members of a QuantumTaskSummary."""
        return {
            "quantumTaskArn": self.arn,
            "status": self.status,
            "deviceArn": self.device_arn,
            "shots": self.shots,
            "outputS3Bucket": self.bucket,
            "outputS3Directory": self.directory,
            "createdAt": self.created_at,
            "endedAt": self.ended_at,
            "tags": dict(self.tags),
        }

    def description(self) -> Params:
        """The members that GetQuantumTask answers, but for the queue."""
        return self.summary() | {
            "deviceParameters": self.device_parameters,
            "failureReason": self.failure_reason or None,
            "jobArn": self.job_arn or None,
            "numSuccessfulShots": self.successful_shots,
            "experimentalCapabilities": self.experimental,
            "associations": [],
            "actionMetadata": {
                "actionType": self.action_type,
                "programCount": self.program_count,
                "executableCount": self.executable_count,
            },
        }
