"""What an electron does now: put on the board, and told in the server's log when it changes.

Used on the event loop of the server only.
"""

from __future__ import annotations

import logging
from typing import Any

from covalent_braket_plugin.descriptions import Job, JobSummary
from covalent_braket_plugin.monitoring.board import BOARD, ENDED, Entry, Phase

__all__ = ["enter", "failed", "heard", "phase_of"]

log = logging.getLogger(__name__)

_OF_BRAKET: tuple[Phase, ...] = ("queued", "starting", "running", "uploading")
"""What Braket says of a job, in order."""
_BEFORE: tuple[Phase, ...] = ("staging", "waiting", *_OF_BRAKET)
_OF_EVENTS: dict[str, Phase] = {
    "QUEUED_FOR_EXECUTION": "queued",
    "STARTING_INSTANCE": "starting",
    "DOWNLOADING_DATA": "starting",
    "RUNNING": "running",
    "UPLOADING_RESULTS": "uploading",
}
_NOTES = {"DOWNLOADING_DATA": "downloading input data"}


def enter(dispatch_id: str, node_id: int, phase: Phase, **changes: Any) -> Entry:
    """Put an electron's phase on the board, with other fields of its entry.

    One that is new stands in the server's log, with how long the one before lasted.
    """
    before = BOARD.entry(dispatch_id, node_id)
    entry = BOARD.set(dispatch_id, node_id, phase=phase, **changes)
    if before is not None and before.phase != phase:
        lasted = (entry.since - before.since).total_seconds()
        who = entry.job_name or f"{entry.name} (node {node_id} of dispatch {dispatch_id})"
        note = f": {entry.note}" if entry.note else ""
        # Of those that really have to wait the server's log tells once, by `node_log`.
        level = logging.DEBUG if phase == "waiting" else logging.INFO
        log.log(level, "%s is %s after %.1f s %s%s", who, phase, lasted, before.phase, note)
    return entry


def failed(dispatch_id: str, node_id: int, error: str) -> None:
    """Note that an electron has failed, unless it is known how it ended."""
    entry = BOARD.entry(dispatch_id, node_id)
    if entry is None or entry.phase not in ENDED:
        enter(dispatch_id, node_id, "failed", error=error.partition("\n")[0])


def heard(dispatch_id: str, node_id: int, job: JobSummary) -> None:
    """Note what Braket says of an electron's job that has not ended."""
    found = phase_of(job)
    entry = BOARD.entry(dispatch_id, node_id)
    if found is None or (entry is not None and entry.phase not in _BEFORE):
        return
    phase, note = found
    changes: dict[str, Any] = {"job_arn": job.arn, "job_name": job.name}
    if isinstance(job, Job):
        changes["note"] = note
    elif entry is not None and _BEFORE.index(phase) < _BEFORE.index(entry.phase):
        return  # SearchJobs tells no events: it knows less than what was heard before
    enter(dispatch_id, node_id, phase, **changes)


def phase_of(job: JobSummary) -> tuple[Phase, str] | None:
    """Read from a job what it does, and more about that; None if it has ended. Pure."""
    if job.ended:
        return None
    phase: Phase = "queued" if job.status == "QUEUED" else "running"
    events = job.event_types if isinstance(job, Job) else ()
    last = next((each for each in reversed(events) if each in _OF_EVENTS), "")
    if last:
        of_event = _OF_EVENTS[last]
        phase = of_event if _OF_BRAKET.index(of_event) > 0 or job.status == "QUEUED" else phase
    if job.status == "CANCELLING":
        return phase, "being cancelled"
    if phase == "queued" and isinstance(job, Job) and job.queue_position:
        return phase, f"position {job.queue_position} in Braket's queue"
    return phase, _NOTES.get(last, "")
