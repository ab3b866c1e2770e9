"""The prices in force: AWS's own list if it can be had, else the dated table in the package.

The list is fetched in a thread, at most once a day for all processes of a user: it is kept in
``~/.cache/covalent-braket/prices.json``. That it could not be had is kept for a while too. Nobody
waits for it longer than a few seconds, and nobody twice.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from covalent_braket_plugin.costs import price_list
from covalent_braket_plugin.costs.table import (
    Price,
    Prices,
    by_place,
    decoded,
    encoded,
    own_table,
)

__all__ = ["Price", "Prices", "at_hand", "prices"]

LIST_SECONDS = 24 * 3600.0
FAILURE_SECONDS = 600.0
WAIT_SECONDS = 3.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """What came of asking for the list."""

    url: str
    at: float
    problem: str = ""
    prices: list[Price] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether it need not be asked for again yet; a clock may have been set back."""
        age = time.time() - self.at
        return 0 <= age < (FAILURE_SECONDS if self.problem else LIST_SECONDS)


@dataclass
class _Fetching:
    """A thread that fetches the list."""

    began: float
    done: threading.Event = field(default_factory=threading.Event)


_lock = threading.Lock()
_known: dict[str, _Found] = {}
_fetching: dict[str, _Fetching] = {}


def prices(wait_seconds: float = WAIT_SECONDS) -> Prices:
    """Find the prices in force; it may block while AWS's list is fetched.

    Args:
        wait_seconds: Longest wait for AWS's list; then the table in the package holds until the
            list has come.
    """
    url = price_list.list_url()
    found = _lookup(url)
    if found is None:
        thread = _fetch(url)
        thread.done.wait(max(0.0, thread.began + wait_seconds - time.monotonic()))
        found = _known.get(url)
    return _joined(found)


def at_hand() -> Prices:
    """Find the prices that are known without asking anybody; it does not block."""
    return _joined(_lookup(price_list.list_url()))


def _joined(found: _Found | None) -> Prices:
    own = own_table()
    if found is None or found.problem:
        problem = found.problem if found else "it has not been fetched yet"
        source = f"this package's table of {own.date}"
        return Prices(by_place(own.prices), source, f"AWS's price list is not used: {problem}")
    date = found.prices[0].date or "today"
    # What AWS's list does not name, or not in a way that is understood, is taken from the table.
    return Prices(by_place([*own.prices, *found.prices]), f"AWS's price list of {date}")


def _lookup(url: str) -> _Found | None:
    found = _known.get(url) or _read(url)
    if found is None or not found.holds:
        return None
    _known[url] = found
    return found


def _fetch(url: str) -> _Fetching:
    with _lock:
        running = _fetching.get(url)
        if running is None:
            running = _fetching[url] = _Fetching(time.monotonic())
            threading.Thread(target=_run, args=(url, running), daemon=True).start()
        return running


def _run(url: str, thread: _Fetching) -> None:
    try:
        found = _ask(url)
        _known[url] = found
        with contextlib.suppress(OSError):  # a home that cannot be written to
            _keep(found)
    finally:
        with _lock:
            del _fetching[url]
        thread.done.set()


def _ask(url: str) -> _Found:
    try:
        return _Found(url, time.time(), prices=price_list.parse(price_list.fetch(url)))
    except (OSError, ValueError) as error:
        place = re.sub(r"//[^/]*@", "//", url.partition("?")[0])  # the rest may be secrets
        log.debug("The price list %s cannot be had: %s", place, error)
        aws_is_far = url == price_list.LIST_URL and isinstance(error, OSError)
        problem = "it cannot be reached" if aws_is_far else f"{place}: {error}"[:300]
        return _Found(url, time.time(), problem=problem)


# --- kept for other processes ----------------------------------------------------------------


def _cache_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "covalent-braket" / "prices.json"


def _keep(found: _Found) -> None:
    file = _cache_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = {**vars(found), "prices": encoded(found.prices)}
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as scratch:
        json.dump(kept, scratch)
    os.replace(scratch.name, file)


def _read(url: str) -> _Found | None:
    try:
        kept = json.loads(_cache_file().read_bytes())
        found = _Found(
            kept["url"], float(kept["at"]), str(kept["problem"]), decoded(kept["prices"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    usable = found.url == url and (found.problem or found.prices)
    return found if usable else None
