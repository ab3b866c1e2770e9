"""Asking again: calls that fail for a reason that passes are repeated, with growing pauses.

By class of error, never by its text: see `covalent_braket_plugin.errors.may_pass`. Making jobs and
waiting for them have rules of their own (`scheduler`, `watcher`); this is for all the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random_exponential,
)

from covalent_braket_plugin.errors import may_pass

__all__ = ["LONGEST_PAUSE_SECONDS", "patiently", "persistently"]

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0

T = TypeVar("T")

log = logging.getLogger(__name__)


async def patiently(
    call: Callable[[], Awaitable[T]],
    what: str,
    give_up_after: float,
    *,
    worth: Callable[[BaseException], bool] = may_pass,
    enough: asyncio.Event | None = None,
) -> T:
    """Make a call, again and again as long as it fails for a reason that passes.

    Args:
        call: The call; it may be made several times.
        what: What it does, for the log.
        give_up_after: Longest time in seconds after which it is not made again.
        worth: Tells which errors may pass.
        enough: Once it is set, the last error is raised instead of asking again.

    Raises:
        Exception: The last error of the call.
    """
    stop = enough or asyncio.Event()

    async def pause(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    async def once() -> T:  # tenacity awaits only what is declared so
        return await call()

    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s: %s Asking again (%s).", what, error, state.attempt_number)

    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: worth(error) and not stop.is_set()),
        wait=wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
        stop=stop_after_delay(give_up_after),
        sleep=pause,
        before_sleep=report,
        reraise=True,
    )
    return await retrying(once)


def persistently(
    call: Callable[[], T],
    attempts: int,
    first_pause: float,
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """Make a call, again as long as it fails for a reason that passes; blocks.

    Args:
        call: The call; it may be made several times.
        attempts: How often it is made at most.
        first_pause: Seconds before the second attempt; each further pause is twice as long, up to
            `LONGEST_PAUSE_SECONDS`.
        pause: Sleeps.

    Raises:
        Exception: The last error of the call.
    """
    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        wait=wait_exponential(first_pause, LONGEST_PAUSE_SECONDS),
        stop=stop_after_attempt(attempts),
        sleep=pause,
        reraise=True,
    )
    return retrying(call)
