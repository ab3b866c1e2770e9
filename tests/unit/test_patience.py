from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from covalent_braket_plugin.errors import (
    AccessError,
    AwsError,
    CredentialsError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from covalent_braket_plugin.patience import patiently


def failing(times: int, error: AwsError) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    calls: list[int] = []

    async def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return call, calls


@pytest.mark.parametrize(
    "error",
    [
        ThrottledError("slow down", transient=True),
        UnreachableError("no answer", transient=True),
        CredentialsError("expired"),
    ],
)
async def test_what_passes_is_waited_for(error: AwsError) -> None:
    call, calls = failing(1, error)
    assert await patiently(lambda: call(), "Asking", 60) == "done"
    assert len(calls) == 2


@pytest.mark.parametrize("error", [AccessError("not allowed"), RejectedError("no")])
async def test_what_does_not_pass_is_asked_once(error: AwsError) -> None:
    call, calls = failing(1, error)
    with pytest.raises(type(error)):
        await patiently(call, "Asking", 60)
    assert len(calls) == 1


async def test_the_last_error_is_raised_when_the_time_is_over() -> None:
    call, calls = failing(1000, UnreachableError("still none", transient=True))
    with pytest.raises(UnreachableError, match="still none"):
        await patiently(call, "Asking", 0.2)
    assert len(calls) < 10  # the first pauses are short by chance, seldom two of them


async def test_a_pause_ends_when_the_answer_is_not_wanted_any_more() -> None:
    enough = asyncio.Event()
    call, _ = failing(1000, UnreachableError("none", transient=True))
    asking = asyncio.ensure_future(patiently(call, "Asking", 3600, enough=enough))
    await asyncio.sleep(0.05)
    enough.set()
    with pytest.raises(UnreachableError):
        await asyncio.wait_for(asking, 5)
