"""What ``covalent-braket deploy`` says before it does anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.cli import config_file, main
from covalent_braket_plugin.deploy.deployment import Deployment
from covalent_braket_plugin.deploy.terraform import Terraform
from covalent_braket_plugin.deploy.workspace import Workspace, cloudformation_template
from covalent_braket_plugin.errors import DeployError
from covalent_braket_plugin.settings import resolve
from tests.support import terraform
from tests.support.braket_server import BraketServer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def deploy(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["deploy", *arguments], prog_name="covalent-braket")


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a shell script as the only ``terraform`` there is."""
    path = folder / "programs" / "terraform"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))


def test_without_terraform_it_says_how_to_get_it_and_how_to_do_without(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    result = deploy("up", "--yes")
    assert result.exit_code == 1
    assert "https://developer.hashicorp.com/terraform/install" in result.stderr
    assert f"--template-file {cloudformation_template()}" in result.stderr
    assert cloudformation_template().is_file()


def test_covalents_own_deploy_names_an_option_of_the_wrong_type_without_a_traceback() -> None:
    program = [sys.executable, "-m", "covalent_dispatcher._cli.cli"]
    command = [*program, "deploy", "up", "braket", "--expire_days=soon"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "--expire_days=soon is not valid" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_an_old_terraform_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(home, """echo '{"terraform_version": "1.4.7"}'""", monkeypatch)
    result = deploy("up", "--yes")
    assert result.exit_code == 1
    assert "is version 1.4, and 1.5 or newer is needed" in result.stderr


def test_version_1_10_is_newer_than_1_5(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(home, """echo '{"terraform_version": "1.10.0-rc1"}'""", monkeypatch)
    result = deploy("up", "--yes")
    assert "No AWS region is known. Name one with --set region=us-east-1" in result.stderr


@pytest.mark.parametrize("name", ["../other", "My_Team", "", "a" * 25, "-a"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    result = deploy("up", "--name", name)
    assert result.exit_code == 2
    assert "1 to 24 lower-case letters, digits and hyphens" in result.stderr


def test_a_deployment_stays_in_its_account_and_region(
    home: Path, local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.require()
    for name, value in local_braket.environment().items():
        monkeypatch.setenv(name, value)
    workspace = Workspace(home / ".local/share/covalent-braket/deploy/covalent-braket")
    workspace.prepare({"region": "eu-west-2"})
    workspace.state.write_text("{}")
    workspace.remember(account="123456789012", region="eu-west-2")
    result = deploy("down", "--yes")
    assert result.exit_code == 1
    assert "is in account 123456789012, region eu-west-2" in result.stderr
    assert "you are in account 000000000000, region us-east-1" in result.stderr


def test_what_was_never_deployed_need_not_be_removed() -> None:
    assert deploy("down").exit_code == 0
    result = deploy("status", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["resources"] == []


def deployment(
    home: Path, name: str, written: dict[str, str], before: dict[str, str]
) -> Deployment:
    """A deployment as `deploy up` leaves it in its workspace; nothing is on AWS."""
    workspace = Workspace(home / "deploy" / name)
    workspace.prepare({})
    workspace.remember(written=written, before=before)
    nobody = clients_for(resolve({"region": "us-east-1"}, {}, {}))
    return Deployment(workspace, Terraform("terraform", workspace.directory, {}), nobody, "")


def test_a_deployment_that_goes_leaves_what_another_has_written(home: Path) -> None:
    first = deployment(home, "first", {"region": "us-east-1", "s3_bucket_name": "one"}, {})
    second = {"region": "us-east-1", "s3_bucket_name": "two"}
    deployment(home, "second", second, {"region": "us-east-1", "s3_bucket_name": "one"})
    assert first.config_to_restore(second) == {}


def test_a_deployment_does_not_bring_back_the_names_of_one_that_is_gone(home: Path) -> None:
    names = ("one", "two", "three")
    first, second, third = (
        deployment(home, name, {"s3_bucket_name": name}, {"s3_bucket_name": before})
        for name, before in zip(names, ("by-hand", "one", "two"), strict=True)
    )
    second.forget()
    first.forget()
    assert third.config_to_restore({"s3_bucket_name": "three"}) == {"s3_bucket_name": "by-hand"}


@pytest.mark.parametrize("damaged", ["", "{", "[1]", "{}"])
def test_a_damaged_record_of_one_deployment_holds_up_no_other(home: Path, damaged: str) -> None:
    going, other = (
        deployment(home, name, {"s3_bucket_name": name}, {}) for name in ("going", "other")
    )
    (other.workspace.directory / "deployment.json").write_text(damaged)
    assert going.config_to_restore({"s3_bucket_name": "going"}) == {"s3_bucket_name": ""}
    going.forget()
    assert not going.workspace.directory.exists()


SLOW_TERRAFORM = """
import os, signal, sys, time
def stop(*_):
    time.sleep(0.5)
    os.write(1, b'{"type": "log"}\\n')  # whom nobody reads, a pipe kills
    open("state", "w").write("noted")
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
os.write(1, b'{"type": "log"}\\n')
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_terraform_notes_what_it_did_whatever_ends_us(tmp_path: Path, number: int) -> None:
    def end(event: object) -> None:
        os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        slow_terraform(tmp_path).apply(end)
    assert (tmp_path / "state").read_text() == "noted"


def test_terraform_notes_what_it_did_if_nobody_reads_what_we_say(tmp_path: Path) -> None:
    def print_it(event: object) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        slow_terraform(tmp_path).apply(print_it)
    assert (tmp_path / "state").read_text() == "noted"


def slow_terraform(folder: Path) -> Terraform:
    path = folder / "slow"
    path.write_text(f"#!{sys.executable}\n{SLOW_TERRAFORM}")
    path.chmod(0o755)
    return Terraform(str(path), folder, {})


@pytest.mark.slow
def test_an_error_of_terraform_is_its_summary_and_detail(
    home: Path, local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**local_braket.environment(), **terraform.environment(home, terraform.require())}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    result = deploy("up", "--yes", "--bucket-name", "mine")
    assert result.exit_code == 1
    assert "Invalid value for variable: bucket_name must begin with amazon-braket-" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    workspace = Workspace(home / ".local/share/covalent-braket/deploy/covalent-braket")
    assert workspace.variables() == {}  # what was refused is not chosen
    assert not (home / ".config").exists()


def test_an_error_of_a_command_without_json_is_one_paragraph(tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    failing.write_text(
        "#!/bin/sh\nprintf '\\n╷\\n│ Error: No way\\n│ \\n│ Because.\\n╵\\n' >&2; exit 1\n"
    )
    failing.chmod(0o755)
    with pytest.raises(DeployError, match=r"^terraform init failed: No way Because\.$"):
        Terraform(str(failing), tmp_path, {}).init()


@pytest.mark.slow
def test_a_provider_that_cannot_be_fetched_is_told_with_what_to_do(
    home: Path, local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.require()
    empty = home / "empty"
    empty.mkdir()
    settings = {**local_braket.environment(), **terraform.environment(home, empty)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    result = deploy("up", "--yes")
    assert result.exit_code == 1
    assert "hashicorp/aws" in result.stderr
    assert "set HTTPS_PROXY; without a network name a mirror" in result.stderr


def test_only_what_changes_is_written_and_all_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "covalent.conf"
    path.write_text('[sdk]\nlog_level = "debug"\n[executors.braket]\nstorage = 40\nregion = "x"\n')
    path.chmod(0o600)
    changes = config_file.edits(path, {"region": "us-east-1", "s3_prefix": "", "storage": 40})
    assert changes == [config_file.Edit("region", "x", "us-east-1")]
    config_file.put(path, changes)
    assert tomllib.loads(path.read_text()) == {
        "sdk": {"log_level": "debug"},
        "executors": {"braket": {"storage": 40, "region": "us-east-1"}},
    }
    assert path.stat().st_mode & 0o777 == 0o600
