"""Who is next: the electrons that wait to become jobs, one of each dispatch after the other.

Within a dispatch they go in the order in which they came, but those whose instance type (the
*kind*) has no room do not hold up the others. No input or output.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Lane", "Standing", "Turn", "Turns"]


@dataclass(frozen=True)
class Standing:
    """Where an electron stands that waits.

    Attributes:
        ahead: So many electrons wait before it, if all kinds have room.
        running: So many jobs run that were made by this process.
        slots: So many may run at once; None if not known.
    """

    ahead: int
    running: int
    slots: int | None


class Lane(NamedTuple):
    """What electrons have in common for which there is room at the same time.

    Attributes:
        kind: The instance type.
        most: Most jobs at the same time by the user's setting; 0: as many as Braket takes.
        instances: How many instances each job needs.
    """

    kind: str
    most: int = 0
    instances: int = 1


@dataclass(eq=False)
class Turn:
    """One electron that waits to become a job.

    Attributes:
        done: Gets the job's ARN.
        since: When it began to wait.
        deadline: When its `queue_timeout` ends.
        number: When it came, counted; orders those of one dispatch.
        before: When its dispatch had the turn before this one's.
        unsure: A call was made that got no usable answer: there may be a job.
        failures: So many calls, one after the other, got no usable answer.
        failing_since: When the first of these was made; infinity if the last one got an answer.
        abandoned: Nobody waits for it any more.
    """

    dispatch_id: str
    lane: Lane
    create: Callable[[], Awaitable[str]]
    done: asyncio.Future[str] = field(repr=False)
    since: float
    give_up_after: float
    deadline: float = math.inf
    withdrawn: asyncio.Event | None = None
    told: Callable[[Standing], None] | None = None
    number: int = 0
    before: int = 0
    unsure: bool = False
    failures: int = 0
    failing_since: float = math.inf
    abandoned: bool = False
    trying: asyncio.Task[None] | None = None
    standing: Standing | None = None
    told_at: float = -math.inf

    @property
    def kind(self) -> str:
        """The instance type."""
        return self.lane.kind

    def finish(self, what: str | Exception) -> None:
        """Tell whoever waits for it."""
        if self.done.done():
            return
        if isinstance(what, Exception):
            self.done.set_exception(what)
        else:
            self.done.set_result(what)

    def tell(self, standing: Standing, now: float) -> None:
        """Say where it stands."""
        self.standing, self.told_at = standing, now
        if self.told is not None:
            self.told(standing)


_Queue = OrderedDict[Turn, None]


@dataclass
class _Line:
    """What waits of one dispatch, by lane; and when it had its last turn."""

    last: int
    queues: dict[Lane, _Queue] = field(default_factory=dict)

    def in_order(self) -> list[Turn]:
        return sorted(itertools.chain(*self.queues.values()), key=lambda turn: turn.number)


class Turns:
    """The queue. Iterating gives all turns in the order in which they will come."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._lanes: Counter[Lane] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._lanes.total()

    def __iter__(self) -> Iterator[Turn]:
        ordered = sorted(self._lines.values(), key=lambda line: line.last)
        for each in itertools.zip_longest(*(line.in_order() for line in ordered)):
            yield from (turn for turn in each if turn is not None)

    @property
    def lanes(self) -> Collection[Lane]:
        """The lanes in which somebody waits."""
        return self._lanes.keys()

    def add(self, turn: Turn) -> None:
        """Put a new one at the end of its dispatch's line."""
        turn.number = self._next()
        self._queue(turn, turn.number)[turn] = None

    def put_back(self, turn: Turn) -> None:
        """Put one back that got nothing: as if it had not had its turn."""
        queue = self._queue(turn, turn.before)
        # Several may be tried together, and come back in any order.
        earlier = list(itertools.takewhile(lambda each: each.number < turn.number, queue))
        queue[turn] = None
        for each in (turn, *reversed(earlier)):
            queue.move_to_end(each, last=False)
        line = self._lines[turn.dispatch_id]
        line.last = min(line.last, turn.before)

    def put_last(self, turn: Turn) -> None:
        """Put one back behind those of its dispatch that wait now."""
        self.add(turn)

    def find(self, lanes: Collection[Lane]) -> Turn | None:
        """Find the next one in these lanes; it stays where it is."""
        if not lanes:
            return None
        ready = [
            (line.last, turn.number, turn)
            for line in self._lines.values()
            for turn in (next(iter(line.queues[lane])) for lane in lanes if lane in line.queues)
        ]
        return min(ready)[2] if ready else None

    def take(self, turn: Turn) -> None:
        """Take one out because it is its turn; now it is the other dispatches' turn."""
        line = self._lines[turn.dispatch_id]
        turn.before, line.last = line.last, self._next()
        self.remove(turn)

    def remove(self, turn: Turn) -> bool:
        """Take one out; False if it does not wait."""
        line = self._lines.get(turn.dispatch_id)
        queue = line.queues.get(turn.lane) if line else None
        if line is None or queue is None or turn not in queue:
            return False
        del queue[turn]
        if not queue:
            del line.queues[turn.lane]
        if not line.queues:
            del self._lines[turn.dispatch_id]
        self._lanes[turn.lane] -= 1
        if not self._lanes[turn.lane]:
            del self._lanes[turn.lane]
        return True

    def _queue(self, turn: Turn, last: int) -> _Queue:
        self._lanes[turn.lane] += 1
        line = self._lines.setdefault(turn.dispatch_id, _Line(last))
        return line.queues.setdefault(turn.lane, _Queue())

    def _next(self) -> int:
        self._count += 1
        return self._count
