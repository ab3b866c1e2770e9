"""The one border between the event loop and blocking calls: a bounded pool of our own.

The default pool of asyncio is shared with Covalent's server, where a few slow uploads would hold
up its database work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["in_thread"]

MAX_THREADS = 16

_P = ParamSpec("_P")
_R = TypeVar("_R")
_pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="covalent-braket")


async def in_thread(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a blocking function in our pool.

    A cancelled caller waits until the call is done, then the cancellation goes on: what the call
    did (a job it made, say) is never lost halfway.
    """
    future = asyncio.wrap_future(_pool.submit(function, *args, **kwargs))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
