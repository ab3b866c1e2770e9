"""Devices that Braket has retired, for those who still name them; pure.

Braket tells which devices there are. It goes on telling of some that are retired, but not since
when, and of others nothing at all. The dates are those of the releases of Braket's SDK that marked
them as retired.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Retirement", "retirement"]


class Retirement(NamedTuple):
    """What is known of a device that is no more.

    Attributes:
        name: Its provider and name.
        since: Year and month, such as ``2024-09``; empty if it is not known.
        instead: What to use.
    """

    name: str
    since: str
    instead: str

    def sentence(self) -> str:
        """Say that it is retired."""
        since = f" since {self.since}" if self.since else ""
        return f"{self.name} is retired{since}"


_IONQ = "Forte-1 or Forte-Enterprise-1"
_RIGETTI = "Cepheus-1-108Q"
_GATES = "Garnet, Emerald, Forte-1, Ibex-Q1 or Cepheus-1-108Q"
_SIMULATORS = "SV1 (up to 34 qubits), or DM1 for noise"

_TABLE: tuple[tuple[str, Retirement], ...] = (
    ("tn1", Retirement("Amazon Braket TN1", "2026-06", _SIMULATORS)),
    ("harmony", Retirement("IonQ Harmony", "2024-09", _IONQ)),
    ("aria2", Retirement("IonQ Aria-2", "2025-10", _IONQ)),
    ("aria1?", Retirement("IonQ Aria-1", "2026-03", _IONQ)),
    ("(ionq)?(ionqdevice|device)", Retirement("IonQ's first device", "", _IONQ)),
    ("lucy", Retirement("OQC Lucy", "", _GATES)),
    ("borealis", Retirement("Xanadu Borealis", "", _GATES)),
    ("aspenm3?", Retirement("Rigetti Aspen-M-3", "2024-09", _RIGETTI)),
    (r"aspen\w*", Retirement("Rigetti's Aspen series", "", _RIGETTI)),
    ("ankaa2", Retirement("Rigetti Ankaa-2", "2025-02", _RIGETTI)),
    ("ankaa3?", Retirement("Rigetti Ankaa-3", "2026-04", _RIGETTI)),
    (r"(dwave)?(advantage\w*|dw2000q\w*)|dwave", Retirement("D-Wave's series", "", _GATES)),
)
"""By a pattern of the name, without its provider, in lower case and without marks."""
_PROVIDERS = "amazonbraket|amazon|ionq|rigetti|oqc|xanadu|dwave"


def retirement(name: str) -> Retirement | None:
    """Tell what is known of a retired device; None if it is not known to be one.

    Args:
        name: What somebody calls it, or its ARN.
    """
    last = name.rpartition("/")[2] if name.startswith("arn:") else name
    plain = re.sub(r"[^a-z0-9]", "", last.lower())
    for text in (plain, re.sub(f"^({_PROVIDERS})(?=.)", "", plain)):
        for pattern, found in _TABLE:
            if re.fullmatch(pattern, text):
                return found
    return None
