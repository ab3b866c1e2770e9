"""The package keeps its layers, and the check notices when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.layers import PACKAGE, ROOMS, main, violations

ROOT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / PACKAGE
    (folder / "local").mkdir(parents=True)
    for name in ("__init__", "errors", "protocol", "worker", "settings", "local/__init__"):
        (folder / f"{name}.py").write_text("from __future__ import annotations\nimport json\n")
    return folder


def test_the_package_keeps_its_layers() -> None:
    assert violations(ROOT / PACKAGE) == []


def test_a_tree_that_keeps_the_layers_passes(package: Path) -> None:
    (package / "protocol.py").write_text(f"from {PACKAGE}.errors import IntegrityError\n")
    (package / "worker.py").write_text(f"import boto3\nfrom {PACKAGE} import __version__\n")
    assert violations(package) == []
    assert main([str(package)]) == 0


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("errors.py", f"from {PACKAGE} import protocol"),
        ("protocol.py", "import boto3"),
        ("protocol.py", "from . import settings"),
        ("settings.py", f"import {PACKAGE}.protocol"),
        ("settings.py", f"from {PACKAGE}.local import __init__"),
        ("worker.py", "import covalent"),
        ("worker.py", "from braket.jobs import log_metric"),
        ("worker.py", f"def late() -> None:\n    from {PACKAGE}.settings import SETTINGS"),
        ("local/daemon.py", "from ..settings import SETTINGS"),
        ("local/daemon.py", f"from {PACKAGE}.worker import main"),
        ("__init__.py", f"from {PACKAGE}.errors import BraketPluginError"),
    ],
)
def test_an_import_that_breaks_a_layer_is_named(
    package: Path, file: str, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (package / file).write_text(statement + "\n")
    assert main([str(package)]) == 1
    assert f"{file}:" in capsys.readouterr().out


def test_a_module_without_a_room_is_named(package: Path) -> None:
    (package / "helpers.py").write_text("")
    assert "'helpers' is not in ROOMS" in "".join(violations(package))


def test_the_rooms_have_no_circles() -> None:
    settled: set[str] = set()
    rooms = {name: set(each.ours) - {name} for name, each in ROOMS.items() if name != "cli"}
    while rooms:
        free = [name for name, needs in rooms.items() if needs <= settled]
        assert free, f"in a circle: {sorted(rooms)}"
        settled.update(free)
        rooms = {name: needs for name, needs in rooms.items() if name not in free}
