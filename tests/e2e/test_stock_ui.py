"""Covalent's UI stays as it is if the setting says so, or if it is another Covalent's."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from demo_server import DemoServer

from tests.support.braket_server import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DISPATCH = "00000000-0000-0000-0000-000000000000"
OURS = (
    "/braket/api/dispatches",
    f"/braket/{DISPATCH}",
    "/braket/link.js",
    f"/api/v1/dispatches/{DISPATCH}/electron/0/details/error",
)


@dataclass(frozen=True)
class Server(DemoServer):
    """A server that sees packages which lie in a folder of their own before the others."""

    packages: str = ""

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        return super().environment(inherited) | {"PYTHONPATH": self.packages}


def switched_off(folder: Path) -> Server:
    config = folder / "home/.config/covalent/covalent.conf"
    config.parent.mkdir(parents=True)
    config.write_text("[executors.braket]\nrepair_ui = false\n")
    return Server(folder)


def of_another_release(folder: Path) -> Server:
    about = folder / "packages/covalent-0.999.0.dist-info/METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: covalent\nVersion: 0.999.0\n")
    return Server(folder, packages=str(about.parent.parent))


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Three servers: repaired, switched off, and one whose release nobody has checked."""
    servers = {
        "repaired": Server(tmp_path_factory.mktemp("repaired")),
        "off": switched_off(tmp_path_factory.mktemp("off")),
        "unknown": of_another_release(tmp_path_factory.mktemp("unknown")),
    }
    try:
        with ThreadPoolExecutor() as pool:
            started = pool.map(lambda server: server.find_or_start(), servers.values())
            found = dict(zip(servers, started, strict=True))
        # A server answers before it is repaired: all have had time when one is.
        eventually(lambda: status(found["repaired"] + OURS[0])[0] == 200)
        yield found
    finally:
        for server in servers.values():
            server.stop()


def status(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("which", ["off", "unknown"])
def test_stock_server_answers_as_covalent_made_it(urls: dict[str, str], which: str) -> None:
    for path in OURS:
        code, text = status(urls[which] + path)
        assert code in (400, 404), path
        assert "Braket" not in text
    assert "link.js" not in status(urls[which] + "/")[1]


def test_repaired_server_answers_all_of_it(urls: dict[str, str]) -> None:
    assert [status(urls["repaired"] + path)[0] for path in OURS] == [200] * len(OURS)
    code, text = status(urls["repaired"] + "/")
    assert (code, text.count("/braket/link.js")) == (200, 1)
