"""Calls something again and again in a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

__all__ = ["Repeated"]

log = logging.getLogger(__name__)


class Repeated:
    """A running repetition; what it raises is logged, and it goes on.

    Args:
        name: For people.
        call: What to call.
        seconds: Pause between two calls.
    """

    def __init__(self, name: str, call: Callable[[], object], seconds: float) -> None:
        self._name = name
        self._call = call
        self._seconds = seconds
        self._stopped = threading.Event()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def stop(self) -> None:
        """Call it no more; a call that is under way goes on."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._call()
            except Exception:
                log.warning("%s failed", self._name, exc_info=True)
