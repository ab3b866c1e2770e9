"""Every example runs as its page says, as a program beside a real server, and its asserts hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.docs.pages import ROOT, texts_in

FOLDER = ROOT / "examples"
# The quickstart is run with the demo, which is its own program.
EXAMPLES = sorted(
    path.stem
    for path in FOLDER.glob("*.py")
    if path.stem not in ("demo", "demo_server", "demo_view", "quickstart")
)
PICTURES = {"maxcut_qaoa": "maxcut", "parallel_evaluation": "landscape", "vqe_h2": "vqe"}
AT_ONCE = 3

# Each test waits for its example, and the examples for one another.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def run(demo: DemoServer, arguments: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=demo.environment(os.environ),
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples draw."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def runs(demo: DemoServer, folder: Path) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    """All examples, under way: they wait more than they work."""
    demo.find_or_start()
    local_endpoint.find_or_start(demo.local_braket)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(run, demo, command(name, folder)) for name in EXAMPLES}
        pool.shutdown(cancel_futures=True)


def command(name: str, folder: Path) -> list[str]:
    draw = ["--picture", str(folder / f"{name}.svg")] if name in PICTURES else []
    return [str(FOLDER / f"{name}.py"), *draw]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_what_it_asserts_holds(
    name: str, runs: dict[str, Future[tuple[int, str]]], folder: Path
) -> None:
    code, output = runs[name].result()
    assert code == 0, output
    assert len(output.splitlines()) >= 3, "it says what it found"
    if name in PICTURES:
        kept = ROOT / "docs" / "images" / f"{PICTURES[name]}.svg"
        assert texts_in(folder / f"{name}.svg") == texts_in(kept)
