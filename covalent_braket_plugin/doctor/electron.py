"""The electron of the doctor's trial. It is pickled by value: its image need not have us."""

from __future__ import annotations

__all__ = ["probe"]


def probe(number: int) -> dict[str, object]:
    """Do next to nothing, and say with which Python."""
    import platform

    return {"doubled": 2 * number, "python": platform.python_version()}
