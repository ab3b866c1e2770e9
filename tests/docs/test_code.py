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


def run(command: list[str], environment: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fence", list(fences("python", "run")), ids=str)
def test_python_code_runs(fence: Fence, demo: DemoServer, tmp_path: Path) -> None:
    demo.find_or_start()
    environment = demo.environment(os.environ)
    if "local" in fence.words:
        endpoint = local_endpoint.find_or_start(demo.local_braket)
        environment |= {
            "AWS_ENDPOINT_URL": endpoint["endpoint_url"],
            "AWS_DEFAULT_REGION": endpoint["region"],
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
    program = tmp_path / "program.py"
    program.write_text(fence.text)
    run([sys.executable, str(program)], environment, tmp_path)


@pytest.mark.parametrize("fence", list(fences("sh", "run")), ids=str)
def test_shell_code_runs(fence: Fence, demo: DemoServer, commands: Path, tmp_path: Path) -> None:
    environment = demo.environment(os.environ)
    environment["PATH"] = f"{commands}{os.pathsep}{environment['PATH']}"
    run(["sh", "-e", "-c", fence.text], environment, tmp_path)
