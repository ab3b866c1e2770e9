"""Prices as data: which there are, how they are looked up, and the dated table in the package."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = [
    "UNITS",
    "Kind",
    "Price",
    "Prices",
    "by_place",
    "decoded",
    "encoded",
    "is_qpu",
    "is_simulator",
    "own_table",
]

Kind = Literal["instance", "volume", "task", "shot", "simulator"]

UNITS: Mapping[Kind, str] = {
    "instance": "hour",
    "volume": "GB-month",
    "task": "task",
    "shot": "shot",
    "simulator": "minute",
}
"""What each kind of price is for one of."""


@dataclass(frozen=True)
class Price:
    """The price of one thing in one region, as Braket charges it inside a Hybrid Job.

    Attributes:
        kind: What is paid for; `UNITS` says for how much of it.
        region: AWS region.
        name: Instance type, or the device's name in lower case; empty for volumes.
        usd: US dollars.
        date: Of when it is, such as ``2026-09-11``.
        source: Where it was read.
    """

    kind: Kind
    region: str
    name: str
    usd: float
    date: str
    source: str


@dataclass(frozen=True)
class Prices:
    """All prices that are known.

    Attributes:
        known: By kind, region and name.
        source: Where they come from, for people.
        problem: Why they are not AWS's own list of today; empty if they are.
    """

    known: Mapping[tuple[str, str, str], Price]
    source: str
    problem: str = ""

    def of(self, kind: Kind, region: str, name: str = "") -> float | None:
        """Find a price in US dollars; None if it is not known."""
        found = self.known.get((kind, region, name))
        return None if found is None else found.usd

    def instance_hour(self, instance_type: str, region: str) -> float | None:
        """Price of an instance for an hour."""
        return self.of("instance", region, instance_type)

    def instance_hour_elsewhere(self, instance_type: str) -> Price | None:
        """The highest price of an instance for an hour, of the regions for which one is known."""
        found = (p for p in self.known.values() if (p.kind, p.name) == ("instance", instance_type))
        return max(found, key=lambda price: price.usd, default=None)

    def task(self, device: str, region: str) -> float | None:
        """Price of one quantum task on a QPU, without its shots."""
        return self.of("task", *_place(device, region))

    def shot(self, device: str, region: str) -> float | None:
        """Price of one shot on a QPU."""
        return self.of("shot", *_place(device, region))

    def simulator_minute(self, device: str, region: str) -> float | None:
        """Price of a minute on an on-demand simulator."""
        return self.of("simulator", *_place(device, region))

    def with_reserved(self, device: str, region: str) -> Prices:
        """Say that a QPU is reserved: its hours are paid for, whatever runs in them.

        https://docs.aws.amazon.com/braket/latest/developerguide/braket-reservations.html
        """
        place = _place(device, region)
        kinds: tuple[Kind, ...] = ("task", "shot")
        free = (Price(kind, *place, 0.0, "", "the reservation") for kind in kinds)
        return replace(self, known={**self.known, **by_place(free)})

    def devices(self) -> dict[str, dict[str, float]]:
        """All prices of devices: by ``region/name``, ``task`` and ``shot``, or ``minute``."""
        found: dict[str, dict[str, float]] = {}
        for price in self.known.values():
            if price.kind in ("task", "shot", "simulator"):
                prices = found.setdefault(f"{price.region}/{price.name}", {})
                prices[UNITS[price.kind]] = price.usd
        return found


def is_qpu(device: str) -> bool:
    """Whether a device is hardware, by its ARN."""
    return ":device/qpu/" in device


def is_simulator(device: str) -> bool:
    """Whether a device is one of Braket's on-demand simulators, by its ARN."""
    return ":device/quantum-simulator/" in device


def _place(device: str, region: str) -> tuple[str, str]:
    """A QPU's ARN names its region; a simulator is in the region of whoever asks."""
    parts = device.split(":")
    own = parts[3] if len(parts) > 3 else ""
    return own or region, device.rpartition("/")[2].lower()


def decoded(rows: Iterable[Any]) -> list[Price]:
    """Read prices from JSON; what is none is left out, since a cache may be damaged."""
    found = []
    for row in rows:
        try:
            price = Price(**row)
            good = price.kind in get_args(Kind) and math.isfinite(price.usd) and price.usd >= 0
        except TypeError:
            continue
        if good and all(isinstance(text, str) for text in (price.region, price.name, price.date)):
            found.append(price)
    return found


def encoded(prices: Iterable[Price]) -> list[dict[str, Any]]:
    """Make prices what JSON can hold."""
    return [asdict(price) for price in prices]


def by_place(prices: Iterable[Price]) -> dict[tuple[str, str, str], Price]:
    """Key prices for `Prices.known`."""
    return {(price.kind, price.region, price.name): price for price in prices}


@dataclass(frozen=True)
class OwnTable:
    """The table in the package.

    Attributes:
        date: Of when it is.
        prices: What it holds.
    """

    date: str
    prices: list[Price] = field(default_factory=list)


@cache
def own_table() -> OwnTable:
    """Read the dated table that comes with the package."""
    raw = json.loads((Path(__file__).parent / "prices.json").read_text())
    return OwnTable(raw["date"], decoded(raw["prices"]))
