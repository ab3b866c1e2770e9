"""Manifest and outcome as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.errors import IntegrityError, ProtocolError
from covalent_braket_plugin.protocol.words import PROTOCOL_VERSION

if TYPE_CHECKING:
    from covalent_braket_plugin.protocol.manifest import Manifest
    from covalent_braket_plugin.protocol.outcome import Outcome

__all__ = ["encoded", "load"]


def encoded(made: Manifest | Outcome, *newer: str) -> bytes:
    """Encode; a side that does not know newer fields yet can read it while they are not used."""
    raw = asdict(made)
    return json.dumps(
        {key: raw[key] for key in raw if key not in newer or raw[key] is not None}
    ).encode()


def load(data: bytes, what: str) -> Mapping[str, Any]:
    """Decode what is of our version of the protocol.

    Raises:
        ProtocolError: It is of another one.
        IntegrityError: It is no JSON, or names none.
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:  # a job may have written any bytes
        raise IntegrityError(f"The {what} is not JSON: {error}") from error
    if not isinstance(raw, dict) or "protocol" not in raw:
        raise IntegrityError(f"The {what} is not one of ours: it names no protocol")
    if raw["protocol"] != PROTOCOL_VERSION:
        raise ProtocolError(
            f"The {what} speaks protocol {raw['protocol']!r}, this side speaks {PROTOCOL_VERSION}: "
            "the package in the image and the one beside Covalent are of different versions. "
            "Install the same covalent-braket-plugin on both sides."
        )
    return raw
