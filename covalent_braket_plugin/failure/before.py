"""Errors of which no job tells: Covalent shows an exception's own text and nothing else; pure."""

from __future__ import annotations

from covalent_braket_plugin.errors import (
    BraketPluginError,
    DeviceUnavailableError,
    LocalBraketError,
    QueueTimeoutError,
    SettingError,
    UnconfiguredError,
)
from covalent_braket_plugin.failure.advice import advice, missing
from covalent_braket_plugin.failure.classes import FailureClass, class_of_exception

__all__ = ["explained"]

_NAMES_THE_WAY_OUT = (
    SettingError,
    UnconfiguredError,
    LocalBraketError,
    QueueTimeoutError,
    DeviceUnavailableError,
)
_LABELS = tuple(f"{each}: " for each in FailureClass)


def explained(error: Exception) -> Exception:
    """Have an exception's text begin with the sort of failure, and say what to do.

    One of ours stays the same object, of the same type; others are wrapped. What was explained
    before stays as it is.
    """
    text = str(error)
    if text.startswith(_LABELS):
        return error
    if not isinstance(error, BraketPluginError):
        named = f"{type(error).__name__}: {text}" if text else type(error).__name__
        return BraketPluginError(_text(error, f"{named} (on the side of Covalent's server)"))
    error.args = (_text(error, text or type(error).__name__),)
    return error


def _text(error: Exception, text: str) -> str:
    kind = class_of_exception(error)
    lines = [text]
    if kind is FailureClass.PERMISSIONS:
        if lacks := missing(text, in_job=False, short=True):
            lines = [f"{lacks}: {text}"]
        if lacks := missing(text, in_job=False):
            lines.append(f"Missing: {lacks}")
    hint = advice(kind, text, in_job=False)
    if hint and not isinstance(error, _NAMES_THE_WAY_OUT):
        lines.append(f"What to do: {hint}")
    return f"{kind}: " + "\n".join(lines)
