"""What the live page and `covalent-braket watch` are told of a dispatch, as JSON; pure.

Covalent's word is the last one on how an electron ended; until then the board knows more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from covalent_braket_plugin.covalent_compat.store import TERMINAL
from covalent_braket_plugin.covalent_compat.ui.record import NodeRecord, Record
from covalent_braket_plugin.failure import console_link
from covalent_braket_plugin.monitoring.board import Entry
from covalent_braket_plugin.monitoring.lines import Metric

__all__ = ["dispatch_view", "summary"]

POINTS = 500
ALL_POINTS = 20_000
"""So many values at most are told in one answer, of all metrics together."""
ERRORS_CHARS = 500_000
PHASES = {"NEW_OBJECT": "waiting", "PENDING_REUSE": "waiting", "DISPATCHING": "running"}
"""What Covalent's word means where the board knows nothing; others: the word itself."""


def summary(record: Record) -> dict[str, Any]:
    """Tell of a dispatch what a list shows."""
    return {
        "dispatch_id": record.dispatch_id,
        "workflow": record.workflow,
        "status": record.status,
        "began": _iso(record.began),
    }


def dispatch_view(
    record: Record,
    entries: Sequence[Entry],
    metrics: Callable[[int], Mapping[str, Sequence[Metric]]],
    now: datetime,
) -> dict[str, Any]:
    """Tell all of a dispatch that changes while it runs.

    Args:
        record: What Covalent's database says.
        entries: What the board says.
        metrics: The values of a node's metrics.
        now: The time (UTC).
    """
    known = {entry.node_id: entry for entry in entries}
    values = {node_id: metrics(node_id) for node_id in known}
    series = sum(map(len, values.values()))
    points = min(POINTS, ALL_POINTS // series) if series else POINTS
    costs = [entry.cost_usd for entry in entries if entry.cost_usd is not None]
    electrons = [_electron(node, known.get(node.node_id), now) for node in record.nodes]
    for electron in electrons if record.status in TERMINAL else ():
        if electron["status"] == "NEW_OBJECT":  # Covalent leaves what did not run as it was
            electron["phase"] = "skipped"
    _bound_errors(electrons)
    for electron in electrons:
        of_node = values.get(electron["node_id"], {})
        electron["metrics"] = {name: _points(of_node[name], points) for name in sorted(of_node)}
    return {
        **summary(record),
        "now": now.isoformat(),
        "cost_usd": sum(costs) if costs else None,
        "electrons": electrons,
    }


def _electron(node: NodeRecord, entry: Entry | None, now: datetime) -> dict[str, Any]:
    history = list(entry.history) if entry else []
    phase = _phase(node, entry)
    began = history[0][1] if history else node.began
    ended = node.ended if node.status in TERMINAL else None
    if history and phase != history[-1][0] and ended:
        history.append((phase, ended))  # type: ignore[arg-type]  # Covalent's words are phases too
    since = history[-1][1] if history else (ended or node.began)
    arn = (entry.job_arn if entry else "") or node.job_arn
    return {
        "node_id": node.node_id,
        "name": node.name,
        "executor": node.executor,
        "status": node.status,
        "phase": phase,
        "note": entry.note if entry and entry.phase == phase else "",
        "since": _iso(since),
        "history": [[name, _iso(time)] for name, time in history],
        "seconds": _seconds(began, ended or now) if node.began or history else None,
        "attempt": entry.attempt if entry else 1,
        "job_arn": arn,
        "job_name": entry.job_name if entry else "",
        "console_url": console_link(arn),
        "status_text": entry.status_text if entry else "",
        "last_line": entry.last_line if entry else "",
        "error": node.error or (entry.error if entry else ""),
        "cost_usd": entry.cost_usd if entry else None,
        "sub_dispatch_id": node.sub_dispatch_id,
    }


def _phase(node: NodeRecord, entry: Entry | None) -> str:
    if entry is None or node.status in TERMINAL:
        return PHASES.get(node.status, node.status.lower())
    return entry.phase


def _seconds(began: datetime | None, ended: datetime) -> float | None:
    return None if began is None else round(max(0.0, (ended - began).total_seconds()), 1)


def _bound_errors(electrons: Sequence[dict[str, Any]]) -> None:
    """Leave no more text of errors than a page can show; each stays a line at least."""
    failed = [electron for electron in electrons if electron["error"]]
    if sum(len(electron["error"]) for electron in failed) > ERRORS_CHARS:
        for electron in failed:
            electron["error"] = electron["error"].partition("\n")[0][:300]


def _points(values: Sequence[Metric], most: int) -> list[list[float | int | None]]:
    newest = values[-most:] if most else []
    # JSON has no word for what is not a finite number.
    return [
        [each.iteration, each.timestamp, each.value if math.isfinite(each.value) else None]
        for each in newest
    ]


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
