"""What the lines of a job's log say beside plain text: metrics, and statuses; pure.

Braket's `log_metric` prints ``Metrics - timestamp=...; name=value; iteration_number=...;``
(amazon-braket-sdk, ``braket/jobs/metrics.py``), `covalent_braket_plugin.job.update_status` prints
``Status - timestamp=...; "text"`` with the text as JSON.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Metric", "Update", "metrics_in", "update_in"]

_METRICS = "Metrics - "
_PAIR = re.compile(r"(\w+)\s*=\s*([^;]+)\s*;")
_STATUS = re.compile(r'Status - timestamp=([0-9.]+); (".*")\s*$')


@dataclass(frozen=True)
class Metric:
    """One value of one metric.

    Attributes:
        name: The metric's name.
        value: Its value.
        timestamp: When, in seconds since 1970; None if the line does not say.
        iteration: In which iteration; None if the line does not say.
    """

    name: str
    value: float
    timestamp: float | None = None
    iteration: int | None = None


@dataclass(frozen=True)
class Update:
    """What the electron said of itself.

    Attributes:
        text: Its words.
        timestamp: When, in seconds since 1970.
    """

    text: str
    timestamp: float


def metrics_in(line: str) -> Iterator[Metric]:
    """Read the metrics of a line; there are none in most, and damaged ones are left out."""
    _, found, rest = line.partition(_METRICS)
    if not found:
        return
    pairs = {name: _number(text) for name, text in _PAIR.findall(rest)}
    timestamp, iteration = pairs.pop("timestamp", None), pairs.pop("iteration_number", None)
    whole = None if iteration is None or not math.isfinite(iteration) else int(iteration)
    for name, value in pairs.items():
        if value is not None:
            yield Metric(name, value, timestamp, whole)


def update_in(line: str) -> Update | None:
    """Read the status of a line; None in most."""
    match = _STATUS.search(line)
    if match is None:
        return None
    try:
        return Update(str(json.loads(match[2])), float(match[1]))
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
