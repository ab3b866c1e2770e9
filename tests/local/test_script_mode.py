"""Script-mode jobs: what AWS's own images do with a source archive."""

from __future__ import annotations

import io
import sys
import tarfile
import textwrap
from typing import Any

import pytest

from tests.local.conftest import Lab

AWS_IMAGE = "292282985366.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-base-jobs:latest"

SOURCE = """
from __future__ import annotations
import os, signal, sys
from pathlib import Path

RESULTS = Path(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])

def bound(shots: int, rate: float = 0.5, name: str = "n"):
    (RESULTS / "bound").write_text(repr((shots, rate, name)))
    print("in", os.getcwd())

def plain():
    (RESULTS / "plain").write_text("ran")

def bad():
    raise ValueError("two\\nlines")

def leave():
    sys.exit(3)

def leave_well():
    sys.exit(0)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    (RESULTS / "main").write_text(__name__)
"""


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def run(
    lab: Lab,
    entry_point: str,
    parameters: dict[str, str] | None = None,
    image: str | None = AWS_IMAGE,
    **script: str,
) -> dict[str, Any]:
    uri = lab.put("scripts/source.tar.gz", archive({"pack/source.py": SOURCE}))
    specification: dict[str, Any] = {
        "scriptModeConfig": {
            "entryPoint": entry_point,
            "s3Uri": uri,
            "compressionType": "GZIP",
            **script,
        }
    }
    if image:
        specification["containerImage"] = {"uri": image}
    request = lab.job_request("script", algorithmSpecification=specification)
    if parameters:
        request["hyperParameters"] = parameters
    return lab.wait(lab.client("braket").create_job(**request)["jobArn"])


def results(lab: Lab) -> dict[str, str]:
    data = lab.get("out/script/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [(item, tar.extractfile(item)) for item in tar.getmembers()]
        return {item.name: file.read().decode() for item, file in members if file}


@pytest.mark.parametrize("image", [None, AWS_IMAGE, "lab"])
def test_entry_point_runs_with_aws_images_none_and_ours(lab: Lab, image: str | None) -> None:
    job = run(lab, "pack.source:plain", image=lab.info["image_uri"] if image == "lab" else image)
    assert job["status"] == "COMPLETED", job
    assert results(lab) == {"plain": "ran"}


def test_hyperparameters_are_bound_and_cast_as_annotated(lab: Lab) -> None:
    job = run(lab, "pack.source:bound", {"shots": "10", "rate": "0.25"})
    assert job["status"] == "COMPLETED", job
    assert results(lab) == {"bound": "(10, 0.25, 'n')"}
    lines = lab.lines(job)
    assert "in /opt/ml/code/customer_code/extracted" in lines or sys.platform != "linux"
    assert {"Beginning Setup", "Running Code As Process", "Code Run Finished"} <= set(lines)


def test_hyperparameters_that_do_not_fit_are_not_passed(lab: Lab) -> None:
    job = run(lab, "pack.source:plain", {"other": "1"})
    assert job["status"] == "COMPLETED", job


def test_a_module_without_a_callable_runs_as_main(lab: Lab) -> None:
    assert run(lab, "pack.source")["status"] == "COMPLETED"
    assert results(lab) == {"main": "__main__"}


def test_exit_code_zero_is_success(lab: Lab) -> None:
    assert run(lab, "pack.source:leave_well")["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("entry_point", "reason"),
    [
        ("pack.source:bad", "AlgorithmError: ValueError: two\nlines, exit code: 1"),
        ("pack.source:leave", "ExitCode 3"),
        ("pack.source:die", "ExitCode 247"),
        ("pack.nowhere:x", "ModuleNotFoundError: No module named 'pack.nowhere'"),
        ("pack.source:nothing", "has no attribute 'nothing'"),
    ],
)
def test_failures_are_reported_as_in_aws_images(lab: Lab, entry_point: str, reason: str) -> None:
    job = run(lab, entry_point)
    assert job["status"] == "FAILED"
    assert reason in job["failureReason"]
    assert job["failureReason"].endswith("exit code: 1")


def test_a_value_that_cannot_be_cast_fails_the_job(lab: Lab) -> None:
    job = run(lab, "pack.source:bound", {"shots": "many"})
    assert "invalid literal for int()" in job["failureReason"]


def test_a_source_that_is_not_there_fails_the_job(lab: Lab) -> None:
    job = run(lab, "pack.source:plain", s3Uri=f"s3://{lab.info['bucket']}/scripts/none.tar.gz")
    assert job["status"] == "FAILED"
    assert job["failureReason"].startswith("AlgorithmError: Unable to download code.")


@pytest.mark.parametrize("kind", ["error", "truncate"])
def test_a_fault_of_s3_is_outlived(lab: Lab, kind: str) -> None:
    lab.faults({"operation": "s3:GetObject", "kind": kind, "times": 2})
    assert run(lab, "pack.source:plain")["status"] == "COMPLETED"
    assert not lab.control("GET", "faults")["faults"], "both were met"


def test_a_source_that_is_no_archive_fails_the_job(lab: Lab) -> None:
    uri = lab.put("scripts/broken.tar.gz", "no archive")
    job = run(lab, "pack.source:plain", s3Uri=uri)
    assert job["failureReason"].startswith("AlgorithmError: Unable to unpack code.")


def test_a_plain_file_is_copied(lab: Lab) -> None:
    uri = lab.put("scripts/single.py", textwrap.dedent(SOURCE))
    assert run(lab, "single", s3Uri=uri, compressionType="NONE")["status"] == "COMPLETED"


def test_requirements_are_installed_for_the_job_only(lab: Lab) -> None:
    package = {
        "wheel/pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        ),
        "wheel/backend.py": BACKEND,
        "requirements.txt": "./wheel\n",
        "user.py": "def go():\n    import tiny_package_of_the_test as t\n    print('has', t.X)\n",
    }
    uri = lab.put("scripts/with_requirements.tar.gz", archive(package))
    job = run(lab, "user:go", s3Uri=uri)
    assert job["status"] == "COMPLETED", (job, lab.lines(job))
    assert "has 7" in lab.lines(job)
    with pytest.raises(ImportError):
        __import__("tiny_package_of_the_test")


def test_requirements_that_cannot_be_installed_are_ignored(lab: Lab) -> None:
    files = {"requirements.txt": "./not-there\n", "user.py": "def go():\n    print('went on')\n"}
    uri = lab.put("scripts/bad_requirements.tar.gz", archive(files))
    job = run(lab, "user:go", s3Uri=uri)
    assert job["status"] == "COMPLETED"
    assert "went on" in lab.lines(job)


# A build backend in a few lines, so that the test needs no package index.
BACKEND = """
import zipfile
NAME = "tiny_package_of_the_test-1.0"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    file = f"{NAME}-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{file}", "w") as wheel:
        wheel.writestr("tiny_package_of_the_test.py", "X = 7")
        info = f"{NAME}.dist-info"
        name, version = NAME.split("-")
        meta = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
        wheel.writestr(f"{info}/METADATA", meta)
        tag = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\\nGenerator: t\\n{tag}")
        wheel.writestr(f"{info}/RECORD", "")
    return file
"""
