"""A price list as AWS lays it out, with prices of our own that are easy to reckon with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = (
    "SKU",
    "OfferTermCode",
    "RateCode",
    "TermType",
    "PriceDescription",
    "EffectiveDate",
    "StartingRange",
    "EndingRange",
    "Unit",
    "PricePerUnit",
    "Currency",
    "Product Family",
    "serviceCode",
    "Location",
    "usageType",
    "operation",
    "DeviceName",
    "Device Name",
    "Version",
    "Instance Type",
    "Region Code",
)
HEAD = """"FormatVersion","v1.0"
"Disclaimer","This pricing list is for informational purposes only."
"Publication Date","2026-11-18T17:04:11Z"
"Version","20261118170411"
"OfferCode","AmazonBraket"
"""
REGIONS = ("us-east-1", "us-west-1", "us-west-2", "eu-west-2", "eu-north-1")


def row(family: str, region: str, usd: str, unit: str, **more: str) -> dict[str, str]:
    """One price; other columns by their names, with ``_`` for a blank."""
    about = {
        "TermType": "OnDemand",
        "StartingRange": "0",
        "EndingRange": "Inf",
        "Unit": unit,
        "PricePerUnit": usd,
        "Currency": "USD",
        "Product Family": family,
        "serviceCode": "AmazonBraket",
        "Region Code": region,
    }
    return {**about, **{key.replace("_", " "): value for key, value in more.items()}}


def rows() -> list[dict[str, str]]:
    """A minute of ml.m5.large 0.01, of SV1 0.6; Garnet 0.30 a task, 0.001 a shot."""
    found = []
    for region in REGIONS:
        instance = {"Instance_Type": "ml.m5.large", "usageType": "Managed-Jobs:ml.m5.large"}
        family = "Braket Managed Jobs Instance"
        found.append(row(family, region, "0.0100000000", "minutes", **instance))
    found += [
        row(
            "Braket Managed Jobs Simulator Task",
            "us-east-1",
            "0.6000000000",
            "minutes",
            Version="SV1",
            operation="Managed-Jobs",
        ),
        row("Simulator Task", "us-east-1", "9", "minutes", Version="SV1", operation="CompleteTask"),
        row(
            "Braket Managed Jobs QPU Task",
            "eu-north-1",
            "0.3000000000",
            "Task",
            Device_Name="Garnet",
        ),
        row(
            "Braket Managed Jobs QPU Task Shot",
            "eu-north-1",
            "0.0010000000",
            "Shot",
            Device_Name="Garnet",
        ),
        row("Quantum Task", "eu-north-1", "7", "Task", DeviceName="Garnet"),
    ]
    return found


def csv_of(prices: Iterable[Mapping[str, str]] | None = None) -> str:
    """Write a list."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows() if prices is None else prices)
    return HEAD + text.getvalue()
