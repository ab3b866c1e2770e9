"""``covalent-braket deploy`` and ``covalent deploy``, with real Terraform on the local Braket."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import terraform
from tests.support.braket_server import BraketServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NAME = ("--name", "team-a")
BUCKET = "amazon-braket-deploy-test"
BEFORE = """
[sdk]
log_level = "debug"

[executors.braket]
time_limit = 60
s3_bucket_name = "amazon-braket-by-hand"
"""


@dataclass
class Deployer:
    """A user's home in which commands are run."""

    home: Path
    environ: Mapping[str, str]

    @property
    def config(self) -> Path:
        return self.home / ".config/covalent/covalent.conf"

    def section(self) -> dict[str, Any]:
        found: dict[str, Any] = tomllib.loads(self.config.read_text())["executors"]["braket"]
        return found

    def variables(self, name: str) -> dict[str, Any]:
        folder = self.home / ".local/share/covalent-braket/deploy" / name
        found: dict[str, Any] = json.loads((folder / "terraform.tfvars.json").read_text())
        return found

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.Popen(
            command,
            env=dict(self.environ),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def deploy(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        return self.end(self.begin("covalent_braket_plugin.cli", "deploy", *arguments), code)

    @staticmethod
    def end(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == code, out + errors
        return out, errors


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, local_braket: BraketServer) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("terraform")
    found = terraform.environment(folder, terraform.require())
    return {**os.environ, **found, **local_braket.environment()}


def deployer(home: Path, environ: Mapping[str, str]) -> Deployer:
    made = Deployer(home, {**environ, "HOME": str(home)})
    made.config.parent.mkdir(parents=True)
    made.config.write_text(BEFORE)
    return made


@pytest.fixture(scope="module", autouse=True)
def under_way(
    tmp_path_factory: pytest.TempPathFactory, aws: dict[str, str]
) -> Iterator[tuple[Deployer, subprocess.Popen[str]]]:
    """`deploy up`, begun and not waited for: the provider itself waits for a minute until a
    bucket's lifecycle rules have stayed the same, in which another test runs."""
    user = deployer(tmp_path_factory.mktemp("home"), aws)
    options = (*NAME, "--bucket-name", BUCKET, "--tag", "team=blue", "--yes")
    process = user.begin("covalent_braket_plugin.cli", "deploy", "up", *options)
    yield user, process
    if process.poll() is None:
        process.terminate()
        process.communicate(timeout=60)


def test_covalents_own_deploy_goes_the_whole_way(
    tmp_path: Path, aws: dict[str, str], local_braket: BraketServer
) -> None:
    """With this machine's Terraform, which Covalent by itself refuses, and without Docker."""
    user = deployer(tmp_path, _without_docker(aws, tmp_path))
    covalent, s3 = ("covalent_dispatcher._cli.cli", "deploy"), local_braket.client("s3")
    bucket = "amazon-braket-theirs"
    # With rules that expire objects this would take a minute more.
    options = (f"--bucket_name={bucket}", "--expire_days=0")

    user.end(user.begin(*covalent, "up", "braket", *options))
    assert user.section()["s3_bucket_name"] == bucket
    assert user.section()["time_limit"] == 60
    s3.head_bucket(Bucket=bucket)
    out, _ = user.end(user.begin(*covalent, "status", "braket"))
    assert "Provisioned Resources" in out

    # What is refused is not chosen: it would be in the way of all that comes later.
    chosen = user.variables("covalent-braket")
    refused = user.begin(*covalent, "up", "braket", "--bucket_name=mine")
    out, errors = refused.communicate(timeout=60)
    assert "bucket_name must begin with amazon-braket-" in out + errors
    assert user.variables("covalent-braket") == chosen

    user.end(user.begin(*covalent, "down", "braket"))
    assert bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}
    assert user.section()["s3_bucket_name"] == "amazon-braket-by-hand"
    assert user.section()["braket_job_execution_role_name"] == ""


def _without_docker(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    programs = folder / "bin"
    programs.mkdir()
    for name in ("terraform", "git", "sh"):
        found = shutil.which(name)
        assert found, name
        (programs / name).symlink_to(found)
    return {**environ, "PATH": str(programs)}


def test_up_status_and_down_go_the_whole_way(
    under_way: tuple[Deployer, subprocess.Popen[str]], local_braket: BraketServer
) -> None:
    user, process = under_way
    s3 = local_braket.client("s3")

    out, progress = user.end(process)
    assert "create  aws_s3_bucket.braket" in out
    assert "created: aws_iam_role.job" in progress
    assert out.rstrip().endswith("Next: covalent-braket doctor")
    assert user.section() == {
        "time_limit": 60,
        "region": "us-east-1",
        "s3_bucket_name": BUCKET,
        "s3_prefix": "covalent",
        "braket_job_execution_role_name": "arn:aws:iam::000000000000:role/service-role/"
        "AmazonBraketJobsExecutionRole-team-a",
    }
    assert tomllib.loads(user.config.read_text())["sdk"] == {"log_level": "debug"}
    assert {"Key": "team", "Value": "blue"} in s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert {rule["ID"] for rule in rules} == {"expire-payloads", "expire-results", "abort-uploads"}
    workspace = user.home / ".local/share/covalent-braket/deploy/team-a"
    assert stat.S_IMODE(workspace.stat().st_mode) == 0o700

    # A second look finds nothing to do.
    out, _ = user.deploy("status", *NAME, "--json")
    assert {row["action"] for row in json.loads(out)["resources"]} == {"keep"}

    # And with what was made, a job runs.
    checked, _ = user.end(user.begin("covalent_braket_plugin.cli", "doctor", "--run", "--json"))
    assert BUCKET in checked
    assert "AmazonBraketJobsExecutionRole-team-a" in checked

    # What users stored is not deleted unless they say so, and what somebody removed is mended.
    s3.put_object(Bucket=BUCKET, Key="covalent/precious", Body=b"x")
    s3.delete_bucket_policy(Bucket=BUCKET)
    _, refusal = user.deploy("down", *NAME, "--yes", code=1)
    assert f"the bucket {BUCKET} holds objects" in refusal
    assert "deploy up --force-destroy" in refusal
    out, _ = user.deploy("up", *NAME, "--force-destroy", "--yes", "--json")
    changed = {row["address"]: row["action"] for row in json.loads(out)["changes"]}
    assert changed == {
        "aws_s3_bucket.braket": "change",
        "aws_s3_bucket_policy.braket": "create",
        "aws_ecr_repository.images": "change",
    }

    user.deploy("down", *NAME, "--yes")
    assert BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert user.section()["s3_bucket_name"] == "amazon-braket-by-hand"
    assert user.section()["braket_job_execution_role_name"] == ""
    assert not workspace.exists()
    user.deploy("status", *NAME, code=3)
