"""Make the pictures of the documentation: Covalent's UI and the live page, while a workflow runs.

    python -m scripts.screenshots [FOLDER]      (docs/images, if no other folder is named)

A real Covalent server, a real local Braket and the machine's Chromium. One electron has completed,
one has failed, two look for the ground state of H2 and one waits for its turn.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from scripts.bench.stage import ROOT, environment

INSIDE = "SCREENSHOTS_FOLDER"
MOST_BYTES = 200_000
SCALE = 1.5
WITHIN_SECONDS = 300.0


def workflow() -> Any:
    """The workflow in the pictures."""
    import covalent as ct
    from quickstart import ground_state_energy, job_device

    braket = ct.executor.BraketExecutor(local=True, max_parallel_jobs=2, time_limit=900)

    @ct.electron(executor=braket)
    def bell_pair(shots: int) -> dict[str, float]:
        """Probabilities of the four outcomes."""
        import pennylane as qml

        @qml.qnode(job_device(wires=2))
        def circuit() -> Any:
            qml.Hadamard(wires=0)
            qml.CNOT(wires=[0, 1])
            return qml.probs(wires=[0, 1])

        print(f"Bell pair, {shots} shots")
        return dict(zip(("00", "01", "10", "11"), map(float, circuit()), strict=True))

    @ct.electron(executor=braket)
    def bond_length(longest: float) -> float:
        """Length in angstrom at which the energy is lowest."""
        energies = {0.6: -1.116, 0.74: -1.137, longest: 0.093}
        print(f"{len(energies)} energies, the last one at {longest} angstrom")
        for length, energy in energies.items():
            if energy > 0:
                raise ValueError(f"energy at {length} angstrom is {energy} Ha: not a bound state")
        return min(energies, key=lambda length: energies[length])

    @ct.electron(executor="local")
    def report(*values: Any) -> int:
        """Bring all together."""
        return len(values)

    @ct.lattice(executor="local", workflow_executor="local")
    def hydrogen() -> Any:
        pair, length = bell_pair(1000), bond_length(1.1)
        energy = ct.electron(ground_state_energy, executor=braket)
        return report(pair, length, energy(400, 0.06), energy(400, 0.12), bell_pair(100))

    return hydrogen


class Pictures:
    """Takes pictures of pages, small ones.

    Args:
        page: The browser.
        folder: Where they go.
    """

    def __init__(self, page: Any, folder: Path) -> None:
        self.page = page
        self.folder = folder

    def take(self, name: str, height: int = 760) -> None:
        """Save what the page shows now, 1280 pixels wide (times 1.5).

        Raises:
            ValueError: The picture is too large for a page of documentation.
        """
        from PIL import Image

        self.page.resize(1280, height, SCALE)
        time.sleep(1)  # pages move a little after they have got another size
        whole = Image.open(io.BytesIO(self.page.driver.get_screenshot_as_png())).convert("RGB")
        path = self.folder / f"{name}.png"
        colors = whole.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
        colors.save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path} is larger than {MOST_BYTES} bytes")


def take_all(stage: Any, pictures: Pictures) -> None:
    """Run the workflow and take all pictures."""
    page, dispatch_id = pictures.page, stage.dispatch(workflow())
    live = f"{stage.url}/braket/{dispatch_id}"

    def electrons() -> dict[str, Any]:
        address = f"{stage.url}/braket/api/dispatches/{dispatch_id}"
        return {str(each["node_id"]): each for each in _asked(address)["electrons"]}

    def number(name: str, ready: Callable[[Any], bool]) -> str:
        deadline = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < deadline:
            for node_id, each in electrons().items():
                if each["name"] == name and ready(each):
                    return node_id
            time.sleep(0.2)
        raise TimeoutError(f"{name} did not come so far in {WITHIN_SECONDS:.0f} s")

    failed = number("bond_length", lambda each: each["status"] == "FAILED")
    page.open(f"{stage.url}/{dispatch_id}")
    page.click_node("Bond Length")
    page.sees("ValueError", "[data-testid=nodeDrawer]")
    pictures.take("covalent-failed", 860)
    number("bell_pair", lambda each: each["status"] == "COMPLETED")
    page.open(f"{stage.url}/{dispatch_id}")
    page.click_node("Bell Pair")
    page.sees("Completed", "[data-testid=nodeDrawer]")
    pictures.take("covalent-completed", 860)

    page.open(f"{live}#node-{failed}")
    page.sees("ValueError", "#error")
    pictures.take("live-failed")
    running = number(
        "ground_state_energy", lambda each: len(each["metrics"].get("energy", ())) >= 40
    )
    for scheme in ("dark", "light"):
        page.prefer(scheme)
        page.open(f"{live}#node-{running}")
        page.sees("Metrics", "#log")
        pictures.take(f"live-{scheme}")


def _asked(url: str) -> Any:
    import json

    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def inside(folder: Path, target: Path) -> int:
    """Start all that is needed and take the pictures; in an environment of our own."""
    import cloudpickle
    import quickstart

    from tests.support.browser import browser
    from tests.support.stage import Stage

    cloudpickle.register_pickle_by_value(quickstart)
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        page = stack.enter_context(browser(folder / "browser"))
        stage = stack.enter_context(Stage.started(folder / "stage"))
        page.prefer("dark")
        take_all(stage, Pictures(page, target))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Start anew in an environment of our own; returns the exit code."""
    target = Path(arguments[0] if arguments else ROOT / "docs/images").resolve()
    if INSIDE in os.environ:
        return inside(Path(os.environ[INSIDE]), target)
    with tempfile.TemporaryDirectory(prefix="covalent-braket-pictures-") as folder:
        command = [sys.executable, "-m", "scripts.screenshots", str(target)]
        inner = {**environment(Path(folder)), INSIDE: folder}
        return subprocess.call(command, env=inner, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
