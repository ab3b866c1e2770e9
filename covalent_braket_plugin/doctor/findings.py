"""What a check finds: plain data, for a table or for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Result", "State", "failed", "ok", "unknown", "warning"]

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Result:
    """What one check found.

    Attributes:
        state: How it is.
        found: What there is, in a sentence or less.
        fix: What to do about it; empty if nothing is.
        blocks: Whether checks that build on this one have nothing to build on.
    """

    state: State
    found: str
    fix: str = ""
    blocks: bool = False


@dataclass(frozen=True)
class Finding:
    """The result of a check, under its name."""

    check: str
    state: State
    found: str
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def ok(found: str) -> Result:
    """All is well."""
    return Result("ok", found)


def warning(found: str, fix: str) -> Result:
    """Jobs can be made, but something is to be known."""
    return Result("warning", found, fix)


def unknown(found: str, fix: str) -> Result:
    """It could not be found out; what builds on it is skipped."""
    return Result("warning", found, fix, blocks=True)


def failed(found: str, fix: str) -> Result:
    """No job can be made, or it would fail."""
    return Result("failed", found, fix, blocks=True)
