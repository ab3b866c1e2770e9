"""What all kinds of results have in common."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

__all__ = ["Answer", "Document", "failure_text", "header", "timestamp"]

Document = dict[str, Any]

Answer = tuple[str | None, int, bytes]
"""Why it failed (or None), the shots that have a result, and the content of results.json."""

PARSER_COMPLAINT = re.compile(r"^line \d+:\d+ .*$", re.MULTILINE)


def header(name: str) -> Document:
    """The schema header of ``braket.{name}``, version 1."""
    return {"name": f"braket.{name}", "version": "1"}


def timestamp() -> str:
    """Now, in the 24 characters that the schemas allow."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def failure_text(error: Exception, said: str = "") -> str:
    """One line that says why a circuit failed.

    Args:
        error: What the simulator raised.
        said: What it wrote to stderr, where alone its parser says what is wrong with a program.
    """
    complaints = "; ".join(PARSER_COMPLAINT.findall(said))
    details = " ".join(part for part in (str(error), complaints) if part)
    if type(error).__name__ == "QASM3ParsingError":
        return f"The OpenQASM program cannot be parsed: {details}"
    return f"{type(error).__name__}: {details}" if details else type(error).__name__
