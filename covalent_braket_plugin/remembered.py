"""Answers of AWS that hold for a while: whoever needs one first asks, the others wait for it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")

MOST = 256
"""So many answers are kept: a program may change its environment, and so who it is, for ever."""


@dataclass
class _Answer(Generic[T]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    known: T | None = None
    until: float = 0.0


class Remembered(Generic[T]):
    """Answers by key; whoever asks with one key holds up nobody with another.

    Args:
        clock: Tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[Hashable, _Answer[T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, ask: Callable[[], T], seconds: Callable[[T], float]) -> T:
        """Find an answer that still holds, else ask; an error of ``ask`` is not remembered.

        Args:
            key: What makes two questions the same.
            ask: Asks; it blocks those who need the same answer, and nobody else.
            seconds: How long the answer holds.
        """
        with self._lock:
            answer = self._answers.setdefault(key, _Answer())
            self._answers.move_to_end(key)
            while len(self._answers) > MOST:
                self._answers.popitem(last=False)
        with answer.lock:
            if answer.known is None or self._clock() >= answer.until:
                answer.known = ask()
                answer.until = self._clock() + seconds(answer.known)
            return answer.known
