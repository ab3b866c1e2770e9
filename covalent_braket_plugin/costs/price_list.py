"""AWS's public list of Braket's prices: fetched, and read.

A CSV of the bulk price list
(https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-an-offer.html): five lines
about the file, one with the names of columns, then prices. Columns and product families are those
that the Braket SDK reads (``braket/tracking``). It names no column for the instance type of a job,
so that a row's type is looked for in all of its cells.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from covalent_braket_plugin.costs.table import Kind, Price
from covalent_braket_plugin.settings.instance_types import INSTANCE_TYPES

__all__ = ["LIST_URL", "URL_VARIABLE", "fetch", "list_url", "parse"]

LIST_URL = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonBraket/current/index.csv"
URL_VARIABLE = "BRAKET_PRICE_OFFERS_URL"
"""Says where the list is instead; the Braket SDK reads the same variable."""

MOST_BYTES = 32 * 1024 * 1024
ANSWER_SECONDS = 5.0
FETCH_SECONDS = 30.0

_FAMILIES: Mapping[str, Kind] = {
    "Braket Managed Jobs Instance": "instance",
    "Braket Managed Jobs Volume": "volume",
    "Braket Managed Jobs QPU Task": "task",
    "Braket Managed Jobs QPU Task Shot": "shot",
    "Braket Managed Jobs Simulator Task": "simulator",
}
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "hr": 3600.0}
_INSTANCE = re.compile(r"ml\.[a-z0-9]+\.[0-9a-z]+")


def list_url() -> str:
    """Where the list is."""
    return os.environ.get(URL_VARIABLE) or LIST_URL


def fetch(url: str) -> str:
    """Fetch the list.

    Args:
        url: Where it is, http, https or file.

    Raises:
        OSError: It cannot be had.
        ValueError: What answers there is no list.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        with open(parts.path, "rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    try:
        return _fetch(url, parts.scheme, parts.netloc)
    except urllib3.exceptions.HTTPError as error:
        reason = str(getattr(error, "reason", None) or error)
        # urllib3 puts the connection's representation before what happened.
        raise OSError(reason.partition("): ")[2] or reason) from error


def _fetch(url: str, scheme: str, netloc: str) -> str:
    answer = _pool(scheme, netloc).request(
        "GET",
        url,
        preload_content=False,
        retries=urllib3.Retry(0, redirect=2),
        timeout=urllib3.Timeout(connect=ANSWER_SECONDS, read=ANSWER_SECONDS),
    )
    try:
        if answer.status != 200:
            raise ValueError(f"it answered HTTP {answer.status}")
        return _read(answer).decode("utf-8", "replace")
    finally:
        answer.release_conn()


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    deadline, read = time.monotonic() + FETCH_SECONDS, bytearray()
    for chunk in answer.stream(64 * 1024):
        read += chunk
        if len(read) > MOST_BYTES or time.monotonic() > deadline:
            raise ValueError("it is too long, or comes too slowly")
    return bytes(read)


def _pool(scheme: str, netloc: str) -> urllib3.PoolManager:
    proxy = getproxies().get(scheme)
    if proxy and not proxy_bypass(netloc):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def parse(text: str) -> list[Price]:
    """Read the prices of Hybrid Jobs from the list.

    A row that cannot be understood is left out, and so is a thing that two rows price differently.

    Args:
        text: The CSV.

    Raises:
        ValueError: It is no price list, or holds no price of Hybrid Jobs.
    """
    lines = io.StringIO(text)
    about = [lines.readline() for _ in range(5)]
    date = next((day for line in about if (day := _date(line))), "")
    found: dict[tuple[str, str, str], Price | None] = {}
    try:
        for row in csv.DictReader(lines):
            price = _price(row, date)
            if price is not None:
                key = (price.kind, price.region, price.name)
                same = key not in found or found[key] == price
                found[key] = price if same else None
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {error}") from error
    prices = [price for price in found.values() if price is not None]
    if not prices:
        raise ValueError("it holds no price of Braket Hybrid Jobs")
    return prices


def _date(line: str) -> str:
    match = re.search(r'Publication Date"?,"?(\d{4}-\d\d-\d\d)', line)
    return match[1] if match else ""


def _price(row: Mapping[Any, Any], date: str) -> Price | None:
    cells = {key: value for key, value in row.items() if isinstance(value, str)}
    kind = _FAMILIES.get(cells.get("Product Family", ""))
    region = cells.get("Region Code", "")
    if kind is None or not region or not _is_plain(cells):
        return None
    name = _name(kind, cells)
    usd = _dollars(kind, cells)
    if name is None or usd is None:
        return None
    return Price(kind, region, name, usd, date, "AWS's price list")


def _is_plain(cells: Mapping[str, str]) -> bool:
    """Whether it is a price in dollars, on demand, and from the first unit on."""
    return (
        cells.get("Currency") == "USD"
        and cells.get("TermType", "OnDemand") == "OnDemand"
        and cells.get("StartingRange", "0") in ("", "0")
    )


def _name(kind: Kind, cells: Mapping[str, str]) -> str | None:
    if kind == "volume":
        return ""
    if kind == "simulator":
        in_jobs = cells.get("operation") == "Managed-Jobs"
        return cells.get("Version", "").lower() or None if in_jobs else None
    if kind in ("task", "shot"):
        return cells.get("Device Name", "").lower() or None
    named = set(_INSTANCE.findall(" ".join(cells.values()))) & INSTANCE_TYPES
    return named.pop() if len(named) == 1 else None


def _dollars(kind: Kind, cells: Mapping[str, str]) -> float | None:
    try:
        usd = float(cells.get("PricePerUnit", ""))
    except ValueError:
        return None
    if not math.isfinite(usd) or usd < 0:
        return None
    if kind in ("instance", "simulator"):
        seconds = _SECONDS.get(cells.get("Unit", "").strip().lower().rstrip("s"))
        if seconds is None:
            return None
        return usd * (3600 if kind == "instance" else 60) / seconds
    return usd
