"""GetDevice and SearchDevices of the local Braket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from braket.schema_common import BraketSchemaBase

from covalent_braket_plugin.local.quantum.devices import DeviceCatalogue
from covalent_braket_plugin.local.quantum.fleet import FLEET, Device
from covalent_braket_plugin.local.quantum.simulators import Simulators
from covalent_braket_plugin.local.service import Caller, ServiceError
from tests.support.quantum import DM1, FORTE, GARNET, STOCKHOLM, SV1, TN1, VIRGINIA

ANYWHERE = "us-west-2"


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    pool = Simulators(size=1)
    yield pool
    pool.close()


@pytest.fixture
def catalogue(simulators: Simulators) -> DeviceCatalogue:
    return DeviceCatalogue(simulators)


def get(catalogue: DeviceCatalogue, arn: str, region: str = "") -> dict[str, Any]:
    where = Caller(region or arn.split(":")[3] or ANYWHERE, "000000000000")
    return catalogue.operations()["GetDevice"](where, {"deviceArn": arn})


def search(catalogue: DeviceCatalogue, region: str, **params: Any) -> dict[str, Any]:
    request = {"filters": [], **params}
    return catalogue.operations()["SearchDevices"](Caller(region, "000000000000"), request)


def capabilities(catalogue: DeviceCatalogue, arn: str) -> Any:
    return BraketSchemaBase.parse_raw_schema(get(catalogue, arn)["deviceCapabilities"])


@pytest.mark.parametrize("device", FLEET, ids=lambda device: device.name)
def test_the_sdk_reads_the_capabilities_of_every_device(
    catalogue: DeviceCatalogue, device: Device
) -> None:
    read = capabilities(catalogue, device.arn)
    assert read.braketSchemaHeader.name == f"braket.device_schema.{device.schema[0]}"
    assert tuple(read.service.shotsRange) == device.shots
    assert read.paradigm.qubitCount == device.qubits


@pytest.mark.parametrize("device", FLEET, ids=lambda device: device.name)
def test_every_device_says_that_it_is_simulated_here(
    catalogue: DeviceCatalogue, device: Device
) -> None:
    service = capabilities(catalogue, device.arn).service
    assert service.deviceLocation == "local Braket (simulated)"
    assert "Simulated by the local Braket" in service.deviceDocumentation.summary


@pytest.mark.parametrize("arn", [SV1, DM1])
def test_simulators_take_openqasm_programs_only(catalogue: DeviceCatalogue, arn: str) -> None:
    assert list(capabilities(catalogue, arn).action) == ["braket.ir.openqasm.program"]


@pytest.mark.parametrize("arn", [FORTE, GARNET])
def test_qpus_take_program_sets_and_give_no_exact_results(
    catalogue: DeviceCatalogue, arn: str
) -> None:
    action = json.loads(get(catalogue, arn)["deviceCapabilities"])["action"]
    assert "braket.ir.openqasm.program_set" in action
    results = action["braket.ir.openqasm.program"]["supportedResultTypes"]
    assert {item["name"] for item in results} == {
        "Sample",
        "Expectation",
        "Variance",
        "Probability",
    }
    assert all(item["minShots"] == 1 for item in results)


def test_only_sv1_has_the_adjoint_gradient(catalogue: DeviceCatalogue) -> None:
    for arn, has_it in ((SV1, True), (DM1, False), (FORTE, False)):
        action = capabilities(catalogue, arn).action["braket.ir.openqasm.program"]
        names = [item.name for item in action.supportedResultTypes]
        assert ("AdjointGradient" in names) is has_it


def test_dm1_has_noise_and_sv1_does_not(catalogue: DeviceCatalogue) -> None:
    for arn, has_it in ((SV1, False), (DM1, True)):
        action = capabilities(catalogue, arn).action["braket.ir.openqasm.program"]
        assert ("braket_noise_bit_flip" in action.supportedPragmas) is has_it


@pytest.mark.parametrize("region", ["us-east-1", "us-west-1", "us-west-2", "eu-west-2"])
def test_simulators_are_in_every_region_but_stockholm(
    catalogue: DeviceCatalogue, region: str
) -> None:
    assert get(catalogue, SV1, region)["deviceStatus"] == "ONLINE"
    with pytest.raises(ServiceError, match="ResourceNotFoundException"):
        get(catalogue, SV1, "eu-north-1")


def test_a_qpu_is_in_its_own_region_only(catalogue: DeviceCatalogue) -> None:
    assert get(catalogue, GARNET, "eu-north-1")["deviceType"] == "QPU"
    with pytest.raises(ServiceError, match="ResourceNotFoundException"):
        get(catalogue, GARNET, "us-east-1")


def test_an_unknown_device_is_not_found(catalogue: DeviceCatalogue) -> None:
    with pytest.raises(ServiceError, match="ResourceNotFoundException"):
        get(catalogue, SV1 + "x")
    assert catalogue.find(SV1 + "x") is None


def test_a_retired_device_is_still_described(catalogue: DeviceCatalogue) -> None:
    assert get(catalogue, TN1)["deviceStatus"] == "RETIRED"
    names = {device["deviceName"] for device in search(catalogue, "us-east-1")["devices"]}
    assert names == {"SV1", "DM1", "TN1", "Forte 1", "Forte Enterprise 1"}


def test_search_filters_by_arn(catalogue: DeviceCatalogue) -> None:
    filters = [{"name": "deviceArn", "values": [SV1, FORTE, GARNET]}]
    found = search(catalogue, "us-east-1", filters=filters)["devices"]
    assert [device["deviceArn"] for device in found] == [SV1, FORTE]


def test_search_refuses_other_filters(catalogue: DeviceCatalogue) -> None:
    with pytest.raises(ServiceError, match=r"ValidationException.*deviceArn"):
        search(catalogue, "us-east-1", filters=[{"name": "status", "values": ["ONLINE"]}])


def test_search_answers_in_pages(catalogue: DeviceCatalogue) -> None:
    whole = search(catalogue, "us-east-1")["devices"]
    paged, token = [], None
    while True:
        more: dict[str, Any] = {"nextToken": token} if token else {}
        page = search(catalogue, "us-east-1", maxResults=2, **more)
        paged += page["devices"]
        token = page["nextToken"]
        if not token:
            break
    assert paged == whole


def test_a_status_can_be_changed_while_it_runs(catalogue: DeviceCatalogue) -> None:
    answer = catalogue.control("POST", {"deviceArn": FORTE, "status": "OFFLINE"})
    assert answer["devices"][FORTE] == "OFFLINE"
    assert get(catalogue, FORTE)["deviceStatus"] == "OFFLINE"
    device = catalogue.find(FORTE)
    assert device is not None
    with pytest.raises(ServiceError, match="DeviceOfflineException"):
        catalogue.check_available(device)
    assert catalogue.control("GET", None)["devices"][SV1] == "ONLINE"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"deviceArn": SV1, "status": "BROKEN"}, "ValidationException"),
        ({"deviceArn": "nothing", "status": "OFFLINE"}, "ResourceNotFoundException"),
        (None, "ValidationException"),
    ],
)
def test_a_wrong_change_of_status_is_refused(
    catalogue: DeviceCatalogue, body: Any, code: str
) -> None:
    with pytest.raises(ServiceError, match=code):
        catalogue.control("POST", body)


def test_get_device_shows_the_length_of_its_queues(catalogue: DeviceCatalogue) -> None:
    catalogue.report_queue("QUANTUM_TASKS_QUEUE", "Normal", lambda arn: 3 if arn == SV1 else 0)
    catalogue.report_queue("JOBS_QUEUE", None, lambda arn: 5)
    assert get(catalogue, SV1)["deviceQueueInfo"] == [
        {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": "3", "queuePriority": "Normal"},
        {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": "0", "queuePriority": "Priority"},
        {"queue": "JOBS_QUEUE", "queueSize": "5"},
    ]


def test_a_devices_windows_can_be_set(catalogue: DeviceCatalogue) -> None:
    assert capabilities(catalogue, GARNET).service.executionWindows[0].executionDay == "Everyday"
    weekdays = ("Weekdays", "08:00:00", "16:00:00")
    names = ("executionDay", "windowStartHour", "windowEndHour")
    windows = [dict(zip(names, weekdays, strict=True))]
    catalogue.control("POST", {"deviceArn": GARNET, "executionWindows": windows})
    window = capabilities(catalogue, GARNET).service.executionWindows[0]
    assert window.executionDay == "Weekdays"
    assert str(window.windowStartHour) == "08:00:00"


@pytest.mark.parametrize("windows", [7, ["Monday"], [{"executionDay": "Monday"}]], ids=str)
def test_what_is_no_window_is_refused(catalogue: DeviceCatalogue, windows: Any) -> None:
    with pytest.raises(ServiceError, match="These are no windows"):
        catalogue.control("POST", {"deviceArn": GARNET, "executionWindows": windows})


def test_regions_of_the_callers_are_real(catalogue: DeviceCatalogue) -> None:
    assert catalogue.in_region(GARNET, STOCKHOLM.region) is not None
    assert catalogue.in_region(GARNET, VIRGINIA.region) is None
