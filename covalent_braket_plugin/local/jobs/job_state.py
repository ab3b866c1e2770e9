"""The life of a hybrid job: states, legal transitions and events. Pure, with an injected clock.

Statuses and event types are those of the service model (``JobPrimaryStatus``, ``JobEventType``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

__all__ = [
    "TERMINAL",
    "TRANSITIONS",
    "Clock",
    "Event",
    "EventType",
    "IllegalTransition",
    "JobState",
    "Status",
    "now",
]

MAX_EVENTS = 20
MAX_EVENT_MESSAGE = 2500
MAX_FAILURE_REASON = 1024

Clock = Callable[[], datetime]


def now() -> datetime:
    """The current time in UTC, to the millisecond: answers show no more, and filters compare it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Status(StrEnum):
    """Status of a hybrid job."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


class EventType(StrEnum):
    """What can happen to a hybrid job; a time-out is an event, not a status."""

    QUEUED_FOR_EXECUTION = "QUEUED_FOR_EXECUTION"
    STARTING_INSTANCE = "STARTING_INSTANCE"
    DOWNLOADING_DATA = "DOWNLOADING_DATA"
    RUNNING = "RUNNING"
    UPLOADING_RESULTS = "UPLOADING_RESULTS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    MAX_RUNTIME_EXCEEDED = "MAX_RUNTIME_EXCEEDED"
    CANCELLED = "CANCELLED"


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLING, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLING}),
    Status.CANCELLING: frozenset({Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}
"""The legal next statuses of each status."""

TERMINAL = frozenset(status for status, following in TRANSITIONS.items() if not following)
"""Statuses that never change again."""


class IllegalTransition(Exception):
    """A transition that the table does not have."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        type: What happened.
        time: When, in UTC.
        message: Text for people, up to 2500 characters.
    """

    type: EventType
    time: datetime
    message: str = ""


@dataclass
class JobState:
    """Status, times, events and failure reason of one job.

    Args:
        clock: Gives the current time.
    """

    clock: Clock = now
    status: Status = Status.QUEUED
    created_at: datetime = field(init=False)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure_reason: str | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.created_at = self.clock()
        self.note(EventType.QUEUED_FOR_EXECUTION)

    @property
    def terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL

    @property
    def billable_milliseconds(self) -> int | None:
        """Time from start to end, once the job has ended; 0 if it never started."""
        if self.ended_at is None:
            return None
        began = self.started_at or self.ended_at
        return round((self.ended_at - began).total_seconds() * 1000)

    def note(self, type: EventType, message: str = "") -> None:
        """Add an event; beyond the twenty that the service keeps, the newest are dropped."""
        if len(self.events) < MAX_EVENTS:
            self.events.append(Event(type, self.clock(), message[:MAX_EVENT_MESSAGE]))

    def start(self) -> None:
        """The job's program starts to run."""
        self._move(Status.RUNNING)
        self.started_at = self.clock()
        self.note(EventType.RUNNING)

    def complete(self) -> None:
        """The job ended well."""
        self._end(Status.COMPLETED, EventType.COMPLETED)

    def fail(self, reason: str) -> None:
        """The job ended badly."""
        self.failure_reason = reason[:MAX_FAILURE_REASON] or None
        self._end(Status.FAILED, EventType.FAILED)

    def time_out(self, limit_seconds: int) -> None:
        """The job ran into its time limit.

        Which terminal status goes with MAX_RUNTIME_EXCEEDED is not documented. FAILED is the
        choice here: the job did not end by itself, and a client that looks at nothing but the
        status must not take its results for complete.
        """
        text = f"The job exceeded its time limit of {limit_seconds} seconds and was stopped."
        self.note(EventType.MAX_RUNTIME_EXCEEDED, text)
        self.fail(text)

    def request_cancel(self) -> None:
        """Somebody asked to cancel; asking again while it is being cancelled changes nothing."""
        if self.status is not Status.CANCELLING:
            self._move(Status.CANCELLING)

    def cancelled(self) -> None:
        """The job has stopped after a request to cancel."""
        self._end(Status.CANCELLED, EventType.CANCELLED)

    def _end(self, status: Status, event: EventType) -> None:
        self._move(status)
        self.ended_at = self.clock()
        # The terminal event must be there even if a chatty job has filled the list.
        del self.events[MAX_EVENTS - 1 :]
        self.note(event)

    def _move(self, status: Status) -> None:
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.status} -> {status}")
        self.status = status
