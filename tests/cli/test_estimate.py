"""``covalent-braket estimate``: amounts, and what is said where no price is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin.cli import main
from tests.support.price_list import csv_of

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"


@pytest.fixture(autouse=True)
def _own_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.csv").write_text(csv_of())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", f"file://{tmp_path}/index.csv")


def estimate(*arguments: str) -> Result:
    done = CliRunner().invoke(main, ["estimate", "--no-config", *arguments])
    assert done.exit_code == 0, done.output
    return done


def test_a_job_costs_its_time_limit_and_its_planned_tasks() -> None:
    settings = ("--set", f"quantum_device={GARNET}", "--set", "time_limit=1800")
    found = json.loads(estimate("--tasks", "10", "--shots", "100", *settings, "--json").stdout)
    # Half an hour at 0.60, ten tasks at 0.30, a thousand shots at 0.001.
    assert found["usd"] == pytest.approx(0.3 + 3.0 + 1.0)
    assert found["region"] == "eu-north-1"
    assert found["unknown"] == []


@pytest.mark.parametrize(("options", "usd"), [((), 0.3), (("--seconds", "6"), 0.6)])
def test_a_simulators_tasks_cost_their_time_three_seconds_at_least(
    options: tuple[str, ...], usd: float
) -> None:
    region = ("--set", "region=us-east-1", "--set", "time_limit=60")
    found = json.loads(estimate("--tasks", "10", *options, *region, "--json").stdout)
    assert found["usd"] == pytest.approx(0.01 + usd)


def test_each_instance_costs() -> None:
    settings = ("--set", "region=us-east-1", "--set", "instance_count=3")
    found = json.loads(estimate(*settings, "--set", "time_limit=60", "--json").stdout)
    assert found["usd"] == pytest.approx(0.03)


def test_what_has_no_price_is_named_and_the_rest_is_added_up() -> None:
    instance = ("--set", "classical_device=ml.p3.2xlarge", "--set", "region=us-east-1")
    out = estimate("--tasks", "10", *instance).stdout
    assert "No price is known for ml.p3.2xlarge in us-east-1." in out
    assert "Together: not known; $0.30 without what has no price" in out


def test_an_instance_priced_elsewhere_only_is_taken_to_cost_half_more_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The table in the package has a price for us-east-1 alone.
    monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", f"file://{tmp_path}/none.csv")
    region = ("--set", "region=us-west-1", "--set", "time_limit=60")
    found = json.loads(estimate(*region, "--json").stdout)
    assert found["usd"] == pytest.approx(0.115 * 1.5 / 60)
    assert "price and a half of it, for want of one here" in found["most"][0]["note"]


def test_people_read_where_prices_are_from_and_that_the_local_braket_charges_nothing() -> None:
    out = estimate("--set", "local=yes").stdout
    assert "Prices: AWS's price list of 2026-11-18" in out
    assert out.count("The local Braket charges nothing") == 1
    assert "Together: $0.05, and quantum tasks" in out


def test_a_setting_that_breaks_a_rule_is_an_error_in_one_line() -> None:
    done = CliRunner().invoke(main, ["estimate", "--no-config", "--set", "time_limit=0"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: time_limit=0 is not valid")


def test_in_a_reservation_quantum_tasks_cost_nothing_more() -> None:
    garnet = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
    reservation = "arn:aws:braket:eu-north-1:123456789012:reservation/x"
    settings = ["--set", f"quantum_device={garnet}", "--set", f"reservation_arn={reservation}"]
    found = json.loads(estimate("--tasks", "10", "--shots", "10", *settings, "--json").stdout)
    assert [part["usd"] for part in found["each"] + found["planned"]] == [0.0] * 4
    assert {part["note"] for part in found["planned"]} == {"reserved: paid for by the hour"}
