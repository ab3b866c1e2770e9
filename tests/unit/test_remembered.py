"""Answers that hold for a while, and who waits for whom."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from covalent_braket_plugin import remembered
from covalent_braket_plugin.remembered import Remembered

SECONDS = 10.0


def hold(answer: str) -> float:
    return SECONDS


def test_answer_is_asked_for_again_when_it_holds_no_longer() -> None:
    now, asked = [0.0], iter("ab")
    known: Remembered[str] = Remembered(lambda: now[0])
    assert known.get("key", lambda: next(asked), hold) == "a"
    now[0] = SECONDS - 1
    assert known.get("key", lambda: next(asked), hold) == "a"
    now[0] = SECONDS
    assert known.get("key", lambda: next(asked), hold) == "b"


def test_error_is_not_remembered() -> None:
    known: Remembered[str] = Remembered()
    with pytest.raises(ZeroDivisionError):
        known.get("key", lambda: str(1 // 0), hold)
    assert known.get("key", lambda: "a", hold) == "a"


def test_one_asks_while_others_wait_for_its_answer_and_nobody_else_does() -> None:
    known: Remembered[str] = Remembered()
    asked, answered = threading.Semaphore(0), threading.Event()

    def slow() -> str:
        asked.release()
        assert answered.wait(10)
        return "slow"

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(known.get, "one", slow, hold) for _ in range(2)]
        try:
            assert asked.acquire(timeout=10)
            assert known.get("other", lambda: "quick", hold) == "quick"
        finally:
            answered.set()
        assert [each.result(10) for each in waiting] == ["slow", "slow"]
    assert not asked.acquire(blocking=False)


def test_answers_are_not_kept_without_bound() -> None:
    known: Remembered[str] = Remembered()
    for number in range(remembered.MOST + 1):
        known.get(number, lambda: "a", hold)
    assert known.get(0, lambda: "forgotten", hold) == "forgotten"
    assert known.get(remembered.MOST, lambda: "forgotten", hold) == "a"
