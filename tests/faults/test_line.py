"""The line itself: refused, silent, and a name that cannot be resolved."""

from __future__ import annotations

import time
from pathlib import Path

import covalent as ct
import pytest

from tests.faults.table import OPERATIONS, PHASES, Phase
from tests.support.bad_line import ANSWER, BadLine, answering
from tests.support.braket_server import eventually

pytestmark = pytest.mark.e2e

REFUSED_SECONDS = 2.5
"""Longer than botocore's own attempts take."""


def begin(line: BadLine, phase: Phase, place: Path) -> str:
    """Start a workflow; comes back in the phase, whose first call has failed by then."""
    rule = {"operation": OPERATIONS[phase], "kind": "error", "caller": "dispatcher"}
    if phase in ("wait", "cancel"):
        dispatch_id = line.start_waiting(place)
        line.stage.braket.faults(rule)
        if phase == "cancel":
            ct.cancel(dispatch_id, dispatcher_addr=line.stage.url)
    else:
        line.stage.braket.faults(rule)
        dispatch_id = line.start(answering)
    eventually(lambda: line.faults_left() == [])
    return dispatch_id


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_lost_while_connections_are_refused(
    line: BadLine, phase: Phase, place: Path
) -> None:
    dispatch_id = begin(line, phase, place)
    line.proxy.become("refuse")
    if phase == "wait":  # it ends while nobody can ask
        (place / "release").touch()
    time.sleep(REFUSED_SECONDS)
    line.proxy.become("pass")
    ended = line.ended(dispatch_id)
    expected = "CANCELLED" if phase == "cancel" else "COMPLETED"
    assert (ended.status, len(ended.jobs)) == (expected, 1), ended.error
    assert ended.left == []


@pytest.mark.slow
def test_nothing_is_lost_when_connections_hang(line: BadLine, place: Path) -> None:
    cancelled = line.start_waiting(place)
    rules = [
        {"operation": operation, "kind": "hang", "caller": "dispatcher"}
        for operation in OPERATIONS.values()
    ]
    line.stage.braket.faults(*rules)
    ct.cancel(cancelled, dispatcher_addr=line.stage.url)
    # Each rule hits one call, of whichever electron comes there first.
    started = [line.start(answering) for _ in range(3)]
    for dispatch_id in started:
        ended = line.ended(dispatch_id)
        assert (ended.status, ended.value, len(ended.jobs)) == ("COMPLETED", ANSWER, 1), ended.error
    assert line.ended(cancelled).job_statuses == ["CANCELLED"]
    assert line.faults_left() == []


def test_error_after_a_long_silence_names_the_job_that_may_still_run(
    line: BadLine, place: Path
) -> None:
    dispatch_id = line.start_waiting(place, give_up_after=2)
    rule = {"kind": "error", "times": 0, "caller": "dispatcher"}
    line.stage.braket.faults(*({"operation": each, **rule} for each in ("GetJob", "SearchJobs")))
    line.stage.result(dispatch_id)
    (place / "release").touch()
    line.mend()
    ended = line.ended(dispatch_id)
    (job,) = ended.jobs
    assert ended.status == "FAILED"
    assert f"The job {job['jobArn']} may still run" in ended.error
    line.stage.braket.wait(job["jobArn"], "COMPLETED")


def test_name_that_does_not_resolve_is_said_once_patience_is_over(line: BadLine) -> None:
    ended = line.ended(line.start(answering, endpoint_url="http://braket.invalid", give_up_after=1))
    assert ended.status == "FAILED"
    assert "no answer from AWS" in ended.error
    assert "braket.invalid" in ended.error
    assert ended.jobs == []
