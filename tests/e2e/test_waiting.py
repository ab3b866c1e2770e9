"""What users see of electrons that wait for a slot, on a server whose account has one."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import covalent as ct
import pytest
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.support.braket_server import BraketServer, eventually
from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage on which one job may run at a time."""
    server = DemoServer(tmp_path_factory.mktemp("stage"))
    braket = BraketServer.started(
        server.local_braket,
        local_endpoint.worker_command(),
        local_endpoint.worker_image(),
        max_concurrent_jobs=1,
    )
    try:
        yield Stage(server, server.find_or_start(), braket)
    finally:
        server.stop()
        braket.stop()


def wait_for(file: str) -> str:
    from pathlib import Path

    while not Path(file).exists():
        time.sleep(0.1)
    print("went on")
    return "done"


def stdout_of(stage: Stage, dispatch_id: str, node_id: int) -> str:
    result = ct.get_result(dispatch_id, wait=False, dispatcher_addr=stage.url)
    return str(result.get_node_result(node_id)["stdout"] or "")


def test_electron_that_waits_says_how_many_are_ahead_and_then_what_its_job_printed(
    narrow: Stage, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    executor = ct.executor.BraketExecutor(local=True)

    @ct.lattice
    def flow(file: str) -> list[Any]:
        return [ct.electron(wait_for, executor=executor)(file) for _ in range(3)]

    dispatch_id = narrow.dispatch(flow, str(go))
    nodes = (0, 2, 4)

    def said() -> list[str] | None:
        texts = [stdout_of(narrow, dispatch_id, node) for node in nodes]
        waiting = sorted(text.partition(": ")[2] for text in texts if "Waiting for a slot" in text)
        return waiting if len(waiting) == 2 else None

    first, second = eventually(said, 60)
    assert first == "1 electron ahead, 1 of 1 jobs running.\n"
    assert second == "next in line, 1 of 1 jobs running.\n"
    go.touch()
    assert str(narrow.result(dispatch_id).status) == "COMPLETED"
    assert [stdout_of(narrow, dispatch_id, node) for node in nodes] == ["went on\n"] * 3


def test_electron_that_waits_for_a_device_says_so_and_can_be_cancelled(
    narrow: Stage, tmp_path: Path
) -> None:
    garnet = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
    narrow.braket.control("POST", "devices", {"deviceArn": garnet, "status": "OFFLINE"})
    executor = ct.executor.BraketExecutor(local=True, quantum_device="Garnet", max_cost="none")

    @ct.lattice
    def flow(file: str) -> Any:
        return ct.electron(wait_for, executor=executor)(file)

    dispatch_id = narrow.dispatch(flow, str(tmp_path / "go"))
    told = eventually(lambda: stdout_of(narrow, dispatch_id, 0), 60)
    assert told.startswith("Waiting for a device since ")
    assert told.endswith(": IQM Garnet is OFFLINE.\n")
    ct.cancel(dispatch_id, dispatcher_addr=narrow.url)
    assert str(narrow.result(dispatch_id).status) == "CANCELLED"
    braket = narrow.braket.client("braket", "eu-north-1")
    assert braket.search_jobs(filters=[])["jobs"] == []


def test_electron_that_waits_for_too_long_fails_and_is_never_submitted(
    narrow: Stage, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    patient = ct.executor.BraketExecutor(local=True)
    hasty = ct.executor.BraketExecutor(local=True, queue_timeout=2)

    @ct.lattice
    def flow(file: str) -> None:
        ct.electron(wait_for, executor=patient)(file)

    @ct.lattice
    def late() -> None:
        ct.electron(abs, executor=hasty)(-1)

    blocking = narrow.dispatch(flow, str(go))
    eventually(lambda: narrow.jobs_of(blocking), 60)
    dispatch_id = narrow.dispatch(late)
    error = narrow.result(dispatch_id).get_node_result(0)["error"]
    assert "queue_timeout" in error
    assert narrow.jobs_of(dispatch_id) == []
    go.touch()
    assert str(narrow.result(blocking).status) == "COMPLETED"


def breaks_down_once(mark: str) -> str:
    from pathlib import Path

    if not Path(mark).exists():
        Path(mark).touch()
        time.sleep(2)  # so that others have to wait
        os.kill(os.getppid(), signal.SIGKILL)
    return "done"


def test_log_of_the_server_says_when_electrons_wait_end_and_are_tried_again(
    narrow: Stage, tmp_path: Path
) -> None:
    executor = ct.executor.BraketExecutor(local=True, retries=1)

    @ct.lattice
    def flow(places: list[str]) -> list[Any]:
        return [ct.electron(breaks_down_once, executor=executor)(place) for place in places]

    dispatch_id = narrow.dispatch(flow, [str(tmp_path / name) for name in "ab"])
    assert str(narrow.result(dispatch_id).status) == "COMPLETED"
    lines = narrow.server.log.read_text().splitlines()
    names = {job["jobName"]: job["status"] for job in narrow.jobs_of(dispatch_id)}
    assert sorted(names.values()) == ["COMPLETED", "COMPLETED", "FAILED", "FAILED"]
    for name, status in names.items():
        assert_said_once(lines, "INFO", f"{name} ended {status}", "billed")
    for job in narrow.jobs_of(dispatch_id):
        if job["status"] == "FAILED":
            assert_said_once(lines, "WARNING", job["jobArn"], "Trying again.")
    waited = [name for name in names if any(f"{name}: Waiting" in line for line in lines)]
    assert waited
    for name in waited:
        assert_said_once(lines, "INFO", f"{name}: Waiting for a slot", "jobs running")


def assert_said_once(lines: list[str], level: str, *words: str) -> None:
    (line,) = [line for line in lines if all(word in line for word in words)]
    start = rf"\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}}\] \[{level}\] covalent_braket_plugin\."
    assert re.match(start, line), line
