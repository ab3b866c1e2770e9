"""What the lines of a job's log say beside plain text: metrics, and statuses; pure.

Braket's `log_metric` prints ``Metrics - timestamp=...; name=value; iteration_number=...;``
(amazon-braket-sdk, ``braket/jobs/metrics.py``), `covalent_braket_plugin.job.update_status` prints
``Status - timestamp=...; "text"`` with the text as JSON. Electrons print what they like, and the
server reads it: the time that a line takes grows with its length, and no faster.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

__all__ = ["Metric", "Update", "metrics_in", "update_in"]

_METRICS = "Metrics - "
_STATUS = "Status - timestamp="
_NAME = re.compile(r"\w+$")
_MOST_CHARACTERS = 256
"""Of a name or a number; longer ones are none."""
_MOST_STEPS = 10**8
"""A time below is none of a job: it is in the first years after 1970."""
_MOST_SECONDS = 9e9
"""Of a timestamp: 2255, which pandas can still write down."""
_MOST_ITERATION = 2**53
"""Whole numbers up to here are the same in JSON, JavaScript and pandas."""


@dataclass(frozen=True, slots=True)
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
    pairs = dict(_pairs(rest))
    timestamp, iteration = pairs.pop("timestamp", None), pairs.pop("iteration_number", None)
    if iteration is None and timestamp is not None and _is_step(timestamp):
        timestamp, iteration = None, timestamp
    when = timestamp if _within(timestamp, _MOST_SECONDS) else None
    whole = int(iteration) if _within(iteration, _MOST_ITERATION) else None
    for name, value in pairs.items():
        if value is not None:
            yield Metric(name, value, when, whole)


def _is_step(timestamp: float) -> bool:
    """Whether it is a step, given to the SDK's ``log_metric`` as its third argument, the time."""
    return 0 < timestamp < _MOST_STEPS and timestamp.is_integer()


def _pairs(text: str) -> Iterator[tuple[str, float | None]]:
    """Read ``name=value;`` again and again, as the Braket SDK's ``LogMetricsParser`` does."""
    for pair in text.split(";")[:-1]:
        before, equals, value = pair.partition("=")
        name = _NAME.search(before.rstrip()[-_MOST_CHARACTERS:])
        if equals and name is not None:
            yield name[0], _number(value)


def update_in(line: str) -> Update | None:
    """Read the status of a line; None in most."""
    _, found, rest = line.partition(_STATUS)
    timestamp, separator, words = rest.partition("; ")
    when = _number(timestamp)
    if not (found and separator) or when is None or not words.startswith('"'):
        return None
    try:
        text = json.loads(words)
    except ValueError:
        return None
    # Half a pair of UTF-16, such as of a file's odd name, could not be sent to those who watch.
    return Update(text.encode("utf-8", "replace").decode(), when)


def _within(number: float | None, most: float) -> TypeGuard[float]:
    return number is not None and abs(number) <= most


def _number(text: str) -> float | None:
    if len(text) > _MOST_CHARACTERS:
        return None
    try:
        return float(text)
    except ValueError:
        return None
