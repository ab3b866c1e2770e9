"""What this server knows of the electrons that it runs as jobs, for those who watch; in memory.

Filled by those who see an electron through, read by the live page and by `covalent-braket watch`.
Used on the event loop of the server only. It forgets the dispatches of which it has
heard nothing for longest.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from covalent_braket_plugin.monitoring.lines import Metric

__all__ = ["BOARD", "ENDED", "Board", "Entry", "Phase", "newest"]

Phase = Literal[
    "staging",
    "waiting",
    "queued",
    "starting",
    "running",
    "uploading",
    "collecting",
    "completed",
    "failed",
    "cancelled",
]
"""``staging``: the payload goes to S3; ``waiting``: for a slot; ``queued``: the job is in Braket's
queue; ``starting``: its instance starts; ``uploading``: Braket stores its results; ``collecting``:
they come back."""

ENDED: frozenset[Phase] = frozenset({"completed", "failed", "cancelled"})

DISPATCHES = 200
POINTS = 500
"""So many of the newest values of each metric are kept, fewer if there are very many metrics."""
ALL_POINTS = 500_000
NAMES = 100
"""So many metrics of one electron: more are not meant to be looked at."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How one electron is now.

    Attributes:
        dispatch_id: The dispatch's UUID.
        node_id: The graph node.
        name: The electron's function name.
        phase: What it does.
        note: More about that, such as ``"4 electrons ahead, 3 of 3 jobs running"``.
        since: Since when it is in this phase (UTC).
        history: Its phases up to now with their beginnings, in order.
        attempt: Which attempt it is.
        job_arn: Its job; empty if there is none yet.
        job_name: The job's name.
        status_text: What it said last by `update_status`.
        last_line: The last line of its log.
        error: Why it failed, in one line.
        cost_usd: What it has cost up to now, in US dollars; None if that is not known.
    """

    dispatch_id: str
    node_id: int
    name: str = ""
    phase: Phase = "staging"
    note: str = ""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    history: tuple[tuple[Phase, datetime], ...] = ()
    attempt: int = 1
    job_arn: str = ""
    job_name: str = ""
    status_text: str = ""
    last_line: str = ""
    error: str = ""
    cost_usd: float | None = None


class Board:
    """The electrons of the latest dispatches."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, dict[int, Entry]] = OrderedDict()
        self._costs: dict[tuple[str, int], dict[str, float]] = {}
        self._metrics: dict[tuple[str, int], dict[str, deque[Metric]]] = {}
        self._series = 0

    def set(self, dispatch_id: str, node_id: int, **changes: Any) -> Entry:
        """Note what is new of an electron: fields of its `Entry`; a new phase begins now."""
        of_dispatch = self._entries.setdefault(dispatch_id, {})
        self._entries.move_to_end(dispatch_id)
        known = node_id in of_dispatch
        entry = of_dispatch.get(node_id) or Entry(dispatch_id=dispatch_id, node_id=node_id)
        if not known or changes.get("phase", entry.phase) != entry.phase:
            phase, now = changes.get("phase", entry.phase), datetime.now(UTC)
            beginnings = {"note": "", "since": now, "history": (*entry.history, (phase, now))}
            changes = beginnings | changes
        of_dispatch[node_id] = entry = replace(entry, **changes)
        self._forget()
        return entry

    def add_metric(self, dispatch_id: str, node_id: int, metric: Metric) -> None:
        """Note a value of a metric, unless the electron has very many, or is not known here."""
        if self.entry(dispatch_id, node_id) is None:
            return
        series = self._metrics.setdefault((dispatch_id, node_id), {})
        if metric.name not in series:
            if len(series) >= NAMES:
                return
            series[metric.name] = deque()
            self._series += 1
        points = series[metric.name]
        points.append(metric)
        while len(points) > max(1, min(POINTS, ALL_POINTS // self._series)):
            points.popleft()

    def set_cost(self, dispatch_id: str, node_id: int, job_arn: str, usd: float) -> None:
        """Note what one of an electron's jobs has cost: each attempt is one."""
        costs = self._costs.setdefault((dispatch_id, node_id), {})
        costs[job_arn] = usd
        self.set(dispatch_id, node_id, cost_usd=sum(costs.values()))

    def replace_metrics(self, dispatch_id: str, node_id: int, metrics: Iterable[Metric]) -> None:
        """Note all values of an electron's metrics anew, once all that it printed is here."""
        self._drop_metrics(dispatch_id, node_id)
        for metric in metrics:
            self.add_metric(dispatch_id, node_id, metric)

    def entry(self, dispatch_id: str, node_id: int) -> Entry | None:
        """Tell how one electron is; None if it is not known here."""
        return self._entries.get(dispatch_id, {}).get(node_id)

    def entries(self, dispatch_id: str) -> list[Entry]:
        """Tell how a dispatch's electrons are, by node; none if it is not known here."""
        found = self._entries.get(dispatch_id, {})
        return [found[node_id] for node_id in sorted(found)]

    def metrics(self, dispatch_id: str, node_id: int) -> dict[str, list[Metric]]:
        """Tell the values of an electron's metrics, oldest first, by name."""
        found = self._metrics.get((dispatch_id, node_id), {})
        return {name: list(points) for name, points in found.items()}

    def _drop_metrics(self, dispatch_id: str, node_id: int) -> None:
        self._series -= len(self._metrics.pop((dispatch_id, node_id), ()))

    def _forget(self) -> None:
        while len(self._entries) > DISPATCHES:
            dispatch_id, entries = self._entries.popitem(last=False)
            for node_id in entries:
                self._drop_metrics(dispatch_id, node_id)
                self._costs.pop((dispatch_id, node_id), None)


def newest(metrics: Iterable[Metric]) -> list[Metric]:
    """Leave out what a `Board` would not keep; for any thread, so that the event loop need not."""
    series: dict[str, deque[Metric]] = {}
    for metric in metrics:
        if metric.name in series or len(series) < NAMES:
            series.setdefault(metric.name, deque(maxlen=POINTS)).append(metric)
    return [metric for points in series.values() for metric in points]


BOARD = Board()
"""The one of this process."""
