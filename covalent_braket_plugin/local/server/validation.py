"""Checks a request against every constraint of the service model.

botocore checks only required members, types and minimum lengths before it sends, so maxima,
patterns and enums are the server's to enforce. The service answers a violation with a
``BadRequestException`` that its model does not list, and so do we.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from covalent_braket_plugin.local.service import ServiceError

__all__ = ["check", "violations"]

SHOWN_VALUE_CHARACTERS = 60


def check(shape: Any, value: Mapping[str, Any]) -> None:
    """Check request members against their input shape.

    Args:
        shape: botocore's input shape of the operation.
        value: The parsed members.

    Raises:
        ServiceError: ``BadRequestException`` naming the first violation.
    """
    for path, rule in violations(shape, value):
        raise ServiceError("BadRequestException", f"Invalid request body: {path} {rule}")


def violations(shape: Any, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, broken rule) for each constraint that the value breaks, recursively."""
    checker = _CHECKERS.get(shape.type_name)
    if checker is not None:
        yield from checker(shape, value, path)


def _structure(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield path or "body", "must be an object"
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield _join(path, name), "is required"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from violations(member, value[name], _join(path, name))


def _list(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield path, "must be a list"
        return
    yield from _size(shape, len(value), path, "must have {} {} items")
    for index, item in enumerate(value):
        yield from violations(shape.member, item, f"{path}[{index}]")


def _map(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield path, "must be an object"
        return
    yield from _size(shape, len(value), path, "must have {} {} entries")
    for key, item in value.items():
        yield from violations(shape.key, key, f"{path} key {_shown(key)}")
        yield from violations(shape.value, item, f"{path}.{key}")


def _string(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, str):
        yield path, "must be a string"
        return
    yield from _size(shape, len(value), path, "must have {} {} characters")
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield path, f"must be one of the modelled values, not {_shown(value)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield path, f"must match {pattern}, not {_shown(value)}"


def _integer(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield path, "must be an integer"
        return
    yield from _size(shape, value, path, "must be {} {}")


def _boolean(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, bool):
        yield path, "must be true or false"


def _size(shape: Any, size: int, path: str, rule: str) -> Iterator[tuple[str, str]]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield path, rule.format("at least", low)
    if high is not None and size > high:
        yield path, rule.format("at most", high)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_VALUE_CHARACTERS else f"{text[:SHOWN_VALUE_CHARACTERS]}..."


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_CHECKERS: dict[str, Callable[[Any, Any, str], Iterator[tuple[str, str]]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "boolean": _boolean,
}
