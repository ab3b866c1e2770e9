"""`covalent_braket_plugin.job` in electrons that run as jobs on a real local Braket."""

from __future__ import annotations

import asyncio
import io
import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from covalent._shared_files.exceptions import TaskRuntimeError

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.history import History, HybridJob
from tests.support.braket_server import SV1, BraketServer
from tests.support.price_list import csv_of
from tests.support.quantum import DM1, GARNET

VALUES = {"depth": 3, "rate": 0.1, "label": "7", "deep": {"a": [True, None]}, "lines": "a\nb"}


@dataclass
class Bench:
    """Runs functions as electrons."""

    server: BraketServer
    place: Path

    async def run(self, function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        executor = BraketExecutor(local=True, cache_dir=str(self.place / "cache"), **settings)
        executor._task_stdout = self.stdout = io.StringIO()
        executor._task_stderr = self.stderr = io.StringIO()
        self.task: dict[str, Any] = {"dispatch_id": str(uuid.uuid4()), "node_id": 7}
        return await executor.run(function, list(args), {}, self.task)

    async def job(self, region: str = "us-east-1") -> HybridJob:
        """The job of the last run."""
        history = await asyncio.to_thread(History, local=True, region=region)
        return await asyncio.to_thread(history.job, (self.task["dispatch_id"], 7))


@pytest.fixture
def bench(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    return Bench(local_braket, tmp_path)


@pytest.fixture
def garnet_is_offline(local_braket: BraketServer) -> Iterator[None]:
    local_braket.control("POST", "devices", {"deviceArn": GARNET, "status": "OFFLINE"})
    yield
    local_braket.control("POST", "devices", {"deviceArn": GARNET, "status": "ONLINE"})


def uses_all(dm1: str, garnet: str) -> dict[str, Any]:
    import pennylane as qml
    from braket.circuits import Circuit, Observable
    from braket.jobs import get_hyperparameters

    from covalent_braket_plugin import job

    print(job.describe_environment())
    circuits = [Circuit().rx(0, n / 10).expectation(Observable.Z(), 0) for n in range(30)]
    device = job.current_device()
    values = [
        each.values[0]
        for each in job.run_parallel(
            circuits, max_workers=6, base_seconds=0.1, poll_interval_seconds=0.1
        )
    ]
    for step, value in enumerate(values[:3]):
        job.log_metric("energy", value, step)

    @qml.qnode(job.pennylane_device(1))
    def plus() -> Any:
        qml.Hadamard(0)
        return qml.expval(qml.PauliX(0))

    fallen = job.run_with_fallback(circuits[0], [garnet, dm1])
    return {
        "device": device.arn,
        "values": values,
        "plus": float(plus()),
        "ours": job.hyperparameters(),
        "sdk": get_hyperparameters(),
        "fallback": (fallen.device_arn, dict(fallen.tried), fallen.result.values[0]),
    }


async def test_an_electron_has_all_that_a_job_can_do(bench: Bench, garnet_is_offline: None) -> None:
    bench.server.faults(
        {"operation": "CreateQuantumTask", "kind": "throttle", "times": 9, "caller": "job"}
    )
    got = await bench.run(uses_all, DM1, GARNET, hyperparameters=VALUES, log_arguments=True)
    assert got["device"] == SV1
    assert got["values"] == pytest.approx([math.cos(n / 10) for n in range(30)])
    assert got["plus"] == pytest.approx(1.0)
    assert got["ours"] == {**VALUES, "dm1": DM1, "garnet": GARNET}
    assert got["sdk"]["label"] == "7"
    assert got["sdk"]["depth"] == "3"
    assert got["fallback"] == (DM1, {GARNET: "it is OFFLINE"}, pytest.approx(1.0))
    said = bench.stdout.getvalue()
    assert "AMZN_BRAKET_JOB_TOKEN=(set, not shown)" in said
    assert "amazon-braket-sdk 1." in said

    job = await bench.job()
    made = await asyncio.to_thread(job.quantum_tasks)
    assert len(made) == 32  # 30, PennyLane's and the one that fell back: none twice
    table = await asyncio.to_thread(job.metrics)
    energies = table[table.metric == "energy"]
    assert list(energies.iteration_number) == [0, 1, 2]
    assert list(energies.value) == pytest.approx([math.cos(n / 10) for n in range(3)])
    assert list(table[table.metric == "fallback"].value) == [1.0]
    assert job.hyperparameters == got["ours"]


def breaks_once(file: str, depth: int) -> dict[str, Any]:
    import os

    from covalent_braket_plugin import job

    with open(file, "a") as runs:
        runs.write("x")
    if os.stat(file).st_size == 1:
        raise ValueError("not finite")
    return job.hyperparameters()


async def test_arguments_are_shown_again_with_the_next_attempt(bench: Bench) -> None:
    file = str(bench.place / "runs")
    again = {"retries": 1, "retry_on": ["electron"]}
    shown = {"hyperparameters": {"label": "7"}, "log_arguments": True}
    got = await bench.run(breaks_once, file, 3, **again, **shown)
    assert got == {"file": file, "depth": 3, "label": "7"}


def spends_in_parallel(file: str) -> None:
    from braket.circuits import Circuit

    from covalent_braket_plugin import job

    try:
        job.run_parallel([Circuit().h(0)] * 8, shots=100, max_workers=4, poll_interval_seconds=0.1)
    except job.ParallelError as error:
        gave = sum(result is not None for result in error.results)
        Path(file).write_text(f"{gave} of {len(error.results)}")
        raise


async def test_max_cost_holds_for_circuits_that_run_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.place / "index.csv").write_text(csv_of())
    monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", f"file://{bench.place}/index.csv")
    monkeypatch.setenv("XDG_CACHE_HOME", str(bench.place / "cache"))
    file = bench.place / "gave"
    # 0.40 each, and 0.01 for the instance: three of eight.
    with pytest.raises(TaskRuntimeError) as failed:
        await bench.run(
            spends_in_parallel, str(file), quantum_device=GARNET, max_cost=1.25, time_limit=60
        )
    assert "Cost limit:" in str(failed.value)
    assert "5 of 8 circuits failed" in str(failed.value)
    assert file.read_text() == "3 of 8"
    assert len(await asyncio.to_thread((await bench.job(GARNET.split(":")[3])).quantum_tasks)) == 3
