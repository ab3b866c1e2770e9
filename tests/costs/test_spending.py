from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from covalent_braket_plugin.costs import price_list
from covalent_braket_plugin.costs.spending import spent, summed
from covalent_braket_plugin.costs.table import Prices, by_place
from covalent_braket_plugin.descriptions import Job, QuantumTask
from tests.support.price_list import csv_of

PRICES = Prices(by_place(price_list.parse(csv_of())), "test")
BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"


def job(region: str = "eu-north-1", **more: object) -> Job:
    about: dict[str, object] = {
        "arn": f"arn:aws:braket:{region}:123456789012:job/1",
        "name": "j",
        "status": "COMPLETED",
        "started_at": BEGAN,
        "ended_at": BEGAN + timedelta(seconds=90),
        "billable_seconds": 60.0,
        "instance_type": "ml.m5.large",
    }
    return Job(**{**about, **more})  # type: ignore[arg-type]


def task(device: str, status: str = "COMPLETED", **more: object) -> QuantumTask:
    about: dict[str, object] = {"shots": 100, "created_at": BEGAN}
    if status in ("COMPLETED", "FAILED", "CANCELLED"):
        about["ended_at"] = BEGAN + timedelta(seconds=10)
    return QuantumTask("arn", device, status, **{**about, **more})  # type: ignore[arg-type]


def test_a_job_costs_its_billed_time() -> None:
    found = spent(job(), [], PRICES)
    assert found.usd == pytest.approx(0.01)  # a minute
    assert not found.approximate
    assert found.unknown == ()


def test_each_instance_is_paid_for() -> None:
    assert spent(job(instance_count=3), [], PRICES).usd == pytest.approx(0.03)


def test_a_job_that_runs_costs_what_has_passed() -> None:
    running = job(status="RUNNING", ended_at=None, billable_seconds=None)
    found = spent(running, [], PRICES, now=BEGAN + timedelta(minutes=5))
    assert found.usd == pytest.approx(0.05)
    assert found.approximate


def test_a_job_that_waits_has_cost_nothing_yet() -> None:
    found = spent(job(status="QUEUED", started_at=None, billable_seconds=None), [], PRICES)
    assert found.parts == ()
    assert found.usd is None


def test_in_a_reservation_the_reserved_device_is_paid_for_already_and_no_other() -> None:
    reserved = job(device=GARNET, reservation_arn="arn:aws:braket:eu-north-1:1:reservation/x")
    assert spent(reserved, [task(GARNET)], PRICES).usd == pytest.approx(0.01)
    other = spent(reserved, [task(GARNET.replace("Garnet", "Other"))], PRICES)
    assert other.unknown


def test_a_qpu_is_paid_for_by_task_and_shot_unless_the_task_failed() -> None:
    tasks = [
        task(GARNET),
        task(GARNET, shots=50),
        task(GARNET, "FAILED"),
        task(GARNET, "CANCELLED"),
    ]
    found = spent(job(), tasks, PRICES)
    assert found.usd == pytest.approx(0.01 + 2 * 0.30 + 150 * 0.001)
    assert not found.approximate
    assert [(part.quantity, part.unit) for part in found.parts[1:]] == [(2, "task"), (150, "shot")]


def test_a_simulator_is_paid_for_by_time_three_seconds_at_least() -> None:
    tasks = [task(SV1, seconds=0.2), task(SV1, seconds=6.0)]
    found = spent(job("us-east-1"), tasks, PRICES)
    assert found.usd == pytest.approx(0.01 + (3 + 6) / 60 * 0.6)
    assert not found.approximate


def test_without_its_results_a_simulators_time_is_at_most_what_passed() -> None:
    found = spent(job("us-east-1"), [task(SV1)], PRICES)
    assert found.usd == pytest.approx(0.01 + 10 / 60 * 0.6)
    assert found.approximate


def test_what_has_no_price_is_named_and_not_guessed() -> None:
    other = "arn:aws:braket:us-east-1::device/qpu/new/Machine"
    found = spent(job("us-east-1", instance_type="ml.p3.2xlarge"), [task(other)], PRICES)
    assert found.usd is None
    assert found.unknown == (
        "No price is known for Machine in us-east-1.",
        "No price is known for ml.p3.2xlarge in us-east-1.",
    )


def test_several_jobs_add_up() -> None:
    both = summed([spent(job(), [task(GARNET)], PRICES), spent(job(), [], PRICES)])
    assert both.usd == pytest.approx(0.01 + 0.30 + 0.1 + 0.01)
