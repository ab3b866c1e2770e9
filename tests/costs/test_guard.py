from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from covalent_braket_plugin.budget import LEDGER_FILE, Guard, counted, dollars, passed_over
from covalent_braket_plugin.errors import CostLimitError
from covalent_braket_plugin.protocol import Budget, Counted

SV1 = {"deviceArn": "arn:aws:braket:::device/quantum-simulator/amazon/sv1", "shots": 0}
QPU = {"deviceArn": "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet", "shots": 100}
PRICES = {"eu-north-1/garnet": {"task": 0.3, "shot": 0.001}, "us-east-1/sv1": {"minute": 0.6}}
BUDGET = Budget(1.0, limit=1.5, instance=0.5, prices=PRICES)


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(BUDGET, tmp_path / LEDGER_FILE)


def spent(tmp_path: Path) -> Counted:
    found = counted(tmp_path, BUDGET)
    assert found is not None
    return found


def test_a_simulators_open_task_costs_the_time_that_has_passed(
    guard: Guard, tmp_path: Path
) -> None:
    guard.reserve(SV1, "us-east-1")
    file = tmp_path / LEDGER_FILE
    ledger = json.loads(file.read_text())
    for task in ledger["open"].values():
        task["began"] = time.time() - 60
    file.write_text(json.dumps(ledger))
    assert spent(tmp_path).usd == pytest.approx(0.6, abs=0.01)


def test_a_simulators_task_that_has_ended_costs_what_it_took(guard: Guard, tmp_path: Path) -> None:
    guard.made(guard.reserve(SV1, "us-east-1"), "one")
    guard.settle("one", "COMPLETED", 30.0)
    assert spent(tmp_path).usd == pytest.approx(0.3)


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_task_that_came_to_nothing_gives_its_money_back(
    guard: Guard, tmp_path: Path, status: str
) -> None:
    for number in range(5):  # two at a time would be 0.80, three too much
        guard.made(guard.reserve(QPU, ""), str(number))
        guard.settle(str(number), status, 0.0)
    assert spent(tmp_path).usd == 0


def test_a_task_is_settled_once(guard: Guard, tmp_path: Path) -> None:
    guard.made(guard.reserve(QPU, ""), "one")
    for _ in range(3):  # an answer of GetQuantumTask comes as often as it is asked
        guard.settle("one", "COMPLETED", 5.0)
    assert spent(tmp_path).usd == pytest.approx(0.4)


def test_another_regions_simulator_has_its_own_price(guard: Guard) -> None:
    with pytest.raises(CostLimitError, match="sv1 in eu-west-2: its price is not known"):
        guard.reserve(SV1, "eu-west-2")


def test_a_damaged_count_stops_all_tasks_and_is_taken_to_be_all(
    guard: Guard, tmp_path: Path
) -> None:
    guard.reserve(QPU, "")
    (tmp_path / LEDGER_FILE).write_text('{"limit": 1')
    with pytest.raises(CostLimitError, match="is damaged"):
        guard.reserve(QPU, "")
    assert spent(tmp_path) == Counted(1.0, 1.0)


def test_amounts_are_short_and_small_ones_are_not_nothing() -> None:
    shown = [dollars(usd) for usd in (0, 12.5, 0.3, 0.00145, 0.000425)]
    assert shown == ["$0.00", "$12.50", "$0.30", "$0.00145", "$0.000425"]


def test_a_process_forked_in_the_middle_of_counting_holds_nobody_up(guard: Guard) -> None:
    with guard._ledger():
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        asking = multiprocessing.get_context("fork").Process(target=guard.reserve, args=(QPU, ""))
        asking.start()
        asking.join(10)
        held_up = asking.is_alive()
        asking.kill()
        assert not held_up
        assert asking.exitcode == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_qpu_on_which_no_task_was_made_is_told(guard: Guard, tmp_path: Path) -> None:
    garnet = QPU["deviceArn"]
    assert passed_over(tmp_path, str(garnet)) == (
        "This job was for Garnet, and made no quantum task there: job.current_device() is the "
        "job's device."
    )
    guard.reserve(SV1, "us-east-1")
    assert "no quantum task there, but on sv1: " in passed_over(tmp_path, str(garnet))
    guard.reserve(QPU, "")
    assert passed_over(tmp_path, str(garnet)) == ""


def test_of_a_simulator_or_a_damaged_count_nothing_is_told(guard: Guard, tmp_path: Path) -> None:
    assert passed_over(tmp_path, str(SV1["deviceArn"])) == ""
    (tmp_path / LEDGER_FILE).write_text("{")
    assert passed_over(tmp_path, str(QPU["deviceArn"])) == ""
