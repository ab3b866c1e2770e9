"""Amounts of money, and the lines of which a bill is made; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Part", "total"]


@dataclass(frozen=True)
class Part:
    """One line of an estimate or of a bill.

    Attributes:
        what: What is paid for, such as ``ml.m5.large``.
        quantity: How much of it.
        unit: Of what, such as ``hour``, ``task``, ``shot``, ``minute`` or ``GB-month``.
        usd: What it costs in US dollars; None if no price is known.
        note: What must be known of it; empty if nothing.
    """

    what: str
    quantity: float
    unit: str
    usd: float | None
    note: str = ""


def total(parts: Iterable[Part]) -> float | None:
    """Add up what is known, in US dollars; None if nothing is."""
    known = [part.usd for part in parts if part.usd is not None]
    return sum(known) if known else None
