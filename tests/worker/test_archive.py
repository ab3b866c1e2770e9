"""The archive that jobs bring along, in an interpreter that holds nothing but boto3."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import covalent as ct
import pytest
from covalent._workflow.transportable_object import TransportableObject

from covalent_braket_plugin import bundle
from tests.support.braket_server import BraketServer
from tests.worker.conftest import Container, Make

BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
START = "from covalent_braket_job.start import run; run()"


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without Covalent, cloudpickle and this package: less than AWS's own images hold."""
    return bare(tmp_path_factory.mktemp("bare"), *BOTO3)


def bare(folder: Path, *packages: str) -> Path:
    """Make an interpreter that holds these packages and no others."""
    venv.create(folder, symlinks=True)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for package in packages:
        found = find_spec(package)
        assert found is not None
        assert found.origin is not None
        origin = Path(found.origin)
        origin = origin.parent if origin.name == "__init__.py" else origin
        (folder / "lib" / name / "site-packages" / origin.name).symlink_to(origin)
    return folder / "bin" / "python"


@pytest.fixture
def unpacked(container: Make, bare_python: Path, tmp_path: Path) -> Make:
    """Stage a call for a container in which the archive has been unpacked."""

    def make(*args: Any, **kwargs: Any) -> Container:
        job = container(*args, **kwargs)
        job.directory = tmp_path / "extracted"
        with tarfile.open(fileobj=io.BytesIO(bundle.archive()), mode="r:gz") as tar:
            tar.extractall(job.directory)
        job.program = (str(bare_python), "-c", START)
        job.environment.pop("PYTHONPATH", None)
        return job

    return make


def value_of(job: Container) -> Any:
    (node,) = job.outcome().nodes
    body = job.s3.get_object(Bucket=job.keys.bucket, Key=node.key)["Body"].read()
    return TransportableObject.deserialize(body).get_deserialized()


def by_value(function: Callable[..., Any]) -> Callable[..., Any]:
    """As if it stood in the user's own script: no module of the tests is needed to load it."""
    function.__module__ = "__main__"
    return function


@by_value
def look_around(number: int) -> dict[str, Any]:
    import importlib.util
    import sys

    import cloudpickle

    import covalent_braket_plugin

    names = ("covalent", "covalent_braket_plugin.braket", "boto3", "pytest")
    print("working")
    return {
        "double": 2 * number,
        "files": [cloudpickle.__file__, covalent_braket_plugin.__file__],
        "found": [name for name in names if importlib.util.find_spec(name)],
        "python": sys.executable,
    }


def test_archive_alone_completes_a_job(unpacked: Make, bare_python: Path) -> None:
    job = unpacked(look_around, 4)
    code, out, err = job.run()
    assert (code, out) == (0, "working\n"), err
    seen = value_of(job)
    assert seen["double"] == 8
    assert seen["found"] == ["boto3"]
    assert seen["python"] == str(bare_python)
    packages = f"{job.directory}/covalent_braket_job/packages/"
    assert all(file.startswith(packages) for file in seen["files"])


@by_value
def fail() -> None:
    raise ValueError("not today")


def test_exit_code_and_reason_of_the_worker_are_those_of_the_job(unpacked: Make) -> None:
    job = unpacked(fail)
    code, _, err = job.run()
    assert code == 1
    assert job.failure() == "ValueError: not today"
    assert 'raise ValueError("not today")' in err


def test_job_whose_payload_is_damaged_is_refused(unpacked: Make) -> None:
    job = unpacked(look_around, 4)
    job.s3.put_object(Bucket=job.keys.bucket, Key=job.keys.payload, Body=b"something else")
    code, _, _ = job.run()
    assert code != 0
    assert "TruncatedError" in job.failure()


@by_value
def wait() -> None:
    import time

    print("waiting", flush=True)
    time.sleep(60)


def test_signal_reaches_the_worker(unpacked: Make) -> None:
    job = unpacked(wait)
    process = job.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert job.outcome().status == "terminated"


@by_value
def read(files: Any = (), greeting: str = "") -> tuple[str, str]:
    (_, path), (written, _) = files
    Path(written).write_text("result")
    return Path(path).read_text(), greeting


def test_hooks_and_file_transfers_by_s3_need_no_covalent(
    unpacked: Make, local_braket: BraketServer, tmp_path: Path
) -> None:
    bucket, s3 = local_braket.info["bucket"], local_braket.client("s3")
    s3.put_object(Bucket=bucket, Key="given.txt", Body=b"given")
    mark = tmp_path / "mark"

    @by_value
    def greet(name: str) -> str:
        return f"hello {name}, {mark.read_text().strip()}"

    electron = ct.electron(
        read,
        files=[
            ct.fs.TransferFromRemote(f"s3://{bucket}/given.txt", f"file://{tmp_path}/in.txt"),
            ct.fs.TransferToRemote(f"s3://{bucket}/made.txt", f"file://{tmp_path}/out.txt"),
        ],
        deps_bash=[f"echo bash > {mark}"],
        call_before=[ct.DepsCall(greet, args=["you"], retval_keyword="greeting")],
    )
    job = unpacked(read, hooks=hooks_of(electron))
    code, _, err = job.run()
    assert code == 0, err
    assert value_of(job) == ("given", "hello you, bash")
    assert s3.get_object(Bucket=bucket, Key="made.txt")["Body"].read() == b"result"


# As AWS's images are: in a virtual environment pip leaves alone what is outside of it.
WITHOUT_VIRTUAL_ENVIRONMENT = """
import sys
sys.base_prefix = sys.prefix
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_electrons_requirements_may_want_another_cloudpickle(tmp_path: Path) -> None:
    wheel = tmp_path / "cloudpickle-99.0-py3-none-any.whl"
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: cloudpickle\nVersion: 99.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "cloudpickle-99.0.dist-info/RECORD,,\n",
    }
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in about.items():
            file.writestr(f"cloudpickle-99.0.dist-info/{name}", text)
    python = bare(tmp_path / "bare", "pip")
    with tarfile.open(fileobj=io.BytesIO(bundle.archive()), mode="r:gz") as tar:
        tar.extractall(tmp_path)
    packages = tmp_path / "covalent_braket_job/packages"
    arguments = ("install", "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel))
    done = subprocess.run(
        [python, "-c", WITHOUT_VIRTUAL_ENVIRONMENT, *arguments],
        env={"PYTHONPATH": str(packages), "PIP_CONFIG_FILE": os.devnull},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Successfully installed cloudpickle-99.0" in done.stdout
    assert (packages / "cloudpickle/cloudpickle.py").is_file(), "the worker still needs it"


def hooks_of(electron: Any) -> Any:
    """What Covalent writes into hooks.json."""
    return electron.electron_object.metadata["hooks"]


@by_value
def uses_covalent() -> str:
    import covalent

    return str(covalent.__version__)


@by_value
def nothing(files: Any = ()) -> None:
    return None


@pytest.mark.parametrize("where", ["electron", "hook"])
def test_what_needs_covalent_says_so(unpacked: Make, tmp_path: Path, where: str) -> None:
    if where == "electron":
        job = unpacked(uses_covalent)
    else:  # Covalent's copy on one machine is the one transfer that needs its classes
        copy = ct.fs.FileTransfer(f"file://{tmp_path}/a", f"file://{tmp_path}/b")
        job = unpacked(nothing, hooks=hooks_of(ct.electron(nothing, files=[copy])))
    code, _, _ = job.run()
    assert code == 1
    assert "No module named 'covalent'" in job.failure()
    assert "deps_pip=ct.DepsPip(['covalent'])" in job.failure()
