"""The Terraform templates: what they would make, and that it is what the executor needs."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from covalent_braket_plugin.deploy.models import ExecutorInfraDefaults, ExecutorPluginDefaults
from covalent_braket_plugin.deploy.workspace import TEMPLATES
from covalent_braket_plugin.permissions import Scope, caller_policy, role_policy, trust_policy
from covalent_braket_plugin.settings import BY_NAME
from scripts import update_terraform
from tests.support import terraform
from tests.support.braket_server import BraketServer

KEY = "arn:aws:kms:us-east-1:000000000000:key/0123abcd-0123-0123-0123-0123456789ab"
DECLARED = re.compile(r'^(?:variable|output) "(\w+)" \{$(.*?)^\}', re.M | re.S)


def declared(file: str) -> dict[str, str]:
    """What a file of the templates declares: names, with the text between the braces."""
    return dict(DECLARED.findall((TEMPLATES / file).read_text()))


def test_the_policies_are_those_of_the_table_of_permissions() -> None:
    assert update_terraform.FILE.read_text() == update_terraform.text(), (
        "run: python scripts/update_terraform.py"
    )


def test_the_options_of_covalent_deploy_are_the_variables_with_their_defaults() -> None:
    variables = declared("variables.tf")
    assert set(ExecutorInfraDefaults.model_fields) | {"name", "tags"} == set(variables)
    for name, field in ExecutorInfraDefaults.model_fields.items():
        found = re.search(r"^  default +=\s*(.+)$", variables[name], re.M)
        assert found is not None, name
        shown = "null" if field.default is None else str(field.default).lower()
        assert found[1].strip('"') == shown, name


def test_what_a_deployment_gives_the_configuration_are_outputs_and_settings() -> None:
    names = set(ExecutorPluginDefaults.model_fields)
    assert names <= set(declared("outputs.tf"))
    assert names <= set(BY_NAME)


@pytest.mark.slow
def test_the_templates_are_formatted_and_pass_their_own_tests(tmp_path: Path) -> None:
    environ = {**os.environ, **terraform.environment(tmp_path, terraform.require())}
    folder = shutil.copytree(TEMPLATES, tmp_path / "infra")
    terraform.run(folder, environ, "fmt", "-check", "-diff", "-recursive")
    terraform.run(folder, environ, "init", "-no-color")
    said = terraform.run(folder, environ, "test", "-no-color")
    assert re.search(r"Success! \d+ passed, 0 failed", said), said


@pytest.mark.slow
def test_terraform_grants_what_the_table_of_permissions_says(
    tmp_path: Path, local_braket: BraketServer
) -> None:
    made = terraform.planned(tmp_path, local_braket, kms_key_arn=KEY, s3_prefix="team/covalent")
    scope = Scope(
        partition="aws",
        region="us-east-1",
        account="000000000000",
        bucket=made["aws_s3_bucket.braket"]["bucket"],
        prefix="team/covalent",
        role_arn="arn:aws:iam::000000000000:role/service-role/" + made["aws_iam_role.job"]["name"],
        repository=made["aws_ecr_repository.images"]["name"],
        kms_key_arn=KEY,
    )
    granted = terraform.policies(made)
    for name, wanted in (
        ("caller", caller_policy(scope)),
        ("role", role_policy(scope)),
        ("trust", trust_policy()),
    ):
        assert set(terraform.statements(granted[name])) == set(terraform.statements(wanted)), name
