"""Covalent's UI and the live page, in a real browser, while electrons run, fail and end."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import covalent as ct
import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.braket_server import eventually
from tests.support.browser import Browser, browser
from tests.support.stage import Stage

pytestmark = pytest.mark.e2e

LOCAL = ct.executor.BraketExecutor(local=True)
HOSTILE = "<b id=evil>bold</b><img src=x onerror=document.title='evil'>"


@ct.electron(executor=LOCAL)
def total(x: int, *, y: int) -> dict[str, int]:
    print("to stderr", file=sys.stderr)
    return {"total": x + y}


@ct.electron(executor=LOCAL)
def breaks(text: str) -> None:
    print(f"before {text}")
    raise ValueError(f"not finite {text}")


@ct.electron(executor=LOCAL)
def waits(mark: str) -> str:
    from covalent_braket_plugin.job import update_status

    update_status("halfway there")
    for i in range(5):
        print(f"Metrics - timestamp={time.time()}; energy={-1 - i / 10}; iteration_number={i};")
    print("first words", flush=True)
    while not Path(mark).exists():
        time.sleep(0.05)
    print("last words")
    return "done"


@ct.lattice(executor="local", workflow_executor="local")
def show(mark: str) -> Any:
    return total(1, y=2), breaks(HOSTILE), waits(mark)


@ct.electron(executor="local")
def home(x: int) -> dict[str, int]:
    return {"at home": x}


@ct.lattice(executor="local", workflow_executor="local")
def small(x: int) -> Any:
    return home(x)


@dataclass(frozen=True)
class Shown:
    """Workflows to look at."""

    url: str
    show: str
    small: str
    mark: Path

    def numbers(self) -> dict[str, int]:
        """The numbers of the electrons, by name."""
        electrons = told(f"{self.url}/braket/api/dispatches/{self.show}")["electrons"]
        return {each["name"]: each["node_id"] for each in electrons}


def told(url: str, **headers: str) -> Any:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def electron_of(shown: Shown, name: str) -> Any:
    electrons = told(f"{shown.url}/braket/api/dispatches/{shown.show}")["electrons"]
    return next(each for each in electrons if each["name"] == name)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def shown(page: Browser, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """One electron has completed, one has failed, and one runs, until the mark is made."""
    mark = tmp_path_factory.mktemp("marks") / "mark"
    found = Shown(stage.url, stage.dispatch(show, str(mark)), stage.dispatch(small, 1), mark)
    try:
        for name, status in (("total", "COMPLETED"), ("breaks", "FAILED"), ("waits", "RUNNING")):
            eventually(lambda n=name, s=status: electron_of(found, n)["status"] == s, 60)  # type: ignore[misc]
        yield found
    finally:
        mark.touch()


# --- Covalent's own panel ------------------------------------------------------------------------


def test_panel_of_a_completed_electron_shows_source_inputs_and_result(
    page: Browser, shown: Shown
) -> None:
    page.open(f"{shown.url}/{shown.show}")
    page.click_node("Total")
    for part in (
        "'total': 3",
        "def total(x: int, *, y: int)",
        "{'args': (1,), 'kwargs': {'y': 2}}",
        f"/braket/{shown.show}#node-{shown.numbers()['total']}",
    ):
        page.sees(part, "[data-testid=nodeDrawer]")
    assert not page.texts("[data-testid=nodeDrawer] [data-testid=errorCard]")  # for stderr


def test_panel_of_a_failed_electron_shows_its_error_as_text(page: Browser, shown: Shown) -> None:
    page.open(f"{shown.url}/{shown.show}")
    page.click_node("Breaks")
    text = page.sees("ValueError", "[data-testid=nodeDrawer] [data-testid=errorCard]")
    assert f"not finite {HOSTILE}" in text
    assert "Traceback (most recent call last)" in text
    page.sees("raise ValueError", "[data-testid=nodeDrawer]")


def test_panel_links_to_the_live_page_of_the_chosen_electron(page: Browser, shown: Shown) -> None:
    page.open(f"{shown.url}/{shown.show}")
    page.click_node("Waits")
    number = shown.numbers()["waits"]
    page.sees(f"electron {number}", "#braket-live")
    page.find("#braket-live").click()
    page.sees("waits", "#detail h2")
    assert page.driver.current_url.endswith(f"/braket/{shown.show}#node-{number}")


def test_dispatch_shows_its_result(page: Browser, stage: Stage, shown: Shown) -> None:
    stage.result(shown.small)
    page.open(f"{shown.url}/{shown.small}")
    page.sees("'at home': 1", "[data-testid=latticedispatchoverview]")
    page.click_node("Home")  # an electron of another executor
    page.sees("'at home': 1", "[data-testid=nodeDrawer]")
    page.sees("def home(", "[data-testid=nodeDrawer]")  # each part comes with an answer of its own
    assert not page.texts("#braket-live")


# --- the live page -------------------------------------------------------------------------------


def test_live_page_shows_what_an_electron_prints_while_it_runs(page: Browser, shown: Shown) -> None:
    page.open(f"{shown.url}/braket/{shown.show}#node-{shown.numbers()['waits']}")
    page.sees("first words", "#log")
    page.sees("halfway there", "#detail")
    page.sees("energy", "#detail .chart")
    assert "iteration 0 … 4" in page.sees("-1.4", "#detail .chart")
    assert page.driver.find_elements("css selector", "#detail .chart svg path")
    assert electron_of(shown, "waits")["status"] == "RUNNING"
    assert not page.problems()


def test_live_page_shows_errors_and_logs_as_text(page: Browser, shown: Shown) -> None:
    page.open(f"{shown.url}/braket/{shown.show}#node-{shown.numbers()['breaks']}")
    assert f"not finite {HOSTILE}" in page.sees("Traceback", "#error")
    page.sees(f"before {HOSTILE}", "#log")
    assert page.texts("#evil, main img") == []
    assert "evil" not in page.driver.title
    assert not page.problems()


def test_a_line_of_a_megabyte_does_not_freeze_the_live_page(page: Browser, shown: Shown) -> None:
    page.open(f"{shown.url}/braket/{shown.show}")
    took = page.driver.execute_script(
        "const t = performance.now(); clean('x'.repeat(1e6)); return performance.now() - t"
    )
    assert took < 1000


def test_live_page_counts_electrons_and_leads_from_one_to_another(
    page: Browser, shown: Shown
) -> None:
    page.open(f"{shown.url}/braket/{shown.show}")
    page.sees("1 completed", "#sum")
    page.sees("1 failed", "#sum")
    page.sees("breaks", "#detail h2")  # what failed comes first
    page.find("#list .row", "total").send_keys(Keys.ENTER)
    page.sees("total", "#detail h2")
    page.find("#all").click()
    assert shown.small not in page.sees(shown.show, "#list")  # it is not on Braket


def test_live_page_fits_on_a_phone(page: Browser, shown: Shown) -> None:
    page.resize(390, 800, phone=True)
    try:
        page.open(f"{shown.url}/braket/{shown.show}#node-{shown.numbers()['breaks']}")
        page.sees("Traceback", "#error")
        width = page.driver.execute_script("return document.documentElement.scrollWidth")
    finally:
        page.resize(1280, 800)
    assert width <= 390


def test_other_sites_pages_get_no_answer(shown: Shown) -> None:
    url = f"{shown.url}/braket/api/dispatches"
    assert told(url, Origin=shown.url)["dispatches"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        told(url, Origin="http://elsewhere.example")


def test_unknown_dispatch_is_said_to_be_unknown(page: Browser, shown: Shown) -> None:
    page.open(f"{shown.url}/braket/{'0' * 8}-0000-0000-0000-{'0' * 12}")
    page.sees("Covalent knows no such dispatch", "#list")


def test_a_node_that_no_dispatch_can_have_is_missing(shown: Shown) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        told(f"{shown.url}/braket/api/dispatches/{shown.show}/nodes/{'9' * 20}/log")


# --- what ends it: the last test lets the electron go on ------------------------------------------


def test_open_pages_of_covalent_follow_a_dispatch_to_its_end(
    page: Browser, stage: Stage, shown: Shown
) -> None:
    page.open(f"{shown.url}/{shown.show}")
    page.sees("Running")
    page.driver.execute_script("window.opened = true")
    shown.mark.touch()
    page.sees("The following tasks failed", "[data-testid=errorCard]")
    text = page.sees("ValueError: not finite", "[data-testid=errorCard]")
    assert "breaks" in text
    assert page.driver.execute_script("return window.opened"), "the page was loaded again"
    assert "ValueError: not finite" in stage.result(shown.show).error


def test_live_page_of_an_ended_dispatch_holds_the_whole_log_and_asks_no_more(
    page: Browser, stage: Stage, shown: Shown
) -> None:
    shown.mark.touch()
    stage.result(shown.show)
    page.open(f"{shown.url}/braket/{shown.show}#node-{shown.numbers()['waits']}")
    assert "first words" in page.sees("last words", "#log")
    page.sees("ended", "#state")
    asked = "return performance.getEntriesByType('resource').length"
    before = page.driver.execute_script(asked)
    time.sleep(2)
    assert page.driver.execute_script(asked) == before
