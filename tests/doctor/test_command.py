"""The command around the checks: table, JSON, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin.cli import main
from covalent_braket_plugin.doctor import CHECKS
from tests.doctor.conftest import SECRET, Patient
from tests.support.braket_server import BraketServer


@pytest.fixture(autouse=True)
def home(local_braket: BraketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], prog_name="covalent-braket")


def test_a_fresh_local_braket_is_fit() -> None:
    result = run("--set", "local=yes")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["Check", "State", "Found"]
    assert lines[-1] == f"{len(CHECKS)} ok"
    assert "from the local Braket, which takes any key" in " ".join(result.stdout.split())
    assert "kms_key_id" not in result.stdout  # it has no value
    assert result.stderr == ""


def test_a_failure_stands_above_its_fix_and_exits_with_1() -> None:
    result = run("--set", "local=yes", "--set", "s3_bucket_name=amazon-braket-nowhere")
    assert result.exit_code == 1
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines() if line]
    place = next(number for number, line in enumerate(lines) if line[0] == "bucket")
    assert lines[place][1] == "failed"
    assert lines[place][2].startswith("amazon-braket-nowhere does not exist")
    assert lines[place + 1][0] == "fix"
    assert " ".join(lines[place + 1][1:]).startswith("aws s3 mb s3://amazon-braket-nowhere")
    assert "1 failed, 2 skipped" in result.stdout


def test_json_has_every_check_and_no_secret(patient: Patient) -> None:
    given = [
        part for name, value in patient.settings().items() for part in ("--set", f"{name}={value}")
    ]
    result = run("--json", *given)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["ok"] is True
    assert found["counts"] == {"ok": len(CHECKS), "warning": 0, "failed": 0, "skipped": 0}
    assert [each["check"] for each in found["checks"]] == [check.name for check in CHECKS]
    assert SECRET not in result.stdout


def test_a_local_braket_that_does_not_run_is_to_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(tmp_path / "none"))
    result = run("--set", "local=yes")
    assert result.exit_code == 1
    assert "Start it: covalent-braket local start" in result.stdout


def test_a_trial_uses_covalents_own_configuration() -> None:
    result = run("--run", "--no-config")
    assert result.exit_code == 2
    assert "--no-config do not go with it" in result.stderr


@pytest.mark.parametrize("text", ["x = = 1", 'executors = "braket"', "[executors]\nbraket = 3"])
def test_a_configuration_that_cannot_be_read_is_a_finding_also_as_json(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "covalent.conf"
    path.write_text(text)
    result = run("--json", "--set", "local=yes", "--config", str(path))
    assert result.exit_code == 1
    checks = {each["check"]: each for each in json.loads(result.stdout)["checks"]}
    assert (
        f"'{path}' is not valid: it must be Covalent's configuration" in checks["settings"]["found"]
    )
    assert checks["identity"]["state"] == "skipped"


def test_a_covalent_that_cannot_be_imported_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "covalent.conf").write_text("x = = 1")
    environ = {**os.environ, "COVALENT_CONFIG_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "covalent_braket_plugin.cli", "doctor", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert checks["plugin"]["found"].startswith("Covalent cannot be imported: ")
    assert "Mend its configuration file" in checks["plugin"]["fix"]
    assert checks["settings"]["state"] == "failed"


def test_what_covalent_logs_does_not_get_into_the_json(
    tmp_path: Path, local_braket: BraketServer
) -> None:
    (tmp_path / "covalent.conf").write_text('[sdk]\nlog_level = "debug"\n')
    environ = {**os.environ, "COVALENT_CONFIG_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "covalent_braket_plugin.cli", "doctor", "--run", "--json"]
    command += ["--set", "local=yes"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["ok"], done.stdout
