"""An electron's simple arguments as hyperparameters of its job (`log_arguments`).

Nothing is unpickled: a pickle that makes one number, text, true, false or None is told by its
instructions, which are read and not carried out. What is not surely of this kind is left out, and
so is what Braket would not take, or what looks like a secret: hyperparameters are public.
"""

from __future__ import annotations

import logging
import pickletools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from covalent_braket_plugin import tobj
from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.packing import Group
from covalent_braket_plugin.settings import no_key
from covalent_braket_plugin.settings.rules import hyperparameters

__all__ = ["with_arguments"]

log = logging.getLogger(__name__)

MAX_CHARACTERS = 500
"""Longer text is no simple argument."""
MAX_BITS = 1024
"""Of a whole number; one of some thousand digits would take Python long to write down."""
MAX_FILE_BYTES = 16 * 1024

_AROUND = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "STOP"})
"""Instructions of a pickle that make nothing."""
_VALUES = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE"}
)
_CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None}
_SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"://[^/\s@]*:[^/\s@]+@")


def with_arguments(given: Mapping[str, Any], group: Group) -> dict[str, Any]:
    """Add the simple arguments of a group's main electron to hyperparameters; never fails.

    Args:
        given: The user's own hyperparameters, which stay as they are.
        group: The staged electrons.
    """
    joined = dict(given)
    for name, value in _simple(group):
        if name in joined:
            continue
        if (
            _SECRET_NAME.search(name)
            or _PASSWORD_IN_URL.search(str(value))
            or no_key({name: value})
        ):
            log.warning(
                "%s: its argument %s may be a secret, and is not shown as a hyperparameter",
                *(group.main.name, name),
            )
        elif problem := hyperparameters({**joined, name: value}):
            log.warning(
                "%s: its argument %s is not shown as a hyperparameter: %s",
                *(group.main.name, name, problem.rule or "Braket takes no more"),
            )
        else:
            joined[name] = value
    return joined


def _simple(group: Group) -> Iterator[tuple[str, Any]]:
    electron = group.main
    try:
        positional = dict(zip(group.names(electron.node_id), electron.args, strict=False))
    except Exception:
        log.warning("The names of %s's arguments are not known", electron.name, exc_info=True)
        positional = {}
    for name, node in {**positional, **electron.kwargs}.items():
        file = group.inputs.get(node)  # none for what an electron of the same group gives
        found = _value_in(file) if file is not None else ()
        yield from ((name, value) for value in found)


def _value_in(file: Path) -> tuple[Any, ...]:
    """Read the one simple value of a file; none if it is anything else."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            return ()
        return _value_of(b"".join(tobj.pickle_chunks(file)))
    except (IntegrityError, OSError, ValueError):  # packing says what is wrong with it
        return ()


def _value_of(pickled: bytes) -> tuple[Any, ...]:
    made = []
    for instruction, argument, _ in pickletools.genops(pickled):
        if instruction.name in _VALUES:
            made.append(argument)
        elif instruction.name in _CONSTANTS:
            made.append(_CONSTANTS[instruction.name])
        elif instruction.name not in _AROUND:
            return ()
    return tuple(made) if len(made) == 1 and _short(made[0]) else ()


def _short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_CHARACTERS
    return not isinstance(value, int) or value.bit_length() <= MAX_BITS
