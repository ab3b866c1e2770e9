"""The package installs as it should, and stays light to import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import covalent_braket_plugin

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "covalent_braket_plugin"


def python(code: str, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter with a fresh home."""
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_covalent_finds_the_executor_under_its_short_name() -> None:
    found = entry_points(group="covalent.executor.executor_plugins", name="braket")
    assert [each.value for each in found] == ["covalent_braket_plugin.braket"]


def test_the_executor_is_an_attribute_of_covalents(tmp_path: Path) -> None:
    code = """
import covalent as ct
from covalent_braket_plugin.braket import BraketExecutor
assert ct.executor.BraketExecutor is BraketExecutor
assert ct.executor.BraketExecutor().short_name() == "braket"
"""
    python(code, tmp_path)


def test_the_command_line_is_installed() -> None:
    found = entry_points(group="console_scripts", name="covalent-braket")
    assert [each.value for each in found] == ["covalent_braket_plugin.cli:main"]


TIMED_IMPORT = """
import sys, time
from importlib.machinery import PathFinder

class Timed:
    @staticmethod
    def find_spec(name, path, target=None):
        if name != "covalent_braket_plugin.braket":
            return None
        spec = PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def timed(module):
            began = time.perf_counter()
            execute(module)
            print(time.perf_counter() - began)
        spec.loader.exec_module = timed
        return spec

sys.meta_path.insert(0, Timed)
began = time.perf_counter()
import covalent
print(time.perf_counter() - began)
"""


def import_seconds(home: Path) -> tuple[float, float]:
    """Time that the plugin adds to ``import covalent``, and that the whole takes."""
    own, whole = python(TIMED_IMPORT, home).stdout.split()
    return float(own), float(whole)


def test_the_plugin_adds_little_to_importing_covalent(tmp_path: Path) -> None:
    """Less than 50 ms; on a slow or busy machine, less than a twelfth of the whole."""
    python("import covalent", tmp_path)  # writes byte code and the configuration file
    runs = [import_seconds(tmp_path) for _ in range(3)]
    seconds = min(own for own, _ in runs)
    share = min(own / whole for own, whole in runs)
    assert seconds < 0.05 or share < 1 / 12, runs


def test_the_worker_imports_nothing_that_an_image_may_lack(tmp_path: Path) -> None:
    code = """
import sys
import covalent_braket_plugin.worker
heavy = {"covalent", "pydantic", "braket", "pennylane", "numpy", "moto", "rich", "click"}
heavy |= {"pandas", "matplotlib", "plotext"}
loaded = {name.partition(".")[0] for name in sys.modules} & heavy
assert not loaded, loaded
ours = {name for name in sys.modules if name.startswith("covalent_braket_plugin.")}
assert not any(name.split(".")[1] in {"settings", "local", "braket", "jobs"} for name in ours), ours
"""
    python(code, tmp_path)


@pytest.mark.parametrize(
    "modules", ["covalent, covalent_dispatcher, covalent_ui.app", "covalent_braket_plugin.cli"]
)
def test_neither_the_server_nor_the_command_line_loads_what_draws(
    tmp_path: Path, modules: str
) -> None:
    code = f"""
import sys
import {modules}
import covalent_braket_plugin.monitoring.metrics, covalent_braket_plugin.monitoring.plots
loaded = {{"pandas", "matplotlib", "plotext"}} & set(sys.modules)
assert not loaded, loaded
"""
    python(code, tmp_path)


def test_importing_the_package_alone_imports_nothing_else_of_it(tmp_path: Path) -> None:
    code = """
import sys
import covalent_braket_plugin
assert [name for name in sys.modules if name.startswith("covalent")] == ["covalent_braket_plugin"]
"""
    python(code, tmp_path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    # The wheel is made from the source distribution: what is in it is in both.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    everything = (path for path in PACKAGE.rglob("*") if path.suffix != ".pyc" and path.is_file())
    sources = {str(path.relative_to(ROOT)) for path in everything}
    assert any(not name.endswith(".py") for name in sources)
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert sources | {"covalent_braket_plugin/py.typed"} <= found
    assert all(name.startswith("covalent_braket_plugin/") for name in found)


def test_what_the_package_links_to_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    links = list((PACKAGE / "assets").iterdir())
    assert {"docker", "infra"} <= {link.name for link in links}
    files = {
        f"covalent_braket_plugin/assets/{link.name}/{path.relative_to(link.resolve())}"
        for link in links
        for path in link.resolve().rglob("*")
        if path.is_file() and not any(part.startswith((".", "__")) for part in path.parts[-3:])
    }
    assert "covalent_braket_plugin/assets/docker/Dockerfile" in files
    assert files <= set(wheel.namelist())


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    about = message_from_bytes(wheel.read(metadata))
    assert about["Version"] == covalent_braket_plugin.__version__
    assert about["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == covalent_braket_plugin.__version__
