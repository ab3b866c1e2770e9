"""What all executors of one process share, since Covalent makes a new one for each phase.

Which nodes are to be cancelled, which of Covalent's own steps run now, and one watcher for each
set of clients. All of it is used on an event loop only.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from covalent_braket_plugin.threads import in_thread

if TYPE_CHECKING:
    from covalent_braket_plugin.glue import Ended
    from covalent_braket_plugin.jobs import Jobs
    from covalent_braket_plugin.watcher import Watcher

__all__ = ["cancel", "cancel_wanted", "remove", "retire", "run_glue", "watcher"]

REMEMBERED = 10_000
"""Covalent cancels every node of a workflow, also those that ended long ago."""
STAGED_SECONDS = 300.0
"""Covalent copies an electron's files right after we hand them over, but does not say when."""

_cancelled: OrderedDict[tuple[str, int], None] = OrderedDict()
_glue: dict[tuple[str, int], asyncio.Task[Ended]] = {}
_watchers: dict[tuple[asyncio.AbstractEventLoop, int], Watcher] = {}


def cancel(dispatch_id: str, node_id: int) -> None:
    """Note that a node is to be cancelled, and end it if it is one of Covalent's own steps."""
    key = (dispatch_id, node_id)
    _cancelled[key] = None
    while len(_cancelled) > REMEMBERED:
        _cancelled.popitem(last=False)
    if key in _glue:
        _glue[key].cancel()


def cancel_wanted(dispatch_id: str, node_ids: Iterable[int]) -> bool:
    """Whether any of the nodes is to be cancelled."""
    return any((dispatch_id, node_id) in _cancelled for node_id in node_ids)


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


def watcher(jobs: Jobs) -> Watcher:
    """Find or make the watcher for an identity's jobs on the running event loop."""
    from covalent_braket_plugin.watcher import Watcher

    for old in [key for key in _watchers if key[0].is_closed()]:
        del _watchers[old]
    key = (asyncio.get_running_loop(), id(jobs.clients))  # clients live as long as the process
    if key not in _watchers:
        _watchers[key] = Watcher(jobs, in_thread)
    return _watchers[key]


def retire(place: Path) -> None:
    """Remove a group's files once Covalent has surely copied them."""
    loop = asyncio.get_running_loop()
    loop.call_later(STAGED_SECONDS, lambda: loop.run_in_executor(None, remove, place))


def remove(place: Path) -> None:
    """Remove a group's files now, and the dispatch's directory if it is empty then."""
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):  # other groups of the dispatch may still be there
        place.parent.rmdir()
