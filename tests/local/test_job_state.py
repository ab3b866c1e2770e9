"""The life of a job, advanced by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from covalent_braket_plugin.local.jobs.job_state import (
    TERMINAL,
    TRANSITIONS,
    EventType,
    IllegalTransition,
    JobState,
    Status,
)
from covalent_braket_plugin.local.server.model import service_model


@pytest.fixture
def state() -> JobState:
    """A queued job whose clock goes on a second at each look."""
    seconds: Iterator[int] = count()
    return JobState(lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)))


def names(state: JobState) -> list[str]:
    return [event.type.value for event in state.events]


def test_statuses_and_events_are_those_of_the_service_model() -> None:
    model = service_model()
    assert {status.value for status in Status} == set(
        model.shape_for("JobPrimaryStatus").metadata["enum"]
    )
    assert {event.value for event in EventType} <= set(
        model.shape_for("JobEventType").metadata["enum"]
    )


def test_every_status_has_transitions_and_three_are_terminal() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert {Status.COMPLETED, Status.FAILED, Status.CANCELLED} == TERMINAL


def test_a_job_that_ends_well_has_times_and_events_in_order(state: JobState) -> None:
    state.start()
    state.complete()
    assert names(state) == ["QUEUED_FOR_EXECUTION", "RUNNING", "COMPLETED"]
    assert state.started_at is not None
    assert state.ended_at is not None
    assert state.created_at < state.started_at < state.ended_at
    span = (state.ended_at - state.started_at).total_seconds()
    assert state.billable_milliseconds == span * 1000


def test_an_unfinished_job_has_no_billable_duration(state: JobState) -> None:
    state.start()
    assert state.billable_milliseconds is None


def test_running_out_of_time_is_an_event_and_a_failure(state: JobState) -> None:
    state.start()
    state.time_out(7)
    assert names(state)[-2:] == ["MAX_RUNTIME_EXCEEDED", "FAILED"]
    assert state.status is Status.FAILED
    assert "7 seconds" in str(state.failure_reason)


def test_asking_twice_to_cancel_is_asking_once(state: JobState) -> None:
    state.start()
    state.request_cancel()
    state.request_cancel()
    state.cancelled()
    assert names(state).count("CANCELLED") == 1


@pytest.mark.parametrize("end", ["complete", "cancelled"])
def test_what_has_ended_never_changes(state: JobState, end: str) -> None:
    if end == "complete":
        state.start()
    getattr(state, end)()
    for step in (state.start, state.complete, state.cancelled, lambda: state.fail("x")):
        with pytest.raises(IllegalTransition):
            step()


def test_a_job_being_cancelled_cannot_complete(state: JobState) -> None:
    state.start()
    state.request_cancel()
    with pytest.raises(IllegalTransition):
        state.complete()


def test_there_are_never_more_than_twenty_events_and_the_last_is_the_end(state: JobState) -> None:
    state.start()
    for _ in range(50):
        state.note(EventType.DOWNLOADING_DATA)
    state.fail("x")
    assert len(state.events) == 20
    assert names(state)[-1] == "FAILED"


def test_long_texts_are_cut_to_the_modelled_lengths(state: JobState) -> None:
    state.note(EventType.DOWNLOADING_DATA, "m" * 9999)
    state.fail("r" * 9999)
    assert len(state.events[1].message) == 2500
    assert len(str(state.failure_reason)) == 1024
