"""All that a process has started, however deep, found in /proc; nothing on other systems."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

__all__ = ["adopt_orphans", "end_descendants"]

_PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""
_ROUND_SECONDS = 0.02


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent has ended, so that they stay ours."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants(seconds: float) -> None:
    """Kill all descendants of this process, and those that they start meanwhile.

    Args:
        seconds: How long to go on at the most.
    """
    deadline = time.monotonic() + seconds
    while (found := _descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ROUND_SECONDS)


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in _living():
        children.setdefault(parent, []).append(pid)
    found, pending = [], [root]
    while pending:
        ours = children.get(pending.pop(), [])
        found += ours
        pending += ours
    return found


def _living() -> list[tuple[int, int]]:
    """Process id and parent of each process; those that ended but still have an entry are not."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The program's name stands in parentheses and may hold anything.
            words = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            state, parent = words[:2]
            if state not in "ZX":
                found.append((int(entry.name), int(parent)))
    return found
