"""What a job in AWS's own image brings along: the worker and cloudpickle, as one small archive.

AWS's images hold boto3 and a cloudpickle of their own, but not our worker. The archive is unpacked
there and its entry point called::

    covalent_braket_job/start.py        the entry point (`job_start`)
    covalent_braket_job/packages/       what goes before the image's own packages:
        covalent_braket_plugin/         the modules that a container needs, no others
        cloudpickle/                    the one that pickled the electron

The same files make the same bytes.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ENTRY_POINT", "WORKER_MODULES", "archive", "tar_of", "worker_files"]

WORKER_MODULES = (
    "__init__",
    "errors",
    "records",
    "protocol",
    "tobj",
    "payload",
    "steps",
    "budget",
    "budget_hooks",
    "runtime",
    "descendants",
    "supervisor",
    "opt_ml",
    "worker",
    "job",
)
"""The modules of this package that a container needs; they import no others of it."""

ENTRY_POINT = "covalent_braket_job.start:run"
"""What AWS's container program calls (CreateJob's ``scriptModeConfig.entryPoint``)."""

_PACKAGE = "covalent_braket_plugin"
_TOP = ENTRY_POINT.partition(".")[0]
_HERE = Path(__file__).parent

# Where the image holds the whole package too, or an electron installs it, `import covalent` looks
# for the executor in it.
_FIND_THE_REST = b"""
from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
"""


def worker_files() -> Mapping[str, Path]:
    """Name the files of this package that a container needs.

    Returns:
        By path below the directory that is to be on ``PYTHONPATH``, such as
        ``covalent_braket_plugin/worker.py``, the file here.
    """
    paths = (path for name in WORKER_MODULES for path in _files_of(name))
    return {f"{_PACKAGE}/{path.relative_to(_HERE).as_posix()}": path for path in paths}


def _files_of(name: str) -> list[Path]:
    folder = _HERE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [_HERE / f"{name}.py"]


@cache
def archive() -> bytes:
    """Make the archive, a gzipped tar; once in a process."""
    buffer = io.BytesIO()
    # No time of its own in the header of gzip either.
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed:
        packed.write(tar_of({f"{_TOP}/{name}": data for name, data in _contents()}))
    return buffer.getvalue()


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """Make a tar of files by their names: the same files make the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)  # of root, mode 0644, and as old as time itself
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _contents() -> Iterator[tuple[str, bytes]]:
    yield "__init__.py", b""  # a package: what lies bare in an archive may not be importable there
    yield "start.py", (_HERE / "job_start.py").read_bytes()
    for name, path in worker_files().items():
        rest = _FIND_THE_REST if name == f"{_PACKAGE}/__init__.py" else b""
        yield f"packages/{name}", path.read_bytes() + rest
    yield from _cloudpickle()


def _cloudpickle() -> Iterator[tuple[str, bytes]]:
    """The cloudpickle that this process has: pure Python, and it needs nothing else."""
    found = find_spec("cloudpickle")
    if found is None or found.origin is None:  # we depend on it
        raise ModuleNotFoundError("cloudpickle", name="cloudpickle")
    for path in Path(found.origin).parent.glob("*.py"):
        yield f"packages/cloudpickle/{path.name}", path.read_bytes()
    # So that pip and the worker see this version and not the image's. If an electron's requirements
    # want another one, pip takes away what the record names and fails without one: the code stays.
    here = version("cloudpickle")
    folder = f"cloudpickle-{here}.dist-info"
    about = f"Metadata-Version: 2.1\nName: cloudpickle\nVersion: {here}\n"
    yield f"packages/{folder}/METADATA", about.encode()
    yield f"packages/{folder}/RECORD", f"{folder}/METADATA,,\n{folder}/RECORD,,\n".encode()
