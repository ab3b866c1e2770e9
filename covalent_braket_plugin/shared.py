"""What all executors of one process share, since Covalent makes a new one for each phase.

Which nodes are to be cancelled, which of Covalent's own steps run now, and for each identity its
limits, one watcher and one scheduler. All of it is used on an event loop only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from covalent_braket_plugin.threads import quickly

if TYPE_CHECKING:
    from covalent_braket_plugin.aws import Clients
    from covalent_braket_plugin.descriptions import JobSummary
    from covalent_braket_plugin.devices.lookout import Lookout
    from covalent_braket_plugin.glue import Ended
    from covalent_braket_plugin.monitoring.closer import Closer
    from covalent_braket_plugin.monitoring.follower import Follower
    from covalent_braket_plugin.quotas import Limits
    from covalent_braket_plugin.scheduler import Scheduler
    from covalent_braket_plugin.watcher import Asker, Watcher

__all__ = [
    "cancel",
    "cancel_wanted",
    "closer",
    "follower",
    "in_background",
    "in_turn",
    "in_use",
    "job_ended",
    "job_of",
    "limits",
    "lookout",
    "note_job",
    "run_glue",
    "scheduler",
    "sending",
    "still_sending",
    "watcher",
    "watching_for_cancel",
]

REMEMBERED = 10_000
"""Covalent cancels every node of a workflow, also those that ended long ago."""
_cancelled: OrderedDict[tuple[str, int], None] = OrderedDict()
_jobs: OrderedDict[tuple[str, int], str] = OrderedDict()
_glue: dict[tuple[str, int], asyncio.Task[Ended]] = {}
_waiting: dict[tuple[str, int], asyncio.Event] = {}
_watchers: dict[tuple[asyncio.AbstractEventLoop, Hashable], Watcher[JobSummary]] = {}
_schedulers: dict[tuple[asyncio.AbstractEventLoop, Hashable], Scheduler] = {}
_followers: dict[tuple[asyncio.AbstractEventLoop, Hashable], Follower] = {}
_closers: dict[tuple[asyncio.AbstractEventLoop, Hashable], Closer] = {}
_lookouts: dict[tuple[asyncio.AbstractEventLoop, Hashable], Lookout] = {}
_limits: dict[tuple[asyncio.AbstractEventLoop, Hashable], Limits] = {}
_background: set[asyncio.Task[None]] = set()
_sending: Counter[str] = Counter()
_locks: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, Hashable], asyncio.Lock] = (
    WeakValueDictionary()
)


def cancel(dispatch_id: str, node_id: int) -> None:
    """Note that a node is to be cancelled, and end it if it is one of Covalent's own steps."""
    key = (dispatch_id, node_id)
    _cancelled[key] = None
    while len(_cancelled) > REMEMBERED:
        _cancelled.popitem(last=False)
    if key in _glue:
        _glue[key].cancel()
    if key in _waiting:
        _waiting[key].set()


def cancel_wanted(dispatch_id: str, node_ids: Iterable[int]) -> bool:
    """Whether any of the nodes is to be cancelled."""
    return any((dispatch_id, node_id) in _cancelled for node_id in node_ids)


def note_job(dispatch_id: str, node_ids: Iterable[int], job_arn: str) -> None:
    """Note which job a task has now: Covalent may know none yet, or an earlier attempt's."""
    for node_id in node_ids:
        _jobs[dispatch_id, node_id] = job_arn
    while len(_jobs) > REMEMBERED:
        _jobs.popitem(last=False)


def job_of(dispatch_id: str, node_id: int) -> str | None:
    """Find the job that a node's task has now, if this process made one."""
    return _jobs.get((dispatch_id, node_id))


def job_ended(job_arn: str) -> None:
    """Note that nobody waits for a job any more: its slot is free, whoever it was made as."""
    loop = asyncio.get_running_loop()
    for (made_on, _), each in _schedulers.items():
        if made_on is loop:
            each.ended(job_arn)


async def run_glue(
    place: Path, environ: Mapping[str, str], dispatch_id: str, node_ids: list[int]
) -> Ended | None:
    """Run Covalent's own steps in a child process that `cancel` can end; None if it did."""
    from covalent_braket_plugin import glue

    if cancel_wanted(dispatch_id, node_ids):
        return None
    keys = [(dispatch_id, node_id) for node_id in node_ids]
    child = asyncio.ensure_future(glue.run(place, environ))
    _glue.update(dict.fromkeys(keys, child))
    try:
        return await child
    except asyncio.CancelledError:
        if not child.done():  # we ourselves were cancelled
            child.cancel()
            raise
        return None
    finally:
        for key in keys:
            _glue.pop(key, None)


