"""How long jobs last, learnt from those that ended; and when to ask about the next one. Pure.

A job of which nothing is known is asked about by its age: soon while it is young, ever more rarely
later. If jobs of its kind have ended, it is first asked about when most of them had: one question
is then mostly enough. Of a job that ends long before all of its kind one hears within a quarter of
their time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

__all__ = ["Durations", "Lasting", "ask_at_age", "interval_at_age"]

MIN_INTERVAL_SECONDS = 1.5
SHARE_OF_AGE = 0.1
REMEMBERED_JOBS = 20
REMEMBERED_KINDS = 1000
MIN_BETWEEN_SECONDS = 8.0
SHARE_BETWEEN = 0.25
"""A job is asked about at least so often (in shares of the shortest ones of its kind) before any
of its kind had ended."""
SLACK_SECONDS = 0.1
SLACK_SHARE = 0.02
"""A little more than the jobs before: an answer that comes too early costs another question."""


@dataclass(frozen=True)
class Lasting:
    """After how many seconds jobs of one kind had ended, each with a little slack.

    Attributes:
        earliest: One in ten.
        likely: Four in five.
        latest: All.
    """

    earliest: float
    likely: float
    latest: float

    def chance(self, age: float) -> float:
        """Estimate how likely a job of this age is to have ended, if it had not when last asked."""
        if age >= self.likely:
            return 0.8
        return 0.3 if age >= self.earliest else 0.0


class Durations:
    """Remembers how long the last jobs of each kind took."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, deque[float]] = OrderedDict()

    def learn(self, kind: str, seconds: float) -> None:
        """Note how long a job of a kind took; no kind, or no time, is not noted."""
        if not kind or seconds <= 0:
            return
        self._known.setdefault(kind, deque(maxlen=REMEMBERED_JOBS)).append(seconds)
        self._known.move_to_end(kind)
        if len(self._known) > REMEMBERED_KINDS:
            self._known.popitem(last=False)

    def of(self, kind: str) -> Lasting | None:
        """Tell what is known about a kind."""
        known = sorted(self._known.get(kind, ()))
        if not known:
            return None

        def among(share: float) -> float:
            found = known[min(len(known) - 1, int(share * len(known)))]
            return found * (1 + SLACK_SHARE) + SLACK_SECONDS

        return Lasting(among(0.1), among(0.8), among(1.0))


def interval_at_age(age: float, longest: float) -> float:
    """The pause before the next question if nothing is known but the age; all in seconds."""
    return min(longest, max(MIN_INTERVAL_SECONDS, SHARE_OF_AGE * age))


def ask_at_age(age: float, lasting: Lasting | None, longest: float) -> float:
    """Tell at which age a job is to be asked about next.

    Args:
        age: Its age in seconds.
        lasting: How long jobs of its kind last, if that is known.
        longest: Longest pause between two questions, in seconds.
    """
    usual = age + interval_at_age(age, longest)
    if lasting is None:
        return usual
    if age < lasting.earliest:
        # Where durations differ widely, waiting for most of them would let the short ones lie; and
        # a job may end long before all that were.
        first = lasting.earliest + interval_at_age(lasting.earliest, longest)
        between = max(MIN_BETWEEN_SECONDS, SHARE_BETWEEN * lasting.earliest)
        return min(age + min(longest, between), lasting.likely, first)
    return min(
        [usual, *(at for at in (lasting.likely, lasting.latest) if at > age + SLACK_SECONDS)]
    )
