"""Metrics: numbers that an electron logs while it runs."""

from __future__ import annotations

import operator
import re
import sys
import time
from typing import Any, SupportsIndex

__all__ = ["log_metric"]

_NAME = re.compile(r"\w{1,256}", re.ASCII)
_RESERVED = ("timestamp", "iteration_number")
_MOST_ITERATION = 2**53


def log_metric(
    name: str, value: Any, iteration: SupportsIndex | None = None, timestamp: float | None = None
) -> None:
    """Log one value of a metric, such as a cost in each step of an optimisation.

    It is a line of stdout in the format of the Braket SDK's ``log_metric``: Braket's console, the
    SDK, ``covalent-braket watch`` and the history read it. Outside a job it is printed, too.

    Args:
        name: Its name: letters, digits and ``_``.
        value: A number, also one of NumPy, PennyLane or PyTorch. NaN and infinity are logged as
            they are, so that a run that diverges goes on and shows it.
        iteration: In which step; Braket's console and `history` draw metrics over it.
        timestamp: When, in seconds since 1970; now if not given.

    Raises:
        ValueError: The name, the value, or one of the others cannot be a metric's.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise ValueError(
            f"A metric cannot be named {name!r}: use up to 256 of the letters a to z, A to Z, "
            f"digits and _, and neither of {' and '.join(_RESERVED)}."
        )
    when = time.time() if timestamp is None else _number("timestamp", timestamp)
    parts = [f"Metrics - timestamp={when!r}; {name}={_number(name, value)!r};"]
    if iteration is not None:
        parts.append(f"iteration_number={_whole(iteration)};")
    sys.stdout.write(" ".join(parts) + "\n")
    sys.stdout.flush()


def _number(name: str, value: Any) -> float:
    # An array of one number, or a tensor, gives that number; a longer one raises ValueError.
    try:
        item = getattr(value, "item", None)
        return float(item() if item is not None else value)
    except (TypeError, ValueError, OverflowError) as error:
        shown = repr(value) if len(repr(value)) <= 80 else f"{type(value).__name__}"
        text = f"The metric {name}={shown} is not a number that can be logged: {error}"
        raise ValueError(text) from error


def _whole(iteration: SupportsIndex) -> int:
    try:
        number = operator.index(iteration)
    except TypeError as error:
        raise ValueError(f"iteration={iteration!r} is not a whole number") from error
    if abs(number) > _MOST_ITERATION:
        raise ValueError(f"iteration={iteration!r} is too large: 2**53 at most")
    return number
