"""The executor's older face: functions and values in memory instead of staged files."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covalent._workflow.transportable_object import TransportableObject

from covalent_braket_plugin import packing, payload
from covalent_braket_plugin.collecting import Collected
from covalent_braket_plugin.errors import SerializationError
from covalent_braket_plugin.packing import Group

__all__ = ["Returned", "stage", "unpack"]


@dataclass(frozen=True)
class Returned:
    """What a run gave, in memory.

    Attributes:
        value: The value; None unless it completed.
        stdout: The function's stdout.
        stderr: Its stderr, with the remote traceback below.
        error: Why it failed, in one paragraph; empty if it did not.
        cancelled: Whether its job was cancelled.
    """

    value: Any
    stdout: str
    stderr: str
    error: str
    cancelled: bool


def stage(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    metadata: Mapping[str, Any],
    place: Path,
) -> Group:
    """Write a call to files, as Covalent's server would have staged it.

    Args:
        function: A function; or Covalent's wrapper around a pickled one and its hooks.
        args: Positional arguments.
        kwargs: Keyword arguments.
        metadata: ``dispatch_id`` and ``node_id``.
        place: Directory for the files.

    Raises:
        SerializationError: The function or an argument cannot be pickled; the text names it.
    """
    place.mkdir(parents=True, exist_ok=True)
    target, before, after = _unwrap(function)
    node = int(metadata["node_id"])
    _write(place / "function", target, "The function")
    (place / "hooks").write_text(
        json.dumps(
            {"call_before": [_hook(s) for s in before], "call_after": [_hook(s) for s in after]}
        )
    )
    # Inputs have no nodes here: negative numbers cannot be anybody's.
    values = [*args, *kwargs.values()]
    names = [*(f"Argument {index}" for index in range(len(args))), *kwargs]
    inputs = {}
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        inputs[-1 - index] = place / f"input_{index}"
        _write(inputs[-1 - index], value, name)
    keys = list(inputs)
    spec = (node, keys[: len(args)], dict(zip(kwargs, keys[len(args) :], strict=True)))
    functions, hooks = {node: place / "function"}, {node: place / "hooks"}
    names = _names(target, len(args))
    return packing.read_group(
        metadata["dispatch_id"], [spec], functions, hooks, inputs, lambda _: names
    )


def _names(function: Any, count: int) -> list[str]:
    """Name positional arguments as Covalent does; none for what is pickled already."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [each.name for each in parameters if each.kind in kinds][:count]
    return [*names, *(f"arg[{index}]" for index in range(len(names), count))]


def _unwrap(function: Callable[..., Any]) -> tuple[Any, Sequence[Any], Sequence[Any]]:
    if isinstance(function, functools.partial) and len(function.args) == 3:
        target, before, after = function.args
        if isinstance(target, TransportableObject):
            return target, before, after
    return function, [], []


def _write(path: Path, value: Any, what: str) -> None:
    try:
        path.write_bytes(TransportableObject.make_transportable(value).serialize())
    except Exception as error:
        raise SerializationError(payload.why_unpicklable(value, error, what)) from error


def _hook(step: Sequence[Any]) -> dict[str, Any]:
    function, args, kwargs, keyword = step
    attributes = {
        "apply_fn": function.to_dict(),
        "apply_args": args.to_dict(),
        "apply_kwargs": kwargs.to_dict(),
        "retval_keyword": keyword,
    }
    return {"attributes": attributes}


def unpack(collected: Collected, function: Callable[..., Any], node_id: int) -> Returned:
    """Read what came back.

    A value for Covalent stays pickled. For direct use it is unpickled: its digest was checked, and
    this is the process of whoever made the call.
    """
    value: Any = None
    if node_id in collected.values:
        value = TransportableObject.deserialize(collected.values[node_id].read_bytes())
        if _unwrap(function)[0] is function:
            value = value.get_deserialized()
    texts = collected.texts_of(node_id)
    return Returned(
        value, _read(texts.stdout), _read(texts.stderr), _read(texts.error), collected.cancelled
    )


def _read(path: Path | None) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path else ""
