"""JSON into dataclasses, checked: what comes back from a bucket may be damaged in any way."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar

from covalent_braket_plugin.errors import IntegrityError

__all__ = ["record"]

_Record = TypeVar("_Record")


def record(kind: type[_Record], raw: object, where: str) -> _Record:
    """Make a dataclass of what JSON gave.

    Args:
        kind: The dataclass; its annotations say what its fields must be.
        raw: What was decoded.
        where: What it is, for errors, such as ``outcome``.

    Raises:
        IntegrityError: A field is missing, unknown or of another type; the text names it.
    """
    if not isinstance(raw, dict):
        raise _wrong(where, "an object", raw)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(raw) - set(known))
    required = {
        name
        for name, field in known.items()
        if field.default is MISSING and field.default_factory is MISSING
    }
    missing = sorted(required - set(raw))
    if unknown or missing:
        what = f"has no {missing[0]!r}" if missing else f"has an unknown field {unknown[0]!r}"
        raise IntegrityError(f"The {where} {what}: it is damaged, or not ours")
    hints = typing.get_type_hints(kind)
    return kind(**{key: _checked(hints[key], raw[key], f"{where}.{key}") for key in raw})


def _checked(hint: Any, raw: Any, where: str) -> Any:
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Any:
        return raw
    if kind is Literal:
        if raw not in inner:
            raise _wrong(where, " or ".join(map(repr, inner)), raw)
        return raw
    if kind in (types.UnionType, typing.Union):  # the only unions here are with None
        return None if raw is None else _checked(inner[0], raw, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return record(kind, raw, where)
    if kind is str and isinstance(raw, str):
        # JSON can say half of a character, which no file, page or terminal can.
        return raw.encode("utf-8", "replace").decode("utf-8")
    accepted = (int, float) if kind is float else kind
    if not isinstance(raw, accepted) or (isinstance(raw, bool) and kind is not bool):
        raise _wrong(where, kind.__name__, raw)
    return _container(inner, raw, where) if inner else raw


def _container(inner: tuple[Any, ...], raw: Any, where: str) -> Any:
    if isinstance(raw, Mapping):
        return {key: _checked(inner[1], raw[key], f"{where}[{key!r}]") for key in raw}
    return [_checked(inner[0], item, f"{where}[{index}]") for index, item in enumerate(raw)]


def _wrong(where: str, wanted: str, raw: object) -> IntegrityError:
    shown = repr(raw)
    shown = shown if len(shown) <= 80 else shown[:80] + "..."
    return IntegrityError(f"The {where} is {shown} where {wanted} is due: it is damaged")
