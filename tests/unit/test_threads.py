"""The border between the event loop and blocking calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from covalent_braket_plugin.threads import (
    MAX_QUICK_THREADS,
    MAX_THREADS,
    MAX_UPLOAD_THREADS,
    in_thread,
    quickly,
    uploading,
)


@pytest.mark.parametrize(
    ("call", "threads"),
    [(in_thread, MAX_THREADS), (uploading, MAX_UPLOAD_THREADS), (quickly, MAX_QUICK_THREADS)],
)
async def test_a_call_whose_caller_is_cancelled_before_it_began_is_never_made(
    call: Callable[..., Any], threads: int
) -> None:
    release, made = threading.Event(), threading.Event()
    busy = [asyncio.ensure_future(call(release.wait, 30)) for _ in range(threads)]
    waiting = asyncio.ensure_future(call(made.set))
    try:
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 5)
    finally:
        release.set()
    assert await asyncio.gather(*busy) == [True] * threads
    await call(int)
    assert not made.is_set()


async def test_a_call_that_has_begun_is_waited_for_by_a_cancelled_caller() -> None:
    begun, release, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(30)
        done.set()

    calling = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(begun.wait, 5)
    calling.cancel()
    await asyncio.sleep(0.05)
    assert not calling.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert done.is_set()


async def test_uploads_that_hang_hold_up_neither_downloads_nor_short_calls() -> None:
    release = threading.Event()
    hanging = [asyncio.ensure_future(uploading(release.wait, 30)) for _ in range(3 * MAX_THREADS)]
    try:
        await asyncio.sleep(0)
        assert await asyncio.wait_for(in_thread(int, 7), 5) == 7
        assert await asyncio.wait_for(quickly(int, 7), 5) == 7
    finally:
        release.set()
        await asyncio.gather(*hanging)


async def test_short_calls_are_made_while_all_threads_for_data_are_busy() -> None:
    release = threading.Event()
    busy = [asyncio.ensure_future(in_thread(release.wait, 30)) for _ in range(3 * MAX_THREADS)]
    try:
        assert await asyncio.wait_for(quickly(int, 7), 5) == 7
    finally:
        release.set()
        await asyncio.gather(*busy)
