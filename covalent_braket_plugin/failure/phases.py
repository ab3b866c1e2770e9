"""In which phase a job failed, and how long each phase took; pure."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.protocol import Outcome

__all__ = ["braket_phases", "last_phase", "seconds_text", "worker_phases"]

_WORDS = {
    "WAITING_FOR_PRIORITY": "waiting for priority",
    "QUEUED_FOR_EXECUTION": "queued",
    "STARTING_INSTANCE": "starting the instance",
    "DOWNLOADING_DATA": "downloading data",
    "RUNNING": "running",
    "DEPRIORITIZED_DUE_TO_INACTIVITY": "running without priority",
    "UPLOADING_RESULTS": "uploading results",
}
"""Types of events that begin a phase (botocore's model, ``HybridJobEventType``); others end one."""

_OF_THE_CHILD = (
    *("load", "bash", "pip", "call_before", "electron", "call_after", "pickle"),
    "upload",
)
_OF_THE_WORKER = ("fetch", "verify", *_OF_THE_CHILD)
_MINUTE = 60


def braket_phases(job: Job) -> list[tuple[str, float]]:
    """Tell how long each of Braket's phases took, in seconds, from the job's events in order.

    Without events, what the job's times say: how long it was queued, and how long it ran.
    """
    timed = [(event.type, event.time) for event in job.events if event.time is not None]
    found: dict[str, float] = {}
    for (kind, begin), (_, end) in pairwise(timed):
        if kind in _WORDS:
            found[_WORDS[kind]] = found.get(_WORDS[kind], 0.0) + _between(begin, end)
    return list(found.items()) or _from_times(job)


def _from_times(job: Job) -> list[tuple[str, float]]:
    found = []
    if job.created_at is not None and job.started_at is not None:
        found.append(("queued", _between(job.created_at, job.started_at)))
    if job.started_at is not None and job.ended_at is not None:
        found.append(("running", _between(job.started_at, job.ended_at)))
    return found


def _between(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())


def worker_phases(outcome: Outcome | None) -> list[tuple[str, float]]:
    """Tell how long each phase of the worker in the job took, in seconds, in order."""
    seconds = outcome.seconds if outcome is not None else {}
    known = [(name, seconds[name]) for name in _OF_THE_WORKER if name in seconds]
    # "run" is the whole of the electron's process: of use only if that says nothing of itself.
    if "run" in seconds and not any(name in _OF_THE_CHILD[:-1] for name, _ in known):
        where = next((at for at, (name, _) in enumerate(known) if name == "upload"), len(known))
        known.insert(where, ("run", seconds["run"]))
    return known


def last_phase(job: Job) -> str:
    """Tell the last phase that a job's events speak of; empty if there are none."""
    return next((_WORDS[kind] for kind in reversed(job.event_types) if kind in _WORDS), "")


def seconds_text(seconds: float) -> str:
    """Write a duration: ``0.04 s``, ``12.3 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE:02d} min"
