"""Terraform for tests: the program, its AWS provider without a network, and what it would make."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin.deploy.terraform import program_environment
from covalent_braket_plugin.deploy.workspace import TEMPLATES
from tests.support.braket_server import BraketServer

SWITCH = "COVALENT_BRAKET_TEST_TERRAFORM"
"""Set to ``require``, tests fail instead of being skipped where Terraform is missing."""
REQUIRED = os.environ.get(SWITCH) == "require"

PROVIDER = "terraform-provider-aws_v*"
PLACES = ("/opt", "/usr/share/terraform", "/usr/local/share", "/usr/local/lib")


def require() -> Path:
    """Where Terraform's providers are.

    Without Terraform or a provider on this machine the test is skipped, or fails with the switch.
    """
    mirror = _mirror()
    if shutil.which("terraform") and mirror:
        return mirror
    missing = "an unpacked hashicorp/aws provider" if shutil.which("terraform") else "terraform"
    reason = f"{missing} is not on this machine; {SWITCH}=require makes this an error"
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def _mirror() -> Path | None:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)  # $HOME is the test's own
    for place in (*map(Path, PLACES), home / ".terraform.d"):
        for provider in place.rglob(f"registry.terraform.io/hashicorp/aws/*/*/{PROVIDER}"):
            return provider.parents[5]
    return None


def environment(folder: Path, mirror: Path) -> dict[str, str]:
    """Variables with which Terraform finds its provider on this machine, and nothing else."""
    config = folder / "terraform.rc"
    config.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    return {"TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1"}


def run(folder: Path, environ: Mapping[str, str], *arguments: str) -> str:
    """Run Terraform in a folder; returns what it prints."""
    ended = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=dict(environ), capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def planned(folder: Path, server: BraketServer, **variables: Any) -> dict[str, dict[str, Any]]:
    """What the templates would make, worked out by Terraform itself.

    Args:
        folder: An empty folder to work in.
        server: Answers as AWS.
        variables: Variables of the templates.

    Returns:
        The values of each resource by its address; IAM policies among them as JSON texts.
    """
    environ = program_environment(
        {**os.environ, **environment(folder, require())}, server.environment()
    )
    shutil.copytree(TEMPLATES, folder, dirs_exist_ok=True)
    (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
    run(folder, environ, "init")
    run(folder, environ, "plan", "-out=plan")
    plan = json.loads(run(folder, environ, "show", "-json", "plan"))
    found = plan["planned_values"]["root_module"]["resources"]
    return {resource["address"]: resource["values"] for resource in found}


def policies(resources: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The policy documents of what `planned` returned: ``caller``, ``role`` and ``trust``."""
    return {
        "caller": json.loads(resources["aws_iam_policy.caller"]["policy"]),
        "role": json.loads(resources["aws_iam_role_policy.job"]["policy"]),
        "trust": json.loads(resources["aws_iam_role.job"]["assume_role_policy"]),
    }


def statements(document: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The statements of a policy in one form, whichever way IAM lets them be written."""
    for statement in document["Statement"]:
        conditions = {
            (test, key): _listed(value)
            for test, keys in statement.get("Condition", {}).items()
            for key, value in keys.items()
        }
        yield (
            statement.get("Sid", ""),
            statement["Effect"],
            _listed(statement["Action"]),
            _listed(statement.get("Resource", [])),
            json.dumps(statement.get("Principal")),
            tuple(sorted(conditions.items())),
        )


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(sorted(value))
