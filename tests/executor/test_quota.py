"""More electrons than Braket takes at once: none fails, none is lost, hardly one is throttled."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.errors import LocalBraketError, ZeroQuotaError
from tests.support.braket_server import BraketServer, eventually

SLOTS = 3
ELECTRONS = 7
SECONDS = 180
"""Enough on a machine that is busy with other things."""

Start = Callable[..., BraketServer]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a local Braket with quotas; the executors of the test use it."""
    servers: list[BraketServer] = []

    def started(**options: Any) -> BraketServer:
        worker, image = local_endpoint.worker_command(), local_endpoint.worker_image()
        server = BraketServer.started(tmp_path / "braket", worker, image, **options)
        servers.append(server)
        monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(server.state_dir))
        return server

    yield started
    for server in servers:
        server.stop()


def double(number: int) -> int:
    return 2 * number


async def doubled(executor: BraketExecutor, numbers: range) -> list[int]:
    runs = [
        executor.run(double, [n], {}, {"dispatch_id": str(uuid.uuid4()), "node_id": n})
        for n in numbers
    ]
    return list(await asyncio.wait_for(asyncio.gather(*runs), SECONDS))


def answers(server: BraketServer, operation: str) -> dict[str, int]:
    """Count the answers to an operation by HTTP status."""
    counts: dict[str, int] = server.control("GET", "answers")["dispatcher"]
    names = {name: name.split() for name in counts}
    return {
        status: counts[name] for name, (call, status) in names.items() if call.endswith(operation)
    }


@pytest.mark.slow
async def test_electrons_wait_for_the_quota_and_the_rate_instead_of_failing(
    start: Start, tmp_path: Path
) -> None:
    server = start(quotas="default")
    executor = BraketExecutor(local=True, cache_dir=str(tmp_path))
    assert await doubled(executor, range(ELECTRONS)) == [2 * n for n in range(ELECTRONS)]
    assert len(server.client("braket").search_jobs(filters=[])["jobs"]) == ELECTRONS
    found = answers(server, "CreateJob")
    assert found["201"] == ELECTRONS
    # They leave in time; on a busy machine one may arrive together with the next.
    assert found.get("429", 0) <= 1
    assert found.get("402", 0) <= 3, "only before Service Quotas has answered"


@pytest.mark.slow
async def test_the_quota_is_learnt_where_service_quotas_may_not_be_asked(
    start: Start, tmp_path: Path
) -> None:
    server = start(max_concurrent_jobs=SLOTS, rate_limits=True)
    denied = {"kind": "error", "code": "AccessDeniedException", "status": 400, "times": 0}
    server.faults({"operation": "servicequotas:*", **denied})
    executor = BraketExecutor(local=True, cache_dir=str(tmp_path))
    assert await doubled(executor, range(ELECTRONS)) == [2 * n for n in range(ELECTRONS)]
    found = answers(server, "CreateJob")
    assert found["201"] == ELECTRONS
    # They leave in time; on a busy machine one may arrive together with the next.
    assert found.get("429", 0) <= 1
    assert found.get("402", 0) <= 4


async def test_an_instance_type_with_quota_zero_fails_at_once_and_says_what_to_do(
    start: Start, tmp_path: Path
) -> None:
    server = start(quotas="default")
    executor = BraketExecutor(
        local=True, cache_dir=str(tmp_path), classical_device="ml.g4dn.xlarge"
    )
    with pytest.raises(ZeroQuotaError, match=r"ml\.g4dn\.xlarge.*Choose another classical_device"):
        await doubled(executor, range(1))
    assert server.client("braket").search_jobs(filters=[])["jobs"] == []
    assert answers(server, "CreateJob") == {}


@pytest.mark.slow
async def test_electrons_that_wait_for_a_local_braket_that_is_replaced_fail_and_hold_up_no_other(
    start: Start, tmp_path: Path
) -> None:
    def last(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    executor = BraketExecutor(local=True, cache_dir=str(tmp_path), poll_freq=2)

    def run(node_id: int, seconds: float) -> asyncio.Task[Any]:
        metadata = {"dispatch_id": str(uuid.uuid4()), "node_id": node_id}
        return asyncio.ensure_future(executor.run(last, [seconds], {}, metadata))

    server = start(max_concurrent_jobs=2)
    runs = [run(node_id, 60) for node_id in range(5)]

    def all_uploaded_and_two_are_jobs() -> bool:
        # Answered: what is not uploaded whole would be uploaded again, to the new one, and run.
        answers = server.control("GET", "answers").get("dispatcher", {})
        return (answers.get("s3:PutObject 200"), answers.get("braket:CreateJob 201")) == (15, 2)

    await asyncio.to_thread(eventually, all_uploaded_and_two_are_jobs, 30)
    os.kill(server.info["pid"], signal.SIGKILL)
    start(max_concurrent_jobs=2)
    ended = await asyncio.wait_for(asyncio.gather(*runs, return_exceptions=True), 60)
    assert all(isinstance(each, LocalBraketError) for each in ended), ended
    assert sum("waited for a slot" in str(each) for each in ended) >= 3
    assert await asyncio.wait_for(asyncio.gather(*(run(n, 0) for n in range(5, 8))), 60) == [0] * 3
