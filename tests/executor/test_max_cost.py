"""`max_cost`: what cannot keep it is refused before anything is uploaded; attempts share it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from covalent._shared_files.exceptions import TaskRuntimeError

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.cli import main
from covalent_braket_plugin.errors import CostLimitError, RejectedError, SettingError
from tests.support.braket_server import BraketServer
from tests.support.price_list import csv_of

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
EMERALD = "arn:aws:braket:eu-north-1::device/qpu/iqm/Emerald"


OTHERS_RESERVATION = "arn:aws:braket:eu-north-1:999999999999:reservation/x"


@dataclass
class Bench:
    """Runs functions as electrons; an hour of ml.m5.large is 0.60, a task on Garnet 0.30."""

    server: BraketServer
    place: Path

    async def run(self, function: Callable[..., Any], **settings: Any) -> Any:
        executor = BraketExecutor(local=True, cache_dir=str(self.place / "cache"), **settings)
        return await self.run_on(executor, function)

    async def run_on(self, executor: BraketExecutor, function: Callable[..., Any]) -> Any:
        executor._task_stdout, executor._task_stderr = io.StringIO(), io.StringIO()
        self.server.reset_calls()
        metadata = {"dispatch_id": str(uuid.uuid4()), "node_id": 7}
        return await executor.run(function, [str(self.place / "runs")], {}, metadata)

    @property
    def sent(self) -> set[str]:
        """What changed something on the local Braket."""
        calls = self.server.calls().get("dispatcher", {})
        return {name for name in calls if "Create" in name or "Put" in name}


@pytest.fixture
def bench(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    (tmp_path / "index.csv").write_text(csv_of())
    monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", f"file://{tmp_path}/index.csv")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Bench(local_braket, tmp_path)


def answers(file: str) -> str:
    return "done"


async def test_a_qpu_without_max_cost_is_refused_with_what_it_may_cost(bench: Bench) -> None:
    with pytest.raises(CostLimitError) as refused:
        await bench.run(answers, quantum_device=GARNET, time_limit=600)
    text = str(refused.value)
    # 600 s of an instance at 0.01 a minute.
    assert "time_limit=600 s on ml.m5.large, which costs $0.10 at most" in text
    assert "Garnet costs $0.30 a task and $0.001 a shot" in text
    assert "max_cost=5.0" in text
    assert "max_cost=None for no limit" in text
    assert "AWS's price list of 2026-11-18" in text
    assert bench.sent == set()


@pytest.mark.parametrize("settings", [{"max_cost": None}, {"max_cost": "none"}, {"max_cost": 5}])
async def test_a_qpu_is_used_once_somebody_has_said_what_it_may_cost(
    bench: Bench, settings: dict[str, Any]
) -> None:
    place = str(bench.place / "cache")
    executor = BraketExecutor(local=True, cache_dir=place, quantum_device=GARNET, **settings)
    assert await bench.run_on(executor, answers) == "done"
    text = executor.task_stderr.getvalue()
    told = "This job was for Garnet, and made no quantum task there" in text
    assert told == (settings["max_cost"] == 5), "where tasks are counted, one that is not made is"


async def test_a_simulator_needs_no_limit(bench: Bench) -> None:
    assert await bench.run(answers) == "done"


async def test_an_instance_that_costs_more_is_refused_with_both_ways_out(bench: Bench) -> None:
    with pytest.raises(CostLimitError) as refused:
        await bench.run(answers, max_cost=0.5, time_limit=3600)
    assert (
        "Cost limit: max_cost=0.5 is too little: it may cost $0.60 ($0.60 for time_limit=3600 s on "
        "1 ml.m5.large). Use max_cost=0.60 or more, or time_limit=3000 at most. Nothing was sent. "
        "Prices: AWS's price list of 2026-11-18."
    ) in str(refused.value)
    assert bench.sent == set()
    assert await bench.run(answers, max_cost=0.6, time_limit=3600) == "done"


async def test_on_a_qpu_there_must_be_enough_for_one_task(bench: Bench) -> None:
    with pytest.raises(CostLimitError, match=r"\$0\.301 for one task with one shot"):
        await bench.run(answers, max_cost=0.3, quantum_device=GARNET)
    assert bench.sent == set()


async def test_in_a_reservation_a_qpu_needs_no_limit_and_the_service_gets_the_reservation(
    bench: Bench,
) -> None:
    arn = "arn:aws:braket:eu-north-1:000000000000:reservation/x"
    reserved = {"quantum_device": GARNET, "reservation_arn": arn}
    for max_cost in ({}, {"max_cost": 0.06}):  # the instance alone is 0.05
        with pytest.raises(RejectedError, match="Reservation arn is invalid"):
            await bench.run(answers, **reserved, **max_cost)
    with pytest.raises(SettingError, match="of another account"):
        await bench.run(answers, **{**reserved, "reservation_arn": OTHERS_RESERVATION})
    assert bench.sent == set()


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"classical_device": "ml.p3.2xlarge"}, "ml.p3.2xlarge in us-east-1"),
        ({"quantum_device": "arn:aws:braket:us-east-1::device/qpu/new/One"}, "One in us-east-1"),
    ],
)
async def test_a_limit_that_cannot_be_kept_for_want_of_a_price_is_refused(
    bench: Bench, settings: dict[str, Any], what: str
) -> None:
    with pytest.raises(CostLimitError, match=f"cannot be kept: no price is known for .*{what}"):
        await bench.run(answers, max_cost=5, **settings)
    assert bench.sent == set()


def test_no_limit_and_not_set_are_told_apart_as_covalent_stores_them() -> None:
    assert BraketExecutor(max_cost=None).max_cost == "none"  # type: ignore[attr-defined]
    assert BraketExecutor().max_cost is None  # type: ignore[attr-defined]
    assert BraketExecutor(max_cost="").max_cost is None  # type: ignore[attr-defined]
    stored = BraketExecutor(max_cost=None).to_dict()
    again: Any = BraketExecutor().from_dict(stored)
    assert again.max_cost == "none"


def test_an_amount_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(SettingError, match=r"max_cost=-1.* is not valid"):
        BraketExecutor(max_cost=-1)


def spends(file: str) -> None:
    """Two tasks of 0.40 each, and then it breaks; what is open then would cost nothing."""
    import time

    import boto3

    with open(file, "a") as runs:
        runs.write("x")
    braket = boto3.client("braket", region_name="eu-north-1")
    bucket = Path(file + ".bucket").read_text()
    for _ in range(2):
        task = braket.create_quantum_task(
            deviceArn=GARNET,
            shots=100,
            action='{"braketSchemaHeader": {"name": "braket.ir.openqasm.program", "version": "1"},'
            ' "source": "OPENQASM 3.0; qubit[1] q; bit[1] b; b[0] = measure q[0];", "inputs": {}}',
            outputS3Bucket=bucket,
            outputS3KeyPrefix="tasks",
            jobToken=os.environ["AMZN_BRAKET_JOB_TOKEN"],  # as the SDK does: a task of this job
        )["quantumTaskArn"]
        while braket.get_quantum_task(quantumTaskArn=task)["status"] != "COMPLETED":
            time.sleep(0.1)
    raise ValueError("not converged")


async def test_a_job_on_a_qpu_costs_what_was_counted_in_it(bench: Bench) -> None:
    (bench.place / "runs.bucket").write_text(bench.server.info["bucket"])
    braket = bench.server.client("braket", "eu-north-1")
    before = {job["jobArn"] for job in braket.search_jobs(filters=[])["jobs"]}
    with pytest.raises(TaskRuntimeError, match="not converged"):
        await bench.run(spends, quantum_device=GARNET, max_cost=2, time_limit=60)
    (arn,) = {job["jobArn"] for job in braket.search_jobs(filters=[])["jobs"]} - before
    billed = braket.get_job(jobArn=arn)["billableDuration"] / 1000
    command = ["cost", "--no-config", "--set", "local=yes", "--json", arn]
    done = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["usd"] == pytest.approx(2 * (0.30 + 100 * 0.001) + billed / 60 * 0.01)
    assert [part["unit"] for part in found["jobs"][0]["parts"]] == ["hour", "task", "shot"]


async def test_attempts_share_one_limit_and_too_little_left_ends_them(bench: Bench) -> None:
    (bench.place / "runs.bucket").write_text(bench.server.info["bucket"])
    again = {"retries": 3, "retry_on": ["electron"]}
    with pytest.raises(TaskRuntimeError) as failed:
        await bench.run(spends, quantum_device=GARNET, time_limit=60, max_cost=1.0, **again)
    # The first attempt costs 0.80 and some seconds of 0.01 a minute; 0.301 is needed for another.
    text = str(failed.value)
    assert "not converged" in text
    assert "Attempt 2 could not be made: max_cost=1 is too little: it may cost $1.1" in text
    assert "for earlier attempts" in text
    assert (bench.place / "runs").read_text() == "x"


async def test_the_next_attempt_gets_what_is_left_and_is_the_last_if_it_spends_that(
    bench: Bench,
) -> None:
    (bench.place / "runs.bucket").write_text(bench.server.info["bucket"])
    again = {"retries": 3, "retry_on": ["electron"]}
    with pytest.raises(TaskRuntimeError) as failed:
        await bench.run(spends, quantum_device=GARNET, time_limit=60, max_cost=1.57, **again)
    # 1.57 less 0.80 less 0.01 less 0.01 is enough for one task of 0.40, and not for two.
    # There is no third attempt: it would have less left.
    assert "A task of 100 shots on Garnet was not sent" in str(failed.value)
    assert "for earlier attempts), and $0.40 of that are spent" in str(failed.value)
    assert (bench.place / "runs").read_text() == "xx"
