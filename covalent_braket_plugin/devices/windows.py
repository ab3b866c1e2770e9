"""When a device runs what is queued for it: its execution windows, in UTC."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

__all__ = ["Opening", "next_opening"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_GROUPS = {
    "Everyday": range(7),
    "Weekdays": range(5),
    "Weekend": range(5, 7),
    "Weekends": range(5, 7),
}
DAY = timedelta(days=1)

log = logging.getLogger(__name__)


class Opening(NamedTuple):
    """One time during which a device is open."""

    begin: datetime
    end: datetime


def next_opening(windows: Iterable[Mapping[str, str]], now: datetime) -> Opening | None:
    """Find the window that is open, else the one that opens next.

    Args:
        windows: ``executionWindows`` of the device's capabilities.
        now: The time, with its zone.

    Returns:
        Its begin and end (UTC); windows that meet count as one. None if there is none. What is not
        a window as AWS writes them today is left out, with a warning.
    """
    openings = sorted(each for window in windows for each in _known_openings(window, now))
    joined: list[Opening] = []
    for each in openings:
        if joined and each.begin <= joined[-1].end + timedelta(seconds=1):
            joined[-1] = Opening(joined[-1].begin, max(joined[-1].end, each.end))
        else:
            joined.append(each)
    return next((each for each in joined if each.end > now), None)


def _known_openings(window: Mapping[str, str], now: datetime) -> list[Opening]:
    try:
        return list(_openings(window, now))
    except (KeyError, TypeError, ValueError):
        log.warning("This execution window of a device is not understood, and left out: %s", window)
        return []


def _openings(window: Mapping[str, str], now: datetime) -> Iterator[Opening]:
    """Of one window, those of the days around now."""
    name = window["executionDay"]
    days = _GROUPS.get(name) or (_DAYS.index(name),)
    begin, end = (time.fromisoformat(window[f"window{which}Hour"]) for which in ("Start", "End"))
    today = now.astimezone(UTC).date()
    for offset in range(-1, 9):
        day = today + offset * DAY
        if day.weekday() in days:
            opens = datetime.combine(day, begin, UTC)
            # What ends before it begins, ends on the day after.
            closes = datetime.combine(day, end, UTC) + (DAY if end <= begin else timedelta())
            yield Opening(opens, closes)
