"""The archive that a job in AWS's own image brings along."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from covalent_braket_plugin import bundle
from scripts.layers import PACKAGE, ROOMS, Import, imports_of

ROOT = Path(__file__).parents[2]


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        found = ((item, tar.extractfile(item)) for item in tar.getmembers())
        return {item.name: file.read() for item, file in found if file}


def files_of(name: str) -> list[Path]:
    single = ROOT / PACKAGE / f"{name}.py"
    return [single] if single.exists() else sorted((ROOT / PACKAGE / name).rglob("*.py"))


def imports_in(name: str) -> Iterator[Import]:
    for path in files_of(name):
        inside = path.relative_to(ROOT).with_suffix("").parts
        yield from imports_of(path, ".".join(part for part in inside if part != "__init__"))


def test_what_the_worker_imports_of_this_package_is_in_the_archive() -> None:
    # Found from the source, so that a new import cannot be forgotten in the list.
    wanted, waiting = set(), ["worker", "job"]  # `job` is for electrons
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        for found in imports_in(name):
            top, _, rest = found.name.partition(".")
            module = rest.split(".")[0] if top == PACKAGE else name
            module = module if files_of(module) else "__init__"
            if module not in wanted:
                waiting.append(module)
    assert set(bundle.WORKER_MODULES) == wanted


def test_the_list_is_the_first_rooms_of_the_layers() -> None:
    rooms = list(ROOMS)
    assert list(bundle.WORKER_MODULES) == rooms[: rooms.index("job") + 1]


def test_the_archive_holds_one_package_with_the_worker_and_cloudpickle() -> None:
    found = members(bundle.archive())
    assert {name.split("/")[0] for name in found} == {"covalent_braket_job"}
    packages = "covalent_braket_job/packages/"
    for name, path in bundle.worker_files().items():
        assert found[packages + name].startswith(path.read_bytes())
    assert f"{packages}cloudpickle/cloudpickle.py" in found
    assert f"{packages}cloudpickle-{version('cloudpickle')}.dist-info/METADATA" in found
    assert len(bundle.archive()) < 100_000


def test_two_processes_make_the_same_bytes() -> None:
    program = "import sys; from covalent_braket_plugin import bundle\n"
    program += "sys.stdout.buffer.write(bundle.archive())"
    other = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    assert other.stdout == bundle.archive()
