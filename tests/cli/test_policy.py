"""The policies that the command prints are those of the settings in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin.cli import main
from tests.support.braket_server import BraketServer

ACCOUNT = "123456789012"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="covalent-braket")


def printed(*arguments: str) -> dict[str, dict[str, Any]]:
    result = run("policy", *arguments, "--set", "region=eu-west-2")
    assert result.exit_code == 0, result.output
    return {each["Sid"]: each for each in json.loads(result.stdout)["Statement"]}


def test_a_policy_names_bucket_prefix_and_role_of_the_settings() -> None:
    found = printed(
        "caller", "--set", "s3_bucket_name=amazon-braket-ours", "--set", "s3_prefix=team",
        "--set", f"braket_job_execution_role_name=arn:aws:iam::{ACCOUNT}:role/Runner",
    )  # fmt: skip
    assert found["StageAndFetchObjects"]["Resource"] == ["arn:aws:s3:::amazon-braket-ours/team/*"]
    assert found["RunJobsAsRole"]["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/Runner"]
    assert "MakeUsualBucket" not in found


def test_without_credentials_a_sample_account_stands_for_it_and_a_note_says_so() -> None:
    result = run("policy", "role", "--set", "region=us-east-1")
    assert ACCOUNT in result.stdout
    assert "--account" in result.stderr
    json.loads(result.stdout)


def test_with_credentials_sts_says_which_account_it_is(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_braket.endpoint_url)
    result = run("policy", "role", "--set", "region=us-east-1")
    assert "amazon-braket-us-east-1-000000000000" in result.stdout
    assert result.stderr == ""


def test_a_given_account_is_used_without_a_note() -> None:
    result = run("policy", "role", "--set", "region=us-east-1", "--account", "2" * 12)
    assert f"amazon-braket-us-east-1-{'2' * 12}" in result.stdout
    assert result.stderr == ""


def test_every_permission_is_explained_on_request() -> None:
    shown = run("policy", "caller", "--explain", "--set", "region=us-east-1").stdout
    rows = json.loads(
        run("policy", "caller", "--explain", "--json", "--set", "region=us-east-1").stdout
    )
    assert all(action in shown for row in rows for action in row["Action"])
    assert all(row["why"].split()[0] in shown for row in rows)


def test_without_a_region_the_error_names_the_setting() -> None:
    result = run("policy", "caller", "--set", "quantum_device=local:none/none")
    assert result.exit_code == 1
    assert "region" in result.stderr


def test_a_role_to_assume_is_what_the_policy_is_for() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/platform"
    result = run("policy", "caller", "--set", "region=us-east-1", "--set", f"assume_role_arn={arn}")
    assert "sts:AssumeRole" in result.stderr


def test_an_alias_of_a_key_cannot_stand_in_a_policy_and_a_note_says_so() -> None:
    result = run("policy", "role", "--set", "region=us-east-1", "--set", "kms_key_id=alias/ours")
    assert "alias" in result.stderr
    assert "key/*" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["policy", "caller", "--account", "12345"],
        ["policy", "trust", "--platform", "acme", "--external-id", "ours"],
        ["render", "--account", "1234-5678-9012"],
    ],
    ids=" ".join,
)
def test_an_account_that_is_none_is_refused(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert "write its 12 digits" in result.stderr


def test_a_policy_is_for_the_account_of_the_jobs_role() -> None:
    role = f"braket_job_execution_role_name=arn:aws:iam::{ACCOUNT}:role/Runner"
    wanted = ("--set", "region=us-east-1", "--set", role, "--account")
    assert run("policy", "caller", *wanted, ACCOUNT).exit_code == 0
    result = run("policy", "caller", *wanted, "111122223333")
    assert result.exit_code == 2
    assert "is of another account" in result.stderr


def test_trust_is_in_braket_alone_or_in_a_platform_with_an_external_id() -> None:
    assert "braket.amazonaws.com" in run("policy", "trust").stdout
    platform = run("policy", "trust", "--platform", "1" * 12, "--external-id", "ours").stdout
    assert "braket.amazonaws.com" not in platform
    assert json.loads(platform)["Statement"][0]["Condition"]


def test_a_platform_is_not_trusted_without_an_external_id() -> None:
    result = run("policy", "trust", "--platform", "1" * 12)
    assert result.exit_code == 2
    assert "external id" in result.stderr


def test_a_push_is_to_the_repository_that_is_named_or_that_the_image_is_of() -> None:
    named = printed("image", "--repository", "ours", "--account", ACCOUNT)
    uri = f"{ACCOUNT}.dkr.ecr.eu-west-2.amazonaws.com/ours:1"
    assert named == printed("image", "--set", f"ecr_image_uri={uri}")
    arn = f"arn:aws:ecr:eu-west-2:{ACCOUNT}:repository/ours"
    assert named["PushImage"]["Resource"] == [arn]


def test_a_push_to_nowhere_is_refused() -> None:
    result = run("policy", "image", "--set", "region=us-east-1")
    assert result.exit_code == 2
    assert "--repository" in result.stderr


@pytest.mark.parametrize("command", [[], ["caller"], ["role"], ["trust"], ["image"]])
def test_help_gives_examples(command: list[str]) -> None:
    assert run("policy", *command, "--help").stdout.count("covalent-braket policy") >= 2


def test_a_push_may_be_to_a_repository_that_is_named_as_push_takes_it() -> None:
    uri = f"{ACCOUNT}.dkr.ecr.eu-west-2.amazonaws.com/team/ours"
    assert printed("image", "--repository", uri) == printed(
        "image", "--repository", "team/ours", "--account", ACCOUNT
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "--repository", "ours:*"),
        ("image", "--repository", f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/ours"),
        ("caller", "--account", "1234-5678-9012"),
        ("trust", "--platform", "*", "--external-id", "ours"),
        ("trust", "--platform", ACCOUNT, "--external-id", "*"),
        ("trust", "--platform", ACCOUNT, "--external-id", "ours", "--partition", "*"),
    ],
)
def test_what_iam_would_refuse_or_read_as_a_pattern_gets_into_no_policy(
    arguments: tuple[str, ...],
) -> None:
    environment = {"AWS_REGION": "eu-west-2"}
    result = CliRunner().invoke(main, ["policy", *arguments], env=environment)
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert arguments[2] in result.stderr or arguments[-1] in result.stderr
