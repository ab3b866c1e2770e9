"""Devices by name, that cannot be used now, that others stand in for; on a real local Braket."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from covalent._shared_files.exceptions import TaskCancelledError

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.errors import CostLimitError, DeviceError, SettingError
from covalent_braket_plugin.history import History
from covalent_braket_plugin.settings import resolve
from tests.support.braket_server import BraketServer, eventually

NORTH = "eu-north-1"
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
EMERALD = "arn:aws:braket:eu-north-1::device/qpu/iqm/Emerald"
TN1 = "arn:aws:braket:::device/quantum-simulator/amazon/tn1"
ALWAYS = ("Everyday", "00:00:00", "23:59:59")
ONE_REFUSAL = {"operation": "CreateJob", "kind": "error", "status": 424, "times": 1}


@dataclass
class Fleet:
    """Runs electrons, and changes how devices are."""

    server: BraketServer
    place: Path
    task: dict[str, Any] = field(init=False)

    def run(self, args: Sequence[object] = (), **settings: Any) -> asyncio.Task[Any]:
        settings = {"local": True, "max_cost": "none", "poll_freq": 1, **settings}
        executor = BraketExecutor(cache_dir=str(self.place / "cache"), **settings)
        self.task = {"dispatch_id": str(uuid.uuid4()), "node_id": 7}
        self.server.reset_calls()
        return asyncio.ensure_future(executor.run(where, list(args), {}, self.task))

    async def until(self, operation: str, times: int = 1) -> None:
        """Wait until the executor has called an operation so often."""
        await asyncio.to_thread(eventually, lambda: self.calls(operation) >= times)

    def calls(self, operation: str) -> int:
        return self.server.calls().get("dispatcher", {}).get(operation, 0)

    def status(self, arn: str, value: str) -> None:
        self.server.control("POST", "devices", {"deviceArn": arn, "status": value})

    def windows(self, arn: str, *windows: tuple[str, str, str]) -> None:
        names = ("executionDay", "windowStartHour", "windowEndHour")
        made = [dict(zip(names, each, strict=True)) for each in windows]
        self.server.control("POST", "devices", {"deviceArn": arn, "executionWindows": made})

    @property
    def job(self) -> dict[str, Any]:
        braket = self.server.client("braket", NORTH)
        jobs = braket.search_jobs(filters=[])["jobs"]
        mine = [j for j in jobs if j["tags"]["covalent:dispatch_id"] == self.task["dispatch_id"]]
        assert len(mine) == 1
        found: dict[str, Any] = braket.get_job(jobArn=mine[0]["jobArn"])
        return found

    @property
    def sent(self) -> set[str]:
        """What changed something on the local Braket."""
        calls = self.server.calls().get("dispatcher", {})
        return {name for name in calls if "Create" in name or "Put" in name}


def where(step: int = 0) -> str:
    import os

    return os.environ["AMZN_BRAKET_DEVICE_ARN"]


@pytest.fixture
def fleet(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Fleet]:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    fleet = Fleet(local_braket, tmp_path)
    yield fleet
    for arn in (GARNET, EMERALD):
        fleet.status(arn, "ONLINE")
        fleet.windows(arn, ALWAYS)


# --- names ---------------------------------------------------------------------------------------


async def test_a_name_is_looked_up_once_and_the_job_goes_to_the_devices_region(
    fleet: Fleet, no_blocking: None
) -> None:
    assert await fleet.run(quantum_device="iqm garnet") == GARNET
    assert fleet.job["deviceConfig"] == {"device": GARNET}
    assert fleet.job["jobArn"].split(":")[3] == NORTH
    assert "covalent:device_wanted" not in fleet.job["tags"]
    with pytest.raises(SettingError, match="'Garnett'"):
        await fleet.run(quantum_device="Garnett")
    assert fleet.calls("braket:SearchDevices") == 0, "the list holds for an hour"


async def test_a_name_in_another_region_than_the_one_that_was_set_is_refused(fleet: Fleet) -> None:
    with pytest.raises(SettingError, match=r"'Garnet'.* is in eu-north-1.*region='eu-north-1'"):
        await fleet.run(quantum_device="Garnet", region="us-east-1")
    assert not fleet.sent


@pytest.mark.parametrize("device", ["Lucy", "Aspen-M-1", "TN1", TN1, "Aria"], ids=str)
async def test_a_retired_device_is_refused_before_anything_is_sent(
    fleet: Fleet, device: str
) -> None:
    with pytest.raises(SettingError, match=r"is retired.*Use .* instead"):
        await fleet.run(quantum_device=device)
    assert not fleet.sent


# --- not available -------------------------------------------------------------------------------


async def test_an_electron_waits_for_a_device_and_nothing_is_in_s3_meanwhile(
    fleet: Fleet, no_blocking: None, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.status(GARNET, "OFFLINE")
    run = fleet.run(quantum_device=GARNET)
    await fleet.until("braket:GetDevice")
    assert not fleet.sent
    fleet.status(GARNET, "ONLINE")
    assert await run == GARNET
    told = [each for each in caplog.records if "IQM Garnet is OFFLINE" in each.getMessage()]
    assert told[0].levelno == logging.WARNING, "nobody knows how long"


async def test_many_that_wait_for_a_device_ask_as_one(fleet: Fleet) -> None:
    fleet.status(GARNET, "OFFLINE")
    runs = [fleet.run(quantum_device=GARNET, max_device_wait=1) for _ in range(20)]
    ended = await asyncio.gather(*runs, return_exceptions=True)
    assert all(isinstance(each, DeviceError) for each in ended), ended
    assert "max_device_wait=1 s are over" in str(ended[0])
    assert fleet.calls("braket:GetDevice") <= 2
    assert not fleet.sent


async def test_an_electron_that_shall_not_wait_fails_and_says_why(fleet: Fleet) -> None:
    fleet.status(GARNET, "OFFLINE")
    with pytest.raises(DeviceError, match=r"IQM Garnet is OFFLINE.*Nothing was submitted"):
        await fleet.run(quantum_device=GARNET, if_device_unavailable="fail")
    assert not fleet.sent


async def test_who_would_be_refused_anyway_does_not_wait_first(fleet: Fleet) -> None:
    fleet.status(GARNET, "OFFLINE")
    with pytest.raises(CostLimitError, match="max_cost"):
        await fleet.run(quantum_device=GARNET, max_cost="")
    assert not fleet.sent


async def test_a_window_that_opens_too_late_fails_at_once_with_when_it_opens(fleet: Fleet) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    fleet.windows(GARNET, (f"{tomorrow:%A}", "10:00:00", "11:00:00"))
    with pytest.raises(DeviceError, match=r"outside its execution window, which opens .*too|later"):
        await fleet.run(quantum_device=GARNET, max_device_wait=3600)
    assert not fleet.sent


@pytest.mark.slow
async def test_a_window_that_opens_is_waited_for(fleet: Fleet) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=3)
    closed = opens - timedelta(seconds=60)
    fleet.windows(GARNET, ("Everyday", f"{opens:%H:%M:%S}", f"{closed:%H:%M:%S}"))
    run = fleet.run(quantum_device=GARNET)
    await fleet.until("braket:GetDevice")
    assert not fleet.sent
    assert await run == GARNET
    assert fleet.calls("braket:GetDevice") <= 2, "a closed device is not asked about"


async def test_who_waits_for_a_device_can_be_cancelled(fleet: Fleet) -> None:
    fleet.status(GARNET, "OFFLINE")
    run = fleet.run(quantum_device=GARNET)
    await fleet.until("braket:GetDevice")
    assert await BraketExecutor(local=True).cancel(fleet.task, None)
    with pytest.raises(TaskCancelledError):
        await asyncio.wait_for(run, 5)
    assert not fleet.sent


# --- others stand in -----------------------------------------------------------------------------


async def test_the_first_other_device_that_is_available_is_taken_and_recorded(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.status(GARNET, "OFFLINE")
    policy = {"if_device_unavailable": "fallback", "fallback_devices": ["emerald", "Ibex-Q1"]}
    assert await fleet.run(quantum_device="Garnet", keep_payload=True, **policy) == EMERALD
    job = fleet.job
    assert job["deviceConfig"] == {"device": EMERALD}
    assert job["tags"]["covalent:device_wanted"] == GARNET
    assert f"Runs on {EMERALD} instead of {GARNET}: IQM Garnet is OFFLINE" in caplog.text
    bucket, _, key = job["hyperParameters"]["covalent_manifest"][5:].partition("/")
    outcome = fleet.server.client("s3", NORTH).get_object(
        Bucket=bucket, Key=key.replace("manifest.json", "outcome.json")
    )
    assert json.load(outcome["Body"])["device"] == EMERALD
    given = {"local": True, "region": NORTH}
    known = History.of(resolve(given, {}, {})).job(job["jobArn"])
    assert (known.device, known.device_wanted) == (EMERALD, GARNET)


async def test_a_device_of_another_region_stands_in_for_none(fleet: Fleet) -> None:
    policy = {"if_device_unavailable": "fallback", "fallback_devices": ["Forte-1"]}
    with pytest.raises(SettingError, match=r"fallback_devices=.*us-east-1"):
        await fleet.run(quantum_device="Garnet", **policy)
    assert not fleet.sent


async def test_what_an_electron_may_cost_holds_for_each_device_that_it_may_get(
    fleet: Fleet,
) -> None:
    policy = {"if_device_unavailable": "fallback", "fallback_devices": [EMERALD]}
    with pytest.raises(CostLimitError, match=r"Emerald is a QPU|max_cost"):
        await fleet.run(quantum_device="local:braket/default", region=NORTH, max_cost="", **policy)
    assert not fleet.sent


# --- refused by CreateJob ------------------------------------------------------------------------


async def test_a_device_that_goes_offline_at_the_last_moment_is_waited_for(fleet: Fleet) -> None:
    run = fleet.run(quantum_device=GARNET)
    fleet.server.faults({**ONE_REFUSAL, "code": "DeviceOfflineException"})
    assert await run == GARNET
    assert fleet.calls("braket:CreateJob") == 2
    assert fleet.job["status"] == "COMPLETED"


async def test_the_job_for_the_other_device_shows_the_same_arguments(fleet: Fleet) -> None:
    policy = {"if_device_unavailable": "fallback", "fallback_devices": [EMERALD]}
    run = fleet.run([7], quantum_device=GARNET, log_arguments=True, **policy)
    fleet.server.faults({**ONE_REFUSAL, "code": "DeviceOfflineException"})
    assert await run == EMERALD
    assert fleet.job["hyperParameters"]["step"] == "7"


async def test_a_device_that_is_retired_at_the_last_moment_fails_and_leaves_nothing(
    fleet: Fleet,
) -> None:
    run = fleet.run(quantum_device=GARNET)
    fleet.server.faults({**ONE_REFUSAL, "code": "DeviceRetiredException", "status": 410})
    with pytest.raises(DeviceError, match="DeviceRetiredException"):
        await run
    s3 = fleet.server.client("s3", NORTH)
    bucket = fleet.server.info["bucket"].replace("us-east-1", NORTH)
    try:
        left = s3.list_objects_v2(Bucket=bucket, Prefix=f"covalent/{fleet.task['dispatch_id']}")
    except ClientError as error:
        pytest.fail(f"{bucket}: {error}")
    assert left["KeyCount"] == 0
