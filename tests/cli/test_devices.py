"""``covalent-braket devices``, and other commands that take a device's name; on a local Braket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin.cli import main
from tests.support.braket_server import BraketServer
from tests.support.price_list import csv_of

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"
NAMES = ("executionDay", "windowStartHour", "windowEndHour")
ALWAYS = dict(zip(NAMES, ("Everyday", "00:00:00", "23:59:59"), strict=True))
NEVER_MIND = {"kind": "error", "code": "AccessDeniedException", "status": 403}

Run = Callable[..., Result]


@pytest.fixture
def run(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Run]:
    (tmp_path / "index.csv").write_text(csv_of())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", f"file://{tmp_path}/index.csv")
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))

    def invoke(*arguments: str) -> Result:
        given = [*arguments, "--no-config", "--set", "local=yes"]
        return CliRunner().invoke(main, given)

    yield invoke
    change = {"deviceArn": GARNET, "status": "ONLINE", "executionWindows": [ALWAYS]}
    local_braket.control("POST", "devices", change)


def test_all_regions_are_listed_with_status_queue_window_and_price(run: Run) -> None:
    out = run("devices").stdout
    (garnet,) = [line for line in out.splitlines() if "Garnet" in line]
    for word in ("IQM", "QPU", "ONLINE", "eu-north-1", "0 tasks, 0 jobs", "always open"):
        assert word in garnet
    assert "$0.30/task + $0.001/shot" in garnet
    assert "Forte 1" in out
    assert "TN1" not in out


def test_retired_devices_are_listed_if_asked_for(run: Run) -> None:
    found = json.loads(run("devices", "--all", "--region", "us-east-1", "--json").stdout)
    by_name = {each["name"]: each for each in found["devices"]}
    assert by_name["TN1"]["status"] == "RETIRED"
    assert by_name["TN1"]["available"] is None
    assert by_name["SV1"]["available"] is True
    assert "Garnet" not in by_name


def test_one_device_is_shown_by_its_name_with_its_next_window(
    run: Run, local_braket: BraketServer
) -> None:
    monday = dict(zip(NAMES, ("Monday", "00:00:00", "00:00:01"), strict=True))
    local_braket.control("POST", "devices", {"deviceArn": GARNET, "executionWindows": [monday]})
    (found,) = json.loads(run("devices", "iqm garnet", "--json").stdout)["devices"]
    assert (found["arn"], found["available"]) == (GARNET, False)
    assert found["opens"].endswith("T00:00:00+00:00")
    assert "opens " in run("devices", "garnet").stdout


def test_a_region_that_refuses_is_a_note_and_no_failure(
    run: Run, local_braket: BraketServer
) -> None:
    local_braket.faults({"operation": "SearchDevices", "times": 1, **NEVER_MIND})
    done = run("devices")
    assert done.exit_code == 0
    assert "could not be looked at: SearchDevices was refused" in done.stderr
    assert "ONLINE" in done.stdout
    local_braket.faults({"operation": "SearchDevices", "times": 0, **NEVER_MIND})
    done = run("devices")
    assert done.exit_code == 1
    assert "SearchDevices was refused" in done.stderr


@pytest.mark.parametrize(
    ("name", "said"), [("granet", "Did you mean 'Garnet'?"), ("lucy", "is retired")]
)
def test_an_unknown_name_fails_with_what_was_meant(run: Run, name: str, said: str) -> None:
    done = run("devices", name)
    assert done.exit_code == 1
    assert said in done.stderr


def test_other_commands_take_names_too(run: Run) -> None:
    name = ("--set", "quantum_device=forte 1")
    request = json.loads(run("render", *name, "--account", "0" * 12, "--json").stdout)
    assert request["deviceConfig"] == {"device": FORTE}
    found = json.loads(run("estimate", "--tasks", "1", *name, "--json").stdout)
    assert found["planned"][0]["what"] == "Forte-1"


def test_a_retired_device_is_told_without_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    done = CliRunner().invoke(main, ["devices", "Lucy", "--no-config"])
    assert done.exit_code == 1
    assert "OQC Lucy is retired. Use Garnet" in done.stderr
