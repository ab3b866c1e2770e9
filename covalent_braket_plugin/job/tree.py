"""What a checkpoint holds: a tree of plain values as JSON, with its arrays and bytes as parts.

Nothing of the user's is run when it is read, unless pickles are expressly allowed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Part", "flatten", "rebuild"]

HELD = (
    "None, bool, int, float, complex, str, bytes, lists, tuples, dicts, and NumPy arrays and "
    "scalars that hold no Python objects"
)
JSON_INT_BITS = 4096
"""Longer integers are written in hexadecimal: Python limits the digits of decimal ones."""


@dataclass(frozen=True)
class Part:
    """Something that stands beside the JSON.

    Attributes:
        kind: ``npy`` for an array, ``bin`` for bytes, ``pickle`` for anything else.
        value: The object.
    """

    kind: Literal["npy", "bin", "pickle"]
    value: Any


@dataclass
class _Writing:
    allow_pickle: bool
    parts: list[Part] = field(default_factory=list)

    def part(self, kind: Literal["npy", "bin", "pickle"], value: Any) -> int:
        self.parts.append(Part(kind, value))
        return len(self.parts) - 1


def flatten(data: object, *, allow_pickle: bool) -> tuple[Any, list[Part]]:
    """Take data apart.

    Returns:
        What JSON can hold, and the parts that it names by number.

    Raises:
        TypeError: Something does not fit, and pickles are not allowed; the text says where.
        ValueError: It holds itself, or is nested too deeply.
    """
    writing = _Writing(allow_pickle)
    try:
        return _flat(data, "data", writing), writing.parts
    except RecursionError as error:
        raise ValueError("The data holds itself, or is nested too deeply to be saved") from error


def _flat(value: Any, path: str, writing: _Writing) -> Any:
    # Of exactly these types: what only derives from them would come back as something else.
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if value.bit_length() <= JSON_INT_BITS else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is complex:
        parts = (_flat(part, path, writing) for part in (value.real, value.imag))
        return {"complex": list(parts)}
    if kind is bytes:
        return {"bytes": writing.part("bin", value)}
    if kind in (list, tuple):
        items = [_flat(item, f"{path}[{n}]", writing) for n, item in enumerate(value)]
        return items if kind is list else {"tuple": items}
    if kind is dict:
        pairs = ((key, item, f"{path}[{key!r}]") for key, item in value.items())
        return {"dict": [[_flat(k, at, writing), _flat(v, at, writing)] for k, v, at in pairs]}
    return _flat_array(value, path, writing)


def _flat_array(value: Any, path: str, writing: _Writing) -> Any:
    numpy = sys.modules.get("numpy")  # if nobody has imported it, this is no array
    kind = type(value)
    array = numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic))
    if numpy is not None and array and not value.dtype.hasobject:
        if kind is numpy.ndarray:
            return {"array": writing.part("npy", value)}
        if isinstance(value, numpy.generic):
            return {"scalar": writing.part("npy", numpy.asarray(value))}
        if kind.__module__.startswith("pennylane.numpy") and kind.__name__ == "tensor":
            number = writing.part("npy", numpy.asarray(value))
            return {"tensor": number, "requires_grad": bool(value.requires_grad)}
    if writing.allow_pickle:
        return {"pickle": writing.part("pickle", value)}
    raise TypeError(
        f"{path} is of type {kind.__module__}.{kind.__qualname__}, which a checkpoint does not "
        f"hold: it holds {HELD}. Save what it is made of, or say allow_pickle=True, also when "
        "you load it."
    )


Load = Callable[[str, int], Any]
"""Reads a part: its kind, its number."""


def rebuild(tree: Any, load: Load) -> Any:
    """Put data together again; ``load`` reads its parts."""
    if isinstance(tree, list):
        return [rebuild(item, load) for item in tree]
    if not isinstance(tree, Mapping):
        return tree
    kind = next(iter(tree))
    return _REBUILT[kind](tree, load)


def _rebuilt_dict(tree: Mapping[str, Any], load: Load) -> dict[Any, Any]:
    return {rebuild(key, load): rebuild(value, load) for key, value in tree["dict"]}


def _rebuilt_tensor(tree: Mapping[str, Any], load: Load) -> Any:
    from pennylane import numpy as pennylane_numpy

    array = load("npy", tree["tensor"])
    return pennylane_numpy.tensor(array, requires_grad=tree["requires_grad"])


_REBUILT: Mapping[str, Callable[[Mapping[str, Any], Load], Any]] = {
    "int": lambda tree, load: int(tree["int"], 16),
    "float": lambda tree, load: float(tree["float"]),
    "complex": lambda tree, load: complex(*(rebuild(part, load) for part in tree["complex"])),
    "bytes": lambda tree, load: load("bin", tree["bytes"]),
    "tuple": lambda tree, load: tuple(rebuild(item, load) for item in tree["tuple"]),
    "dict": _rebuilt_dict,
    "array": lambda tree, load: load("npy", tree["array"]),
    "scalar": lambda tree, load: load("npy", tree["scalar"])[()],
    "tensor": _rebuilt_tensor,
    "pickle": lambda tree, load: load("pickle", tree["pickle"]),
}
