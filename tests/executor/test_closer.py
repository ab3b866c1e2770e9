"""Looking closer at jobs that somebody watches, on a local Braket that runs one job at a time."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from covalent_braket_plugin import aws
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.monitoring import phases, watched
from covalent_braket_plugin.monitoring.board import BOARD, Entry
from covalent_braket_plugin.monitoring.closer import Closer, Seen
from covalent_braket_plugin.settings import Settings, with_local
from covalent_braket_plugin.threads import quickly
from tests.support.braket_server import BraketServer, eventually

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[BraketServer]:
    """A local Braket with one slot, whose jobs sleep."""
    server = BraketServer.started(
        tmp_path, SLEEPER, "sleeper:py311-cloudpickle2.2.1", slots=1, grace_seconds=0.5
    )
    yield server
    server.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("no_blocking")
async def test_place_in_the_queue_and_cost_so_far_are_asked_for_only_while_somebody_watches(
    narrow: BraketServer,
) -> None:
    create = narrow.client("braket").create_job
    arns = [create(**narrow.job_request(name))["jobArn"] for name in ("one", "two", "three")]
    await asyncio.to_thread(narrow.wait, arns[0], "RUNNING")
    settings = with_local(Settings(local=True), narrow.info)
    jobs = Jobs(await asyncio.to_thread(aws.clients_for, settings))
    dispatch_id = str(uuid.uuid4())
    closer = Closer(quickly)
    narrow.reset_calls()
    for node_id, arn in enumerate(arns):
        phases.enter(dispatch_id, node_id, "queued")
        closer.add(Seen(job_arn=arn, dispatch_id=dispatch_id, node_id=node_id, jobs=lambda: jobs))
    await asyncio.sleep(3)
    assert narrow.calls().get("dispatcher", {}) == {}

    def entry(node_id: int) -> Entry:
        found = BOARD.entry(dispatch_id, node_id)
        assert found is not None
        return found

    watched.note(dispatch_id)
    await asyncio.to_thread(eventually, lambda: entry(2).note)
    assert entry(0).phase == "running"
    assert (entry(0).cost_usd or 0) > 0
    assert [entry(node_id).phase for node_id in (1, 2)] == ["queued", "queued"]
    assert entry(1).note == "position 1 in Braket's queue"
    assert entry(2).note == "position 2 in Braket's queue"
    for arn in arns[1:]:
        closer.leave(arn)
    # The last look is at what is billed in the end.
    narrow.client("braket").cancel_job(jobArn=arns[0])
    await asyncio.to_thread(narrow.wait, arns[0])
    before = entry(0).cost_usd
    closer.leave(arns[0])
    await asyncio.to_thread(eventually, lambda: entry(0).cost_usd != before)
    made = narrow.calls()["dispatcher"]
    assert made == {"braket:GetJob": made["braket:GetJob"], "braket:SearchQuantumTasks": 6}
    assert made["braket:GetJob"] <= 6


@pytest.mark.slow
async def test_cost_of_a_job_that_ended_unwatched_is_asked_once_somebody_watches(
    narrow: BraketServer,
) -> None:
    arn = narrow.client("braket").create_job(**narrow.job_request("alone"))["jobArn"]
    await asyncio.to_thread(narrow.wait, arn, "RUNNING")
    jobs = Jobs(
        await asyncio.to_thread(aws.clients_for, with_local(Settings(local=True), narrow.info))
    )
    dispatch_id, closer = str(uuid.uuid4()), Closer(quickly)
    phases.enter(dispatch_id, 0, "queued")
    closer.add(Seen(job_arn=arn, dispatch_id=dispatch_id, node_id=0, jobs=lambda: jobs))
    narrow.client("braket").cancel_job(jobArn=arn)
    await asyncio.to_thread(narrow.wait, arn)
    narrow.reset_calls()
    closer.leave(arn)
    await asyncio.sleep(2.5)
    assert narrow.calls().get("dispatcher", {}) == {}

    def cost() -> float | None:
        entry = BOARD.entry(dispatch_id, 0)
        return entry.cost_usd if entry else None

    watched.note(dispatch_id)
    assert (await asyncio.to_thread(eventually, cost) or 0) > 0
    await asyncio.sleep(2.5)
    assert narrow.calls()["dispatcher"] == {"braket:GetJob": 1, "braket:SearchQuantumTasks": 1}