@contextlib.contextmanager
def watching_for_cancel(dispatch_id: str, node_ids: Iterable[int]) -> Iterator[asyncio.Event]:
    """Give an event that is set once any of the nodes is to be cancelled."""
    event = asyncio.Event()
    keys = [(dispatch_id, node_id) for node_id in node_ids]
    if any(key in _cancelled for key in keys):
        event.set()
    _waiting.update(dict.fromkeys(keys, event))
    try:
        yield event
    finally:
        for key in keys:
            _waiting.pop(key, None)


@contextlib.contextmanager
def sending(dispatch_id: str) -> Iterator[None]:
    """Note that something of a dispatch is on its way to become a job."""
    _sending[dispatch_id] += 1
    try:
        yield
    finally:
        _sending[dispatch_id] -= 1


def still_sending(dispatch_ids: Iterable[str]) -> bool:
    """Whether something of these dispatches is on its way to become a job."""
    return any(_sending[dispatch_id] > 0 for dispatch_id in dispatch_ids)


@contextlib.asynccontextmanager
async def in_turn(key: Hashable, unwanted: asyncio.Event) -> AsyncIterator[bool]:
    """Wait until nobody else on the running event loop does the same.

    Args:
        key: What makes it the same.
        unwanted: Once it is set, there is no more waiting.

    Yields:
        Whether it is our turn; not if it is unwanted by then.
    """
    lock = _locks.setdefault((asyncio.get_running_loop(), key), asyncio.Lock())
    waiting = asyncio.ensure_future(lock.acquire())
    stop = asyncio.ensure_future(unwanted.wait())
    try:
        await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
        yield waiting.done()
    finally:
        stop.cancel()
        if not waiting.cancel():
            lock.release()


def in_use(key: Hashable) -> bool:
    """Whether somebody is at what `in_turn` lets one do at a time."""
    lock = _locks.get((asyncio.get_running_loop(), key))
    return lock is not None and lock.locked()


def watcher(clients: Clients, asker: Asker[JobSummary]) -> Watcher[JobSummary]:
    """Find or make the watcher for an identity's jobs on the running event loop.

    Args:
        clients: Whose jobs.
        asker: Whom a new watcher asks.
    """
    from covalent_braket_plugin.watcher import Watcher

    rates = limits(clients).rate
    return _of_loop(_watchers, clients, lambda: Watcher(asker, quickly, rates))


def limits(clients: Clients) -> Limits:
    """Find or make the limits for an identity's calls on the running event loop.

    Service Quotas is asked in the background; nobody waits for its answer.
    """
    from covalent_braket_plugin.quotas import Limits, read

    found = _of_loop(_limits, clients, Limits)
    found.renew(lambda: quickly(read, clients))
    return found


def scheduler(clients: Clients) -> Scheduler:
    """Find or make the scheduler for an identity's jobs on the running event loop."""
    from covalent_braket_plugin.scheduler import Scheduler

    allowed = limits(clients)
    return _of_loop(_schedulers, clients, lambda: Scheduler(allowed))


def lookout(clients: Clients) -> Lookout:
    """Find or make what knows how an identity's devices are, on the running event loop."""
    from covalent_braket_plugin.devices.lookout import Lookout

    return _of_loop(_lookouts, clients, Lookout)


def follower(clients: Clients) -> Follower:
    """Find or make what follows the logs of an identity's jobs on the running event loop."""
    from covalent_braket_plugin.monitoring.follower import Follower

    return _of_loop(_followers, clients, lambda: Follower(quickly))


def closer(clients: Clients) -> Closer:
    """Find or make what looks at an identity's jobs that somebody watches, on the running loop."""
    from covalent_braket_plugin.monitoring.closer import Closer

    return _of_loop(_closers, clients, lambda: Closer(quickly))


_T = TypeVar("_T")


def _of_loop(
    known: dict[tuple[asyncio.AbstractEventLoop, Hashable], _T],
    clients: Clients,
    make: Callable[[], _T],
) -> _T:
    for old in [key for key in known if key[0].is_closed()]:
        del known[old]
    key = (asyncio.get_running_loop(), clients.identity_key)
    if key not in known:
        known[key] = make()
    return known[key]


def in_background(work: Coroutine[Any, Any, None]) -> None:
    """Let something go on by itself, kept alive until it is done."""
    task = asyncio.ensure_future(work)
    _background.add(task)
    task.add_done_callback(_background.discard)
