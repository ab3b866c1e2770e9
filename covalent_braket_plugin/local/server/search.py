"""Filters and pages of the Search operations.

The service documents neither order nor default page size; clients rely on seeing what they just
created, so the newest come first, and a page holds 100, the modelled maximum.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from covalent_braket_plugin.local.service import Params, ServiceError

__all__ = ["DEFAULT_PAGE", "check", "matches", "newest_first", "page"]

DEFAULT_PAGE = 100
TIMES = frozenset({"createdAt"})

Record = TypeVar("Record")

_COMPARE: dict[str, Callable[[Any, Sequence[Any]], bool]] = {
    "EQUAL": lambda value, given: value in given,
    "LT": lambda value, given: value < given[0],
    "LTE": lambda value, given: value <= given[0],
    "GT": lambda value, given: value > given[0],
    "GTE": lambda value, given: value >= given[0],
    "BETWEEN": lambda value, given: given[0] <= value <= given[1],
    "CONTAINS": lambda value, given: any(part in value for part in given),
}
_ANY_NUMBER = frozenset({"EQUAL", "CONTAINS"})
_VALUES = {"BETWEEN": 2}


def check(names: Collection[str], filters: Sequence[Params]) -> None:
    """Check filters before anything is searched.

    Args:
        names: The names that can be filtered by.
        filters: The member ``filters`` of the request.

    Raises:
        ServiceError: ``ValidationException`` for an unknown name, an operator that does not fit
            the name, a wrong number of values, or a malformed time.
    """
    for item in filters:
        name, operator, values = item["name"], _operator(item), item["values"]
        if name not in names:
            raise _invalid(f"Filter name {name!r} is not one of {', '.join(sorted(names))}")
        if operator == "CONTAINS" and name in TIMES:
            raise _invalid(f"Filter {name} does not take the operator CONTAINS")
        wanted = len(values) if operator in _ANY_NUMBER else _VALUES.get(operator, 1)
        if len(values) != wanted:
            raise _invalid(f"Filter {name} {operator} takes {wanted} values, not {len(values)}")
        _given(name, values)


def matches(fields: Mapping[str, object], filters: Sequence[Params]) -> bool:
    """Whether a record passes all filters, which `check` has seen.

    Args:
        fields: The record's values by name: text or times; None never matches.
        filters: The member ``filters`` of the request.
    """
    return all(
        fields[item["name"]] is not None
        and _COMPARE[_operator(item)](fields[item["name"]], _given(item["name"], item["values"]))
        for item in filters
    )


def newest_first(records: Mapping[str, Record]) -> Iterator[tuple[int, Record]]:
    """Records that were put in as they were created, the newest first, each with its number."""
    return zip(range(len(records), 0, -1), reversed(list(records.values())), strict=True)


def page(found: Sequence[tuple[int, Record]], params: Params) -> tuple[list[Record], str | None]:
    """Cut one page out of the records that were found.

    The token holds the number of the page's last record, and the next page goes on below it: it
    does not matter whether that record still passes the filters.

    Args:
        found: All records that match, each with a number that it keeps; highest first.
        params: The members ``filters``, ``maxResults`` and ``nextToken`` of the request.

    Returns:
        The records, and the token of the next page (None: this was the last).

    Raises:
        ServiceError: ``ValidationException`` for a token that is not of this search.
    """
    mark = _mark(params["filters"])
    if params.get("nextToken"):
        last = _read_token(params["nextToken"], mark)
        found = [(number, record) for number, record in found if number < last]
    end = params.get("maxResults") or DEFAULT_PAGE
    shown = [record for _, record in found[:end]]
    return shown, _write_token(found[end - 1][0], mark) if end < len(found) else None


def _operator(item: Params) -> str:
    return str(item.get("operator", "EQUAL"))


def _given(name: str, values: Sequence[str]) -> Sequence[Any]:
    return [_time(name, value) for value in values] if name in TIMES else values


def _time(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(f"Filter {name}: {text!r} is not an ISO-8601 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mark(filters: Sequence[Params]) -> str:
    """Ties a token to its search: with other filters it would skip records."""
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]


def _write_token(last: int, mark: str) -> str:
    return base64.urlsafe_b64encode(f"{mark} {last}".encode()).decode()


def _read_token(token: str, mark: str) -> int:
    try:
        found, _, last = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        number = int(last)
    except (binascii.Error, ValueError):
        raise _bad_token() from None
    if found != mark:
        raise _bad_token()
    return number


def _bad_token() -> ServiceError:
    return _invalid("The nextToken is not valid for this search")


def _invalid(text: str) -> ServiceError:
    return ServiceError("ValidationException", text)
