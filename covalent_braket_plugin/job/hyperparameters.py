"""Hyperparameters: text on their way and in Braket's console, values in the electron.

Braket knows text only, on one line. Such text stays as it is; other values are JSON. Text that
looks like JSON (such as ``"7"``, which could be read as a number) is named in a hyperparameter of
ours, so that it comes back as text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

__all__ = ["HP_TEXT", "as_text", "decode", "encode", "hyperparameters"]

HP_TEXT = "covalent_text"
"""Hyperparameter that lists which others are text although they look like JSON."""

OURS = ("covalent_", "sagemaker_")
"""How the names of those begin that are not the user's."""


def as_text(value: object) -> str:
    """Write a value as Braket gets it: at least one character, on one line.

    Raises:
        TypeError: JSON cannot hold it.
    """
    if isinstance(value, str) and value and len(value.splitlines()) == 1 and value.isprintable():
        return value
    return json.dumps(value)


def encode(values: Mapping[str, object]) -> dict[str, str]:
    """Write hyperparameters as Braket gets them."""
    texts = {name: as_text(value) for name, value in values.items()}
    alike = [name for name, text in texts.items() if text == values[name] and _is_json(text)]
    return {**texts, HP_TEXT: json.dumps(alike)} if alike else texts


def decode(found: Mapping[str, str]) -> dict[str, Any]:
    """Read back what `encode` or another program wrote; ours are left out."""
    texts = _names(found.get(HP_TEXT, "[]"))
    return {
        name: text if name in texts else _value(text)
        for name, text in found.items()
        if not name.startswith(OURS)
    }


def hyperparameters() -> dict[str, Any]:
    """Read the job's hyperparameters, each in the type that it was given in.

    Returns:
        By name; nothing outside a job.
    """
    named = os.environ.get("AMZN_BRAKET_HP_FILE", "")
    if not named or not Path(named).is_file():
        return {}
    return decode(json.loads(Path(named).read_text()))


def _names(text: str) -> frozenset[str]:
    listed = _value(text)  # of another program it may be anything
    return frozenset(filter(_is_text, listed)) if isinstance(listed, list) else frozenset()


def _is_text(name: object) -> TypeGuard[str]:
    return isinstance(name, str)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_json(text: str) -> bool:
    return _value(text) is not text
