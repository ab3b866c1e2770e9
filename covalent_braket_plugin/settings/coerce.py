"""From what users write (in Python, TOML or a variable) to the type of a setting."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from covalent_braket_plugin.settings.rules import Problem, closest
from covalent_braket_plugin.settings.table import Setting

__all__ = ["COERCE", "plain", "type_problem", "whole_place"]

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_FLAGS = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}


def plain(value: object) -> object:
    """Take a scalar of numpy (or of its relatives) out of its wrapping; other values stay."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def type_problem(setting: Setting, value: object) -> Problem:
    """Say what type a setting's value must have, and give an example."""
    return Problem(_type_fix(setting, value), _TYPES[setting.kind])


def _type_fix(setting: Setting, value: object) -> str:
    if setting.kind == "flag":
        return closest(value, _FLAGS) or "Use True or False."
    examples = {
        "map": "{'name': 'text'}",
        "values": "{'steps': 30}",
        "places": "{'train': 's3://bucket/folder'}",
        "whole": "30",
        "number": "30.0",
        "dollars": "5.0",
    }
    default = setting.default if setting.default not in (None, {}) else None
    if setting.kind == "names":
        default = list(setting.default)
    example = repr(default) if default is not None else examples.get(setting.kind, "'text'")
    return f"Use a value such as {example}."


def _to_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half a surrogate pair, which JSON cannot hold, is a ValueError
    return value.strip()


def _to_path(value: object) -> str:
    return _to_text(os.fspath(value) if isinstance(value, os.PathLike) else value)


def _to_whole(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, Integral | str):
        return int(value)
    number = _to_number(value)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _to_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _to_dollars(value: object) -> float | str:
    if isinstance(value, str) and value.strip().lower() == "none":
        return "none"
    return _to_number(value)


def _to_flag(value: object) -> bool:
    if not isinstance(value, bool | int | str):
        raise TypeError
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise ValueError
    return flag


def _to_map(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError
    pairs = [(key, plain(text)) for key, text in value.items()]
    if not all(isinstance(key, str) and isinstance(text, str | int | float) for key, text in pairs):
        raise TypeError
    made = {str(key): str(text) for key, text in pairs}
    "".join([*made, *made.values()]).encode()  # as above
    return made


def _to_places(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError
    return {_to_key(name): _to_path(place) for name, place in value.items()}


def whole_place(place: str) -> str:
    """Make a local path whole, as seen by the process that was given it; URIs stay."""
    return os.path.abspath(os.path.expanduser(place)) if place and "://" not in place else place


def _to_values(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    made = {_to_key(key): json.loads(json.dumps(value[key], default=_unwrapped)) for key in value}
    json.dumps(made, ensure_ascii=False).encode()  # as above
    return made


def _to_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError
    return str(key)


def _unwrapped(value: object) -> object:
    """Make of numpy's scalars and arrays what JSON can hold."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError


def _to_names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise TypeError
    names = [_to_text(name) for name in value]
    return tuple(dict.fromkeys(name for name in names if name))


COERCE = {
    "text": _to_text,
    "path": _to_path,
    "whole": _to_whole,
    "number": _to_number,
    "dollars": _to_dollars,
    "flag": _to_flag,
    "map": _to_map,
    "values": _to_values,
    "names": _to_names,
    "places": _to_places,
}
"""By kind of setting: makes a value the right type, or raises ValueError or TypeError."""

_TYPES = {
    "text": "it must be text",
    "path": "it must be a path",
    "whole": "it must be a whole number",
    "number": "it must be a number",
    "dollars": "it must be a number, or none",
    "flag": "it must be true or false",
    "map": "it must map text to text",
    "values": "it must map text to text, numbers, true and false, or lists and maps of them",
    "names": "it must be a list of words",
    "places": "it must map text to paths and S3 URIs",
}
