"""A Covalent server and a local Braket of the documentation's own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_server import DemoServer


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    """Where a demo lives; whatever runs there is stopped at the end."""
    server = DemoServer(tmp_path_factory.mktemp("demo"))
    yield server
    command = [sys.executable, "-m", "covalent_braket_plugin.local", "stop"]
    subprocess.run(
        [*command, "--state-dir", str(server.local_braket)],
        env=server.environment(os.environ),
        check=True,
        timeout=60,
    )
    server.stop()


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package's command, wherever the package is installed."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "covalent-braket"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m covalent_braket_plugin.cli "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def aws_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with AWS's own command line: in a place of its own, as it wants another botocore."""
    folder = tmp_path_factory.mktemp("aws-cli")
    venv.create(folder, with_pip=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "awscli"]
    done = subprocess.run(install, capture_output=True, text=True, timeout=150)
    if done.returncode:
        pytest.skip(f"AWS's command line cannot be installed: {done.stderr.strip()[-500:]}")
    only_it = folder / "only"
    only_it.mkdir()
    (only_it / "aws").symlink_to(folder / "bin" / "aws")
    return only_it
