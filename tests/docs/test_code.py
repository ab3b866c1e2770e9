"""The documentation's code runs, as a program of its own beside a real Covalent server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.docs.pages import Fence, fences

pytestmark = pytest.mark.e2e

WITH_A_KEY = "--parameter-overrides KmsKeyArn=arn:aws:kms:us-east-1:123456789012:key/1234abcd"


def run(command: list[str], environment: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def an_account(demo: DemoServer) -> dict[str, str]:
    """The variables of somebody with credentials; the local Braket stands for AWS."""
    endpoint = local_endpoint.find_or_start(demo.local_braket)
    return {
        "AWS_ENDPOINT_URL": endpoint["endpoint_url"],
        "AWS_DEFAULT_REGION": endpoint["region"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }


@pytest.mark.parametrize("fence", list(fences("python", "run")), ids=str)
def test_python_code_runs(fence: Fence, demo: DemoServer, tmp_path: Path) -> None:
    demo.find_or_start()
    environment = demo.environment(os.environ)
    if "local" in fence.words:
        environment |= an_account(demo)
    program = tmp_path / "program.py"
    program.write_text(fence.text)
    run([sys.executable, str(program)], environment, tmp_path)


@pytest.mark.parametrize("fence", list(fences("sh", "run")), ids=str)
def test_shell_code_runs(
    fence: Fence,
    demo: DemoServer,
    commands: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    environment = demo.environment(os.environ)
    folders = [commands]
    if "aws" in fence.words:
        folders.append(request.getfixturevalue("aws_cli"))
    environment["PATH"] = os.pathsep.join([*map(str, folders), environment["PATH"]])
    if "local" in fence.words:
        environment |= an_account(demo)
    # moto takes a statement that is left out for an empty one: with a key none is left out.
    text = fence.text
    if "--parameter-overrides" not in text:
        text = text.replace("cloudformation deploy", f"cloudformation deploy {WITH_A_KEY}")
    run(["sh", "-e", "-c", text], environment, tmp_path)
