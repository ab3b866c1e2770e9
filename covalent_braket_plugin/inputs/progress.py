"""How far the upload of input data is, told now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Progress", "Tell", "silent"]

Tell = Callable[[str], None]
"""Told in words how far it is; what it raises gives the upload up."""

EVERY_SECONDS = 1.0


def silent(text: str) -> None:
    """Tell nobody."""


class Progress:
    """Counts bytes, from any thread, and tells every second.

    Args:
        what: What is done with them, such as ``"Uploading input data 'train'"``.
        total: So many bytes are to come.
        tell: Told.
        clock: Tells the time in seconds.
    """

    def __init__(
        self, what: str, total: int, tell: Tell, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._total, self._tell, self._clock = what, total, tell, clock
        self._lock = threading.Lock()
        self._done = 0
        self._told_at = clock()

    def heard(self, size: int) -> None:
        """Note so many bytes more."""
        with self._lock:
            self._done += size
            now = self._clock()
            if now - self._told_at < EVERY_SECONDS:
                return
            self._told_at = now
            done = min(self._done, self._total)
        self._tell(f"{self._what}: {_amount(done)} of {_amount(self._total)}")


def _amount(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
