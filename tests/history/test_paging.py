"""Pages of jobs are read as they are needed, in whatever order they come; in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from covalent_braket_plugin.descriptions import JobSummary, Page
from covalent_braket_plugin.errors import AccessError, AwsError, ThrottledError
from covalent_braket_plugin.history.paging import newest_first


def job(minute: int) -> JobSummary:
    made = datetime(2026, 1, 31, tzinfo=UTC) + timedelta(minutes=minute)
    return JobSummary(arn=f"job/{minute}", name=str(minute), status="QUEUED", created_at=made)


class Service:
    """Gives pages of jobs, and first some errors."""

    def __init__(self, *pages: list[int], errors: Sequence[AwsError] = ()) -> None:
        self.pages, self.errors = pages, list(errors)
        self.asked: list[str] = []
        self.waited = 0.0

    def ask(self, token: str) -> Page[JobSummary]:
        self.asked.append(token)
        if self.errors:
            raise self.errors.pop(0)
        number = int(token or 0)
        following = str(number + 1) if number + 1 < len(self.pages) else ""
        return Page([job(minute) for minute in self.pages[number]], following)

    def wait(self, seconds: float) -> None:
        self.waited += seconds

    def names(self, most: int | None = None) -> list[int]:
        return [int(each.name) for each in islice(newest_first(self.ask, self.wait), most)]


def test_pages_in_order_are_read_when_they_are_reached() -> None:
    service = Service([9, 8, 8], [7, 6], [5])
    assert service.names(most=4) == [9, 8, 8, 7]
    assert service.asked == ["", "1"]
    assert service.names() == [9, 8, 8, 7, 6, 5]


def test_pages_in_another_order_are_all_read_and_sorted() -> None:
    service = Service([1, 2, 3], [4, 5], [6])
    assert service.names(most=2) == [6, 5]
    assert service.asked == ["", "1", "2"]
    assert Service([3, 1, 2]).names() == [3, 2, 1]


def test_what_is_throttled_is_asked_again_later() -> None:
    throttled = [ThrottledError("slower", transient=True) for _ in range(3)]
    service = Service([2], [1], errors=throttled)
    assert service.names() == [2, 1]
    assert service.waited == 7.0


def test_what_is_refused_or_stays_throttled_is_said() -> None:
    with pytest.raises(AccessError):
        Service([1], errors=[AccessError("no")]).names()
    throttled = [ThrottledError("slower", transient=True) for _ in range(9)]
    service = Service([1], errors=throttled)
    with pytest.raises(ThrottledError):
        service.names()
    assert service.waited < 60
