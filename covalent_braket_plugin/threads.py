"""The one border between the event loop and blocking calls: four bounded pools of our own.

The default pool of asyncio is shared with Covalent's server, where a few slow uploads would hold
up its database work. Uploads have a pool to themselves, with all that AWS is asked before them, so
that hanging ones hold up neither what finished jobs left nor Covalent's own steps; short calls have
another one, so that a cancellation waits for no data at all. Input data, which may be very large,
has a pool too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["in_thread", "quickly", "uploading", "uploading_inputs", "without_waiting"]

MAX_THREADS = 16
MAX_UPLOAD_THREADS = 8
MAX_INPUT_THREADS = 4
MAX_QUICK_THREADS = 24
"""An identity whose endpoint hangs holds up to nine (`watcher` and `scheduler`): there is room for
a cancellation and for other identities all the same. Idle threads are not even started."""

_P = ParamSpec("_P")
_R = TypeVar("_R")
_pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="covalent-braket")
_uploads = ThreadPoolExecutor(MAX_UPLOAD_THREADS, thread_name_prefix="covalent-braket-upload")
_inputs = ThreadPoolExecutor(MAX_INPUT_THREADS, thread_name_prefix="covalent-braket-inputs")
_quick = ThreadPoolExecutor(MAX_QUICK_THREADS, thread_name_prefix="covalent-braket-quick")


async def in_thread(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a blocking function that may fetch data, or works with files.

    A cancelled caller waits until the call is done, then the cancellation goes on: what the call
    did (a job it made, say) is never lost halfway. A call that has not begun by then is not made.
    """
    return await _finished(_pool.submit(function, *args, **kwargs))


async def uploading(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a blocking function that a task needs on its way to S3; else as `in_thread`."""
    return await _finished(_uploads.submit(function, *args, **kwargs))


async def uploading_inputs(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a blocking function that may bring very much data to S3; else as `in_thread`."""
    return await _finished(_inputs.submit(function, *args, **kwargs))


async def quickly(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a blocking function that only asks or says something; else as `in_thread`."""
    return await _finished(_quick.submit(function, *args, **kwargs))


def without_waiting(function: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
    """Call a blocking function that nobody waits for but the end of the process."""
    _quick.submit(function, *args, **kwargs)


async def _finished(started: Future[_R]) -> _R:
    future = asyncio.wrap_future(started)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not started.cancel():
            await asyncio.wait([future])
            future.exception()  # nobody asks for it any more, and asyncio would say so
        raise
