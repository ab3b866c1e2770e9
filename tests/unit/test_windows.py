"""Execution windows: which is open now, and which opens next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from covalent_braket_plugin.devices.windows import next_opening

# 2026-11-21 is a Saturday.
ALWAYS = ("Everyday", "00:00:00", "23:59:59")
OFFICE = ("Weekdays", "08:00:00", "16:00:00")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def opening(now: datetime, *windows: tuple[str, str, str]) -> tuple[datetime, datetime] | None:
    names = ("executionDay", "windowStartHour", "windowEndHour")
    return next_opening([dict(zip(names, each, strict=True)) for each in windows], now)


@pytest.mark.parametrize(
    ("now", "begin", "end"),
    [
        (at(23, 9), at(23, 8), at(23, 16)),
        (at(23, 7), at(23, 8), at(23, 16)),
        (at(23, 16), at(24, 8), at(24, 16)),
        (at(20, 17), at(23, 8), at(23, 16)),
        (at(21, 12), at(23, 8), at(23, 16)),
    ],
    ids=["open", "opens today", "has just closed", "on Friday evening", "on Saturday"],
)
def test_weekdays_are_monday_to_friday(now: datetime, begin: datetime, end: datetime) -> None:
    assert opening(now, OFFICE) == (begin, end)


@pytest.mark.parametrize("name", ["Weekend", "Weekends"])
def test_the_weekend_is_saturday_and_sunday(name: str) -> None:
    assert opening(at(23, 9), (name, "10:00:00", "12:00:00")) == (at(28, 10), at(28, 12))


def test_a_day_comes_once_a_week() -> None:
    assert opening(at(23, 13), ("Monday", "10:00:00", "12:00:00")) == (at(30, 10), at(30, 12))


def test_a_window_that_ends_before_it_begins_ends_on_the_next_day() -> None:
    night = ("Sunday", "22:00:00", "02:00:00")
    assert opening(at(23, 1), night) == (at(22, 22), at(23, 2))


def test_the_time_may_be_told_in_any_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert opening(datetime(2026, 11, 23, 17, 30, tzinfo=tokyo), OFFICE) == (at(23, 8), at(23, 16))


def test_windows_that_meet_are_one() -> None:
    first, second = ("Monday", "08:00:00", "11:59:59"), ("Monday", "12:00:00", "16:00:00")
    assert opening(at(23, 9), second, first) == (at(23, 8), at(23, 16))


def test_a_device_that_is_always_open_closes_in_no_week() -> None:
    found = opening(at(21, 12), ALWAYS)
    assert found is not None
    assert found[0] <= at(21, 0)
    assert found[1] > at(28, 12)


def test_no_window_is_none() -> None:
    assert opening(at(21, 12)) is None


@pytest.mark.parametrize(
    "odd",
    [("Someday", "08:00:00", "16:00:00"), ("Monday", "25:00:00", "26:00:00"), ("Monday", "", "")],
)
def test_a_window_that_nobody_understands_is_left_out_with_a_warning(
    odd: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert opening(at(23, 9), odd, OFFICE) == (at(23, 8), at(23, 16))
    assert opening(at(23, 9), odd) is None
    assert "is not understood" in caplog.text
