from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from covalent_braket_plugin.costs import price_list
from covalent_braket_plugin.costs.prices import at_hand, prices
from covalent_braket_plugin.costs.table import own_table
from tests.costs.conftest import PriceServer
from tests.support.price_list import csv_of, row, rows

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
INSTANCE = "Braket Managed Jobs Instance"


def test_prices_come_from_awss_list(price_server: PriceServer) -> None:
    found = prices()
    assert found.problem == ""
    assert found.source == "AWS's price list of 2026-11-18"
    assert found.instance_hour("ml.m5.large", "eu-north-1") == pytest.approx(0.6)
    assert found.task(GARNET, "us-east-1") == 0.30
    assert found.shot(GARNET, "us-east-1") == 0.001
    assert found.simulator_minute(SV1, "us-east-1") == 0.6


def test_the_list_is_fetched_once_and_kept_for_other_processes(
    price_server: PriceServer, tmp_path: Path
) -> None:
    prices()
    prices()
    assert price_server.asked == 1
    kept = json.loads((tmp_path / "cache/covalent-braket/prices.json").read_text())
    assert kept["url"] == price_server.url
    assert len(kept["prices"]) == 8


def test_what_another_process_fetched_is_used(price_server: PriceServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache/covalent-braket/prices.json"
    cache.parent.mkdir(parents=True)
    mine = {"kind": "instance", "region": "us-east-1", "name": "ml.c5.xlarge", "usd": 1.5}
    kept = {**mine, "date": "2026-11-01", "source": "test"}
    about = {"url": price_server.url, "at": time.time(), "problem": "", "prices": [kept]}
    cache.write_text(json.dumps(about))
    assert at_hand().instance_hour("ml.c5.xlarge", "us-east-1") == 1.5
    assert price_server.asked == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}', '{"url": "x", "at": "y"}'])
def test_a_damaged_cache_is_as_none(price_server: PriceServer, tmp_path: Path, text: str) -> None:
    cache = tmp_path / "cache/covalent-braket/prices.json"
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    assert prices().problem == ""


def test_where_nobody_answers_the_dated_table_holds(price_server: PriceServer) -> None:
    price_server.stop()
    found = prices()
    assert found.source == f"this package's table of {own_table().date}"
    assert price_server.url in found.problem
    assert found.shot(GARNET, "eu-north-1") == 0.00145


@pytest.mark.usefixtures("price_server")
def test_that_awss_own_list_cannot_be_reached_is_said_in_a_few_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(price_list.URL_VARIABLE)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert prices().problem == "AWS's price list is not used: it cannot be reached"


def test_secrets_in_the_address_of_a_list_are_not_told(
    price_server: PriceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    price_server.stop()
    address = price_server.url.replace("http://", "http://me:hush@")
    monkeypatch.setenv(price_list.URL_VARIABLE, f"{address}?X-Amz-Signature=hush")
    problem = prices().problem
    assert price_server.url in problem
    assert "hush" not in problem


def test_a_list_that_does_not_come_holds_nobody_up_twice(price_server: PriceServer) -> None:
    price_server.hold.clear()
    start = time.monotonic()
    assert prices(wait_seconds=0.3).problem
    first = time.monotonic() - start
    assert prices(wait_seconds=0.3).problem
    assert first < 2
    assert time.monotonic() - start < first + 0.2
    price_server.hold.set()
    assert prices(wait_seconds=20).problem == ""


def test_what_is_at_hand_asks_nobody(price_server: PriceServer) -> None:
    assert "has not been fetched yet" in at_hand().problem
    assert price_server.asked == 0


def test_a_copy_of_the_list_in_a_file_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.csv").write_text(csv_of())
    monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", f"file://{tmp_path}/index.csv")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert prices().simulator_minute(SV1, "us-east-1") == 0.6


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("<html>Sign in to the hotel's network</html>", 200),
        ("", 200),
        (csv_of([]), 200),
        ('"a\n' * 2000 + "\0" * 10, 200),
        (csv_of(), 503),
    ],
)
def test_what_is_no_price_list_is_not_used(
    price_server: PriceServer, body: str, status: int
) -> None:
    price_server.body, price_server.status = body, status
    found = prices()
    assert found.problem
    assert found.task(GARNET, "") == 0.30


@pytest.mark.parametrize("usd", ["-1", "nan", "inf", "", "free", "1e999"])
def test_a_price_that_is_no_amount_is_left_out(usd: str) -> None:
    bad = row(INSTANCE, "us-east-1", usd, "hours", Instance_Type="ml.c5.xlarge")
    kept = {price.name for price in price_list.parse(csv_of([*rows(), bad]))}
    assert "ml.c5.xlarge" not in kept


@pytest.mark.parametrize(
    "more",
    [
        {"Unit": "fortnights"},
        {"Currency": "CNY"},
        {"TermType": "Reserved"},
        {"StartingRange": "1000"},
        {"Region Code": ""},
        {"Instance Type": "ml.c5.xlarge or ml.c5.2xlarge"},
        {"Instance Type": "ml.made-up.xlarge"},
    ],
)
def test_a_price_of_something_else_is_left_out(more: dict[str, str]) -> None:
    bad = {**row(INSTANCE, "us-east-1", "1", "hours", Instance_Type="ml.c5.xlarge"), **more}
    assert len(price_list.parse(csv_of([*rows(), bad]))) == len(price_list.parse(csv_of()))


def test_what_two_rows_price_differently_has_no_price() -> None:
    two = [row(INSTANCE, "us-east-1", usd, "hours", Instance_Type="ml.c5.xlarge") for usd in "12"]
    kept = {price.name for price in price_list.parse(csv_of([*rows(), *two]))}
    assert "ml.c5.xlarge" not in kept


def test_each_price_in_the_table_has_a_source_and_a_date() -> None:
    for price in own_table().prices:
        assert price.source
        assert len(price.date) == len("2026-09-11")
        assert price.usd > 0
