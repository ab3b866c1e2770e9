"""What a whole dispatch has cost, through a real server: retries and sublattices included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import covalent as ct
import pytest

from tests.support.price_list import csv_of
from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"


def simulates(tasks: int, bucket: str, mark: str = "") -> int:
    """Make quantum tasks on SV1; the first time a mark is wanted, break afterwards."""
    from braket.aws import AwsDevice
    from braket.circuits import Circuit

    device = AwsDevice(SV1)
    for _ in range(tasks):
        where = (bucket, "tasks")
        task = device.run(
            Circuit().h(0), shots=10, s3_destination_folder=where, poll_interval_seconds=0.1
        )
        task.result()
    if mark and not Path(mark).exists():
        Path(mark).touch()
        raise ValueError("not converged")
    return tasks


def cost(stage: Stage, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (place / "index.csv").write_text(csv_of())
    prices = {"BRAKET_PRICE_OFFERS_URL": f"file://{place}/index.csv", "XDG_CACHE_HOME": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "covalent_braket_plugin.cli", "cost", "--set=local=yes", *arguments],
        env={**stage.server.environment(os.environ), **prices},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_dispatch_costs_all_attempts_and_all_sublattices(stage: Stage, tmp_path: Path) -> None:
    stage.configure(local="true")
    executor = ct.executor.BraketExecutor(local=True, retries=1, retry_on=["electron"])
    flaky = ct.electron(simulates, executor=executor)
    once = ct.electron(simulates, executor="braket")

    @ct.electron(executor="braket")
    @ct.lattice
    def inner(bucket: str) -> Any:
        return once(1, bucket)

    @ct.lattice
    def flow(bucket: str, mark: str) -> Any:
        return flaky(2, bucket, mark), inner(bucket)

    dispatch_id = stage.dispatch(flow, stage.braket.info["bucket"], str(tmp_path / "mark"))
    assert str(stage.result(dispatch_id).status) == "COMPLETED"

    found = json.loads(cost(stage, tmp_path, dispatch_id, "--json").stdout)
    jobs = found["jobs"]
    assert sorted((job["attempt"], job["status"]) for job in jobs) == [
        (1, "COMPLETED"), (1, "FAILED"), (2, "COMPLETED"),
    ]  # fmt: skip
    assert {job["dispatch_id"] for job in jobs} - {dispatch_id}  # the sublattice's
    # Five tasks of milliseconds are charged for 3 s each at 0.60 a minute, instances by the second.
    billed = sum(stage.job(job["job"])["billableDuration"] / 1000 for job in jobs)
    assert found["usd"] == pytest.approx(5 * 0.03 + billed / 60 * 0.01)
    assert not found["approximate"]
    assert found["local"]
    # The beginning of its id will do.
    assert json.loads(cost(stage, tmp_path, dispatch_id[:8], "--json").stdout)["jobs"] == jobs

    # Whichever of the two became a job first, the dispatch's own electron made two tasks.
    own = next(job for job in jobs if job["dispatch_id"] == dispatch_id)
    shown = cost(stage, tmp_path, f"{dispatch_id}:{own['node_id']}").stdout
    assert "sv1: 2 tasks" in shown
    assert "Total" in shown
    assert "The local Braket charges nothing: this is what it would cost on AWS." in shown
    one = json.loads(cost(stage, tmp_path, jobs[0]["job"], "--json").stdout)
    assert one["usd"] == pytest.approx(jobs[0]["usd"])
