"""Which device is meant by what people write."""

from __future__ import annotations

import json
from enum import EnumType
from typing import Any

import pytest
from braket.devices import Devices

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.devices.catalogue import check_live, in_region, located
from covalent_braket_plugin.devices.names import Listed, find, is_name
from covalent_braket_plugin.devices.retired import retirement
from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.settings import check_complete, resolve


def listed(arn: str, provider: str, name: str, status: str = "ONLINE") -> Listed:
    kind = "QPU" if "/qpu/" in arn else "SIMULATOR"
    return Listed(f"arn:aws:braket:{arn}", provider, name, kind, status)


SV1 = listed("::device/quantum-simulator/amazon/sv1", "Amazon Braket", "SV1")
TN1 = listed("::device/quantum-simulator/amazon/tn1", "Amazon Braket", "TN1", "RETIRED")
FORTE = listed("us-east-1::device/qpu/ionq/Forte-1", "IonQ", "Forte 1")
ENTERPRISE = listed(
    "us-east-1::device/qpu/ionq/Forte-Enterprise-1", "IonQ", "Forte Enterprise 1", "OFFLINE"
)
GARNET = listed("eu-north-1::device/qpu/iqm/Garnet", "IQM", "Garnet")
CEPHEUS = listed("us-west-1::device/qpu/rigetti/Cepheus-1-108Q", "Rigetti", "Cepheus-1-108Q")
OLD = listed("us-east-1::device/qpu/new/Old-1", "New", "Old 1", "RETIRED")
ALL = (SV1, TN1, FORTE, ENTERPRISE, GARNET, CEPHEUS, OLD)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        *((name, SV1) for name in ("SV1", "sv1", "Amazon SV1", "amazon braket sv1")),
        *((name, FORTE) for name in ("Forte-1", "forte 1", "IonQ Forte 1", "forte_1")),
        *((name, ENTERPRISE) for name in ("Forte-Enterprise-1", "forte ent", "IonQ Forte E")),
        *((name, CEPHEUS) for name in ("Cepheus-1-108Q", "cepheus", "Rigetti")),
        *((name, GARNET) for name in ("GARNET", "IQM Garnet", "gar")),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_a_name_in_any_spelling_means_one_device(name: str, device: Listed) -> None:
    assert find("quantum_device", name, ALL) == device


def test_what_is_found_twice_is_one_device() -> None:
    assert find("quantum_device", "sv1", [SV1, SV1]) == SV1


def test_a_beginning_of_two_names_is_refused_with_both() -> None:
    with pytest.raises(SettingError, match="may mean IonQ Forte 1, IonQ Forte Enterprise 1"):
        find("quantum_device", "forte", ALL)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Granet", "'Garnet'"),
        ("Fort-1", "'Forte 1'"),
        ("xyz", "There are SV1, "),
        ("__", ""),
    ],
)
def test_an_unknown_name_is_refused_with_what_comes_close(name: str, hint: str) -> None:
    with pytest.raises(SettingError, match="no device of that name") as refused:
        find("quantum_device", name, ALL)
    assert hint in str(refused.value)
    assert "`covalent-braket devices`" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "since", "instead"),
    [
        ("TN1", "2026-06", "SV1"),
        ("amazon braket tn1", "2026-06", "SV1"),
        ("arn:aws:braket:::device/quantum-simulator/amazon/tn1", "2026-06", "SV1"),
        ("Harmony", "2024-09", "Forte-1"),
        ("IonQ device", "", "Forte-1"),
        ("ionQdevice", "", "Forte-1"),
        ("Aria", "2026-03", "Forte-1"),
        ("IonQ Aria 1", "2026-03", "Forte-1"),
        ("Aria 2", "2025-10", "Forte-1"),
        ("Lucy", "", "Garnet"),
        ("OQC Lucy", "", "Garnet"),
        ("arn:aws:braket:eu-west-2::device/qpu/oqc/Lucy", "", "Garnet"),
        ("Aspen-11", "", "Cepheus"),
        ("Aspen-M-1", "", "Cepheus"),
        ("Rigetti Aspen-M-3", "2024-09", "Cepheus"),
        ("Ankaa-2", "2025-02", "Cepheus"),
        ("Ankaa-3", "2026-04", "Cepheus"),
        ("Borealis", "", "Garnet"),
        ("D-Wave", "", "Garnet"),
        ("Advantage_system6", "", "Garnet"),
        ("DW_2000Q_6", "", "Garnet"),
    ],
)
def test_a_retired_device_is_refused_with_the_date_if_known_and_what_to_use(
    name: str, since: str, instead: str
) -> None:
    given = {"quantum_device": name}
    with pytest.raises(SettingError, match=f"is retired.*{since}.*{instead}"):
        check_live(resolve(given, {}, {}))
    if is_name(name):
        with pytest.raises(SettingError, match="is retired"):
            find("quantum_device", name, ALL)


