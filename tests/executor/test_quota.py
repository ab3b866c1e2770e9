"""More electrons than Braket takes at once: none fails, none is lost."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.braket import BraketExecutor
from tests.support.braket_server import BraketServer

SLOTS = 3
ELECTRONS = 12


@pytest.fixture
def strict_braket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BraketServer]:
    """A local Braket with the quota that a new AWS account has."""
    server = BraketServer.started(
        tmp_path / "braket",
        local_endpoint.worker_command(),
        local_endpoint.worker_image(),
        max_concurrent_jobs=SLOTS,
    )
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(server.state_dir))
    yield server
    server.stop()


def double(number: int) -> int:
    return 2 * number


@pytest.mark.slow
async def test_electrons_wait_for_the_quota_instead_of_failing(
    strict_braket: BraketServer, tmp_path: Path
) -> None:
    executor = BraketExecutor(local=True, cache_dir=str(tmp_path))
    runs = [
        executor.run(double, [n], {}, {"dispatch_id": str(uuid.uuid4()), "node_id": n})
        for n in range(ELECTRONS)
    ]
    found = await asyncio.wait_for(asyncio.gather(*runs), 120)
    assert found == [2 * n for n in range(ELECTRONS)]
    jobs = strict_braket.client("braket").search_jobs(filters=[])["jobs"]
    assert len(jobs) == ELECTRONS
    calls = strict_braket.calls()["dispatcher"]
    assert calls["braket:CreateJob"] <= 2 * ELECTRONS
