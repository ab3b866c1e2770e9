"""The pool of simulator processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest

from covalent_braket_plugin.local.quantum.simulators import Reply, SimulatorCrashed, Simulators
from tests.support.braket_server import eventually

# Stands in for the simulators: answers what the protocol wants, slowly, badly, or not at all.
PROGRAM = """
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "die":
        os._exit(request["code"])
    if request["do"] == "babble":
        print("no JSON", flush=True)
        continue
    time.sleep(request.get("seconds", 0))
    body = json.dumps({"pid": os.getpid()})
    print(json.dumps({"error": None, "successful_shots": 0, "length": len(body)}), flush=True)
    print(body, end="", flush=True)
"""
OWNER = """
import sys
from covalent_braket_plugin.local.quantum.simulators import Simulators
pool = Simulators(size=1)
pool.submit({"do": "warm_up"}).result(60)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pool() -> Iterator[Simulators]:
    made = Simulators(size=2, command=[sys.executable, "-c", PROGRAM])
    yield made
    made.close()


def pid(pool: Simulators) -> bytes:
    return pool.submit({"do": "anything"}).result(10).body


def test_work_in_turn_needs_one_process(pool: Simulators) -> None:
    assert len({pid(pool) for _ in range(5)}) == 1


def test_work_that_is_stopped_while_it_is_taken_up_does_not_run(pool: Simulators) -> None:
    known, stopped = threading.Event(), threading.Event()
    futures: list[Future[Reply]] = []

    def stop() -> None:
        known.wait(10)
        pool.stop(futures[0])
        stopped.set()

    futures.append(pool.submit({"do": "wait", "seconds": 60}, stop))
    known.set()
    with pytest.raises(SimulatorCrashed):
        futures[0].result(10)
    assert stopped.is_set()
    assert pid(pool)


def test_work_at_once_is_spread_over_the_processes(pool: Simulators) -> None:
    futures = [pool.submit({"do": "wait", "seconds": 0.2}) for _ in range(6)]
    assert len({future.result(10).body for future in futures}) == 2


def test_the_start_of_work_is_told(pool: Simulators) -> None:
    started = threading.Event()
    pool.submit({"do": "anything"}, started.set).result(10)
    assert started.is_set()


def test_waiting_work_can_be_dropped(pool: Simulators) -> None:
    futures = [pool.submit({"do": "wait", "seconds": 0.3}) for _ in range(3)]
    pool.stop(futures[2])
    assert futures[2].cancelled()
    assert futures[1].result(10).error is None


def test_running_work_is_stopped_with_its_process(pool: Simulators) -> None:
    before = pid(pool)
    started = threading.Event()
    future = pool.submit({"do": "wait", "seconds": 60}, started.set)
    assert started.wait(10)
    pool.stop(future)
    with pytest.raises(SimulatorCrashed, match="signal 9"):
        future.result(10)
    assert pid(pool) != before


def test_a_late_stop_hurts_nobody(pool: Simulators) -> None:
    future = pool.submit({"do": "anything"})
    body = future.result(10).body
    pool.stop(future)
    assert pid(pool) == body


@pytest.mark.parametrize(
    ("request_", "text"),
    [({"do": "die", "code": 3}, "exit code 3"), ({"do": "babble"}, "signal 9")],
)
def test_a_process_that_fails_is_replaced(
    pool: Simulators, request_: dict[str, object], text: str
) -> None:
    with pytest.raises(SimulatorCrashed, match=text):
        pool.submit(request_).result(10)
    assert pid(pool)


def test_a_closed_pool_takes_nothing_and_leaves_no_process(pool: Simulators) -> None:
    process = psutil.Process(json.loads(pid(pool))["pid"])
    started = threading.Event()
    running = pool.submit({"do": "wait", "seconds": 60}, started.set)
    assert started.wait(10)
    pool.close()
    with pytest.raises(SimulatorCrashed):
        running.result(10)
    with pytest.raises(SimulatorCrashed, match="closed"):
        pool.submit({"do": "anything"})
    assert not process.is_running()


def test_simulators_do_not_outlive_a_killed_server() -> None:
    root = Path(__file__).parents[2]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        children = psutil.Process(owner.pid).children()
        assert children
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
    eventually(lambda: not any(child.is_running() for child in children))
