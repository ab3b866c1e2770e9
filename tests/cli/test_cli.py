"""What the command says, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin import __version__
from covalent_braket_plugin.cli import main
from covalent_braket_plugin.cli.program import Program
from covalent_braket_plugin.settings import SETTINGS
from tests.support.service_model import violations

CONFIGURED = """
[executors.braket]
region = "us-east-1"
ecr_image_uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/worker:py312"
braket_job_execution_role_name = "arn:aws:iam::123456789012:role/Runner"
time_limit = 3600
storage = 30

[executors.braket.tags]
team = "blue"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with no AWS or Covalent set up in it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "COVALENT_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def config(home: Path) -> Path:
    path = home / ".config/covalent/covalent.conf"
    path.parent.mkdir(parents=True)
    path.write_text(CONFIGURED)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="covalent-braket")


def rows(*arguments: str) -> dict[str, dict[str, object]]:
    result = run("settings", "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, dict[str, object]] = json.loads(result.stdout)
    return found


# The top


def test_version_is_the_packages() -> None:
    assert run("--version").stdout == f"covalent-braket {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [[], ["local"], ["settings"], ["render"], ["image"], ["local", "start"], ["local", "logs"]],
)
def test_help_says_how_to_use_a_command(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: covalent-braket")


@pytest.mark.parametrize("command", [[], ["local"], ["settings"], ["render"], ["image"]])
def test_help_gives_examples(command: list[str]) -> None:
    examples = run(*command, "--help").stdout.partition("Examples:")[2]
    assert examples.count("covalent-braket ") >= 3


def test_a_wrong_command_line_exits_with_2() -> None:
    result = run("settings", "--nonsense")
    assert result.exit_code == 2
    assert result.stdout == ""


def failing(error: Exception) -> click.Group:
    program = Program("covalent-braket", params=[click.Option(["--traceback"], is_flag=True)])

    @program.command()
    def fail() -> None:
        raise error

    return program


def test_an_unexpected_error_is_one_line_that_says_how_to_see_more() -> None:
    result = CliRunner().invoke(failing(ValueError("no such thing")), ["fail"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ValueError: no such thing")
    assert "--traceback" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_unexpected_error_is_shown_whole_when_asked_for() -> None:
    result = CliRunner().invoke(failing(ValueError("no such thing")), ["--traceback", "fail"])
    assert isinstance(result.exception, ValueError)


def test_the_command_starts_without_loading_covalent_or_boto3() -> None:
    program = (
        "import sys; from covalent_braket_plugin.cli import main;"
        "main(['settings', '--no-config', '--json'], standalone_mode=False);"
        "print([m for m in ('covalent', 'boto3', 'moto', 'braket') if m in sys.modules],"
        " file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.strip() == "[]"


# settings


def test_settings_shows_every_setting() -> None:
    result = run("settings")
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    assert names == [setting.name for setting in SETTINGS]


def test_settings_says_where_values_come_from(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "lab")
    found = rows("--set", "storage=12", "--set", "hyperparameters.depth=3")
    assert (found["storage"]["value"], found["storage"]["source"]) == (12, "--set")
    assert found["hyperparameters"]["value"] == {"depth": "3"}
    assert found["time_limit"]["source"] == "[executors.braket]"
    assert found["tags"]["value"] == {"team": "blue"}
    assert found["profile"]["value"] == "lab"
    assert found["profile"]["source"] == "environment variable AWS_PROFILE, read by boto3"
    assert found["poll_freq"]["source"] == "default"


def test_settings_leaves_the_config_file_unread_when_told_to(config: Path) -> None:
    assert rows("--no-config")["time_limit"]["value"] == 300


def test_settings_reads_another_config_file(config: Path, tmp_path: Path) -> None:
    other = config.rename(tmp_path / "other.conf")
    assert rows()["time_limit"]["value"] == 300
    assert rows("--config", str(other))["time_limit"]["value"] == 3600


@pytest.mark.parametrize("variable", ["COVALENT_CONFIG_DIR", "XDG_CONFIG_DIR"])
def test_settings_finds_the_config_file_as_covalent_does(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    config.rename(elsewhere / "covalent.conf")
    monkeypatch.setenv(variable, str(elsewhere))
    assert rows()["time_limit"]["value"] == 3600


def test_settings_writes_no_file(home: Path) -> None:
    run("settings")
    assert list(home.iterdir()) == []


def test_settings_never_shows_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:s3cret@127.0.0.1:1")
    result = run("settings")
    assert "http://***@127.0.0.1:1" in result.stdout
    assert "s3cret" not in result.output


def test_a_value_that_breaks_a_rule_is_shown_and_then_refused() -> None:
    result = run("settings", "--set", "time_limit=0")
    assert result.exit_code == 1
    assert "0 s" in result.stdout
    assert result.stderr.startswith("Error: time_limit=0 is not valid")


def test_a_value_of_another_type_in_the_config_file_is_refused(config: Path) -> None:
    config.write_text(CONFIGURED.replace("3600", '"an hour"'))
    result = run("settings")
    assert result.exit_code == 1
    assert "[executors.braket]" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_unknown_keys_of_the_config_file_are_noted(config: Path) -> None:
    config.write_text(CONFIGURED.replace("storage", "storge") + "\n")
    result = run("settings")
    assert result.exit_code == 0
    assert "did you mean storage?" in result.stderr


def test_a_config_file_that_is_not_toml_is_refused(config: Path) -> None:
    config.write_text("[executors\n")
    result = run("settings")
    assert result.exit_code == 1
    assert str(config) in result.stderr


@pytest.mark.parametrize(
    ("assignment", "said"),
    [("time_limt=3", "Did you mean time_limit?"), ("colour=red", "settings"), ("local", "NAME=VA")],
)
def test_a_wrong_assignment_is_a_usage_error(assignment: str, said: str) -> None:
    result = run("settings", "--set", assignment)
    assert result.exit_code == 2
    assert said in result.stderr


# render


def test_render_shows_a_request_that_the_service_model_allows(config: Path) -> None:
    result = run("render", "--electron", "energy_of_h2", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    request = json.loads(result.stdout)
    assert violations("CreateJob", request) == []
    assert request["jobName"] == "energy-of-h2-000000000000-0-1"
    assert request["stoppingCondition"] == {"maxRuntimeInSeconds": 3600}
    assert request["roleArn"] == "arn:aws:iam::123456789012:role/Runner"
    assert request["tags"]["team"] == "blue"


def test_render_for_people_shows_the_same(config: Path) -> None:
    assert json.loads(run("render").stdout) == json.loads(run("render", "--json").stdout)


def test_render_says_when_the_account_is_a_guess(config: Path) -> None:
    result = run("render", "--set", "braket_job_execution_role_name=Runner")
    assert "123456789012 stands for it" in result.stderr
    named = run(
        "render", "--json", "--account", "2" * 12, "--set", "braket_job_execution_role_name=Runner"
    )
    assert named.stderr == ""
    assert json.loads(named.stdout)["roleArn"] == f"arn:aws:iam::{'2' * 12}:role/Runner"


def test_render_finds_the_region_of_the_profile(config: Path, home: Path) -> None:
    config.write_text(
        CONFIGURED.replace('region = "us-east-1"', "").replace("us-east-1", "us-west-2")
    )
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text("[profile lab]\nregion = us-west-2\n")
    result = run("render", "--json", "--set", "profile=lab")
    assert result.exit_code == 0, result.output
    assert "amazon-braket-us-west-2-" in json.loads(result.stdout)["outputDataConfig"]["s3Path"]


def test_render_without_configuration_says_what_is_missing() -> None:
    result = run("render")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The Braket executor is not configured")
    assert "region not set" in result.stderr


def test_render_with_a_region_alone_shows_what_nothing_but_credentials_sends() -> None:
    result = run("render", "--json", "--set", "region=us-east-1")
    assert result.exit_code == 0, result.output
    request = json.loads(result.stdout)
    assert set(request["algorithmSpecification"]) == {"scriptModeConfig"}
    assert request["roleArn"].endswith(":role/service-role/AmazonBraketJobsExecutionRole")
    assert "default role would be looked up" in result.stderr


def test_render_for_a_local_braket_that_does_not_run_says_how_to_start_it() -> None:
    result = run("render", "--set", "local=yes")
    assert result.exit_code == 1
    assert "covalent-braket local start" in result.stderr


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ("tags.owner=AKIA" + "IOSFODNN7EXAMPLE", "IOSFODNN7"),
        ("endpoint_url=http://me:pw7@h", "pw7"),
    ],
)
def test_settings_shows_no_key_and_no_password_also_where_it_refuses_one(
    given: str, secret: str
) -> None:
    for form in ([], ["--json"]):
        result = run("settings", *form, "--set", given)
        assert result.exit_code == 1
        assert secret not in result.output + result.stderr


def test_what_belongs_to_a_role_is_refused_without_the_role() -> None:
    result = run("settings", "--set", "external_id=partner-1")
    assert result.exit_code == 1
    assert "external_id='partner-1' is not valid: it is for the role in assume_role_arn" in (
        result.stderr
    )


def test_render_shows_the_account_of_the_role_that_is_assumed(config: Path) -> None:
    text = config.read_text().replace("arn:aws:iam::123456789012:role/Runner", "Runner")
    config.write_text(text)
    role = "arn:aws:iam::222222222222:role/Partner"
    result = run("render", "--json", "--set", f"assume_role_arn={role}")
    assert json.loads(result.stdout)["roleArn"] == "arn:aws:iam::222222222222:role/Runner"
