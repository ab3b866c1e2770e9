"""A real browser for tests and pictures: the machine's Chromium, without a window.

Set ``COVALENT_BRAKET_TEST_BROWSER=require`` to have tests fail where they would be skipped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.braket_server import eventually

__all__ = ["SWITCH", "Browser", "browser", "missing_browser"]

SWITCH = "COVALENT_BRAKET_TEST_BROWSER"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# It talks to our servers only, and leaves nothing behind.
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # Covalent's pages ask for fonts elsewhere: they are not there, and need not be waited for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def missing_browser() -> str:
    """Say what is missing for a browser; empty if nothing is."""
    if not any(map(shutil.which, PROGRAMS)):
        return f"none of {', '.join(PROGRAMS)} is installed"
    return "" if shutil.which("chromedriver") else "chromedriver is not installed"


class Browser:
    """One window of it.

    Args:
        driver: Selenium's driver.
    """

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Load a page."""
        # A page that differs in its fragment only would not be loaded.
        self.driver.get("about:blank")
        self.driver.get(url)

    def texts(self, selector: str) -> list[str]:
        """What the elements say; they are read at once, since pages replace them."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)"
        found: list[str] = self.driver.execute_script(script, selector)
        return found

    def sees(self, text: str, selector: str = "body", seconds: float = 20.0) -> str:
        """Wait until an element says something; returns all that it says."""
        last: list[str] = []

        def look() -> str:
            last[:] = self.texts(selector)
            return next((each for each in last if text in each), "")

        try:
            return eventually(look, seconds)
        except AssertionError:
            raise AssertionError(f"{text!r} is not in {selector}, but {last!r}") from None

    def find(self, selector: str, text: str = "") -> WebElement:
        """Wait for an element."""

        def look() -> WebElement | None:
            found = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return next((each for each in found if text in each.text), None)

        return eventually(look)

    def click_node(self, name: str) -> None:
        """Choose an electron in Covalent's graph, by the name that it shows there."""
        node = self.find(".react-flow__node", name)
        # The graph moves until it has its place: the element is clicked, not a point.
        self.driver.execute_script(
            "for (const type of ['mousedown', 'mouseup', 'click'])"
            " arguments[0].dispatchEvent(new MouseEvent(type, {bubbles: true, view: window}))",
            node,
        )

    def prefer(self, scheme: str) -> None:
        """Have pages be ``dark`` or ``light``."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {
                "name": "prefers-reduced-motion",
                "value": "reduce",
            },  # pictures are the same each time
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def resize(self, width: int, height: int, scale: float = 1.0, *, phone: bool = False) -> None:
        """Give the page a size in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def problems(self) -> list[str]:
        """What the pages' scripts complained of since it was asked last."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [
            each["message"]
            for each in entries
            if each["level"] == "SEVERE" and each["source"] != "network"
        ]


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser that keeps its files in a folder; skip, loudly, if there is none."""
    if reason := missing_browser():
        text = f"BROWSER TESTS NOT RUN: {reason}"
        if os.environ.get(SWITCH) == "require":
            pytest.fail(f"{text} ({SWITCH}=require)")
        pytest.skip(f"{text} ({SWITCH}=require makes this a failure)")
    options = ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, PROGRAMS)))
    for option in (*OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Named, so that Selenium does not look for one to download.
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        made = Browser(driver)
        made.resize(1280, 800)
        yield made
    finally:
        driver.quit()