def test_every_device_that_the_sdk_marks_as_retired_is_known_here_and_no_other() -> None:
    groups: list[Any] = [each for each in vars(Devices).values() if isinstance(each, EnumType)]
    members = [pair for group in groups for pair in group.__members__.items()]
    assert len(members) > 20
    for name, arn in members:
        assert (retirement(str(arn)) is not None) == name.startswith("_"), arn


def test_a_device_that_braket_says_is_retired_is_refused_without_a_table() -> None:
    with pytest.raises(SettingError, match="New Old 1 is retired"):
        find("quantum_device", "old-1", ALL)


def test_a_new_device_of_a_retired_ones_name_is_the_new_one() -> None:
    lucy = listed("eu-west-2::device/qpu/oqc/Lucy-II", "OQC", "Lucy")
    assert find("quantum_device", "Lucy", [*ALL, lucy]) == lucy


@pytest.mark.parametrize("device", [SV1.arn, GARNET.arn, "local:braket/default"])
def test_arns_and_local_devices_are_not_looked_up(device: str) -> None:
    settings = resolve({"quantum_device": device}, {}, {})
    assert located(settings) == settings


@pytest.mark.parametrize("none", ["none", "None", " NONE "])
def test_none_is_brakets_word_for_no_device(none: str) -> None:
    settings = resolve({"quantum_device": none}, {}, {})
    assert located(settings).quantum_device == "local:none/none"


def test_the_sdks_own_names_become_plain_text() -> None:
    executor = BraketExecutor(
        quantum_device=Devices.IQM.Garnet,
        if_device_unavailable="fallback",
        fallback_devices=[Devices.IQM.Emerald, "Ibex-Q1"],
    )
    emerald = "arn:aws:braket:eu-north-1::device/qpu/iqm/Emerald"
    stored = json.loads(json.dumps(executor.to_dict()))["attributes"]
    assert stored["quantum_device"] == GARNET.arn
    assert stored["fallback_devices"] == [emerald, "Ibex-Q1"]
    kept = [vars(executor)["quantum_device"], *vars(executor)["fallback_devices"]]
    assert {type(each) for each in kept} == {str}


@pytest.mark.parametrize(
    ("device", "region", "why"),
    [(FORTE.arn, "eu-north-1", "is in us-east-1"), (SV1.arn, "eu-north-1", "no on-demand")],
)
def test_a_device_stands_in_only_where_the_job_is(device: str, region: str, why: str) -> None:
    given = {"if_device_unavailable": "fallback", "fallback_devices": [device]}
    with pytest.raises(SettingError, match=f"fallback_devices=.*{why}"):
        in_region(resolve({"quantum_device": GARNET.arn, **given}, {}, {}), region)
    in_region(resolve({"quantum_device": FORTE.arn, **given}, {}, {}), "us-east-1")


def test_fallback_without_devices_to_fall_back_on_is_refused() -> None:
    with pytest.raises(SettingError, match=r"if_device_unavailable='fallback'.*fallback_devices"):
        check_complete(resolve({"if_device_unavailable": "fallback"}, {}, {}))


def test_devices_to_fall_back_on_without_the_policy_are_refused() -> None:
    devices = {"fallback_devices": ["Emerald"]}
    with pytest.raises(SettingError, match=r"fallback_devices='Emerald'.*if_device_unavailable"):
        check_complete(resolve(devices, {}, {}))
    # One executor may do without what the configuration file has for the others.
    check_complete(resolve({"if_device_unavailable": "wait"}, devices, {}))
