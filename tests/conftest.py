"""Fixtures for all tests: a clean environment and a real local Braket."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from covalent_braket_plugin import local_endpoint
from tests.support.braket_server import BraketServer

# What a developer's shell says about AWS or Covalent must not reach a test.
FOREIGN_PREFIXES = ("AWS_", "AMZN_BRAKET_", "BRAKET_", "SM_", "COVALENT_", "XDG_")

for _name in [name for name in os.environ if name.startswith(FOREIGN_PREFIXES)]:
    del os.environ[_name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
# Covalent keeps its configuration below HOME and reads it when it is imported.
_home = tempfile.TemporaryDirectory(prefix="covalent-braket-tests-")
os.environ["HOME"] = _home.name
os.environ["COVALENT_DISABLE_DASK"] = "1"
# No proxy may stand between a test and a server on this machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def local_braket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BraketServer]:
    """A real local Braket: own process, free port, temporary state directory, our worker."""
    server = BraketServer.started(
        tmp_path_factory.mktemp("local-braket"),
        local_endpoint.worker_command(),
        local_endpoint.worker_image(),
        slots=4,
        grace_seconds=2.0,
    )
    yield server
    server.stop()


@pytest.fixture(scope="module")
def new_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BraketServer]:
    """A local Braket with the quotas that a new AWS account has."""
    server = BraketServer.started(
        tmp_path_factory.mktemp("new-account"),
        local_endpoint.worker_command(),
        local_endpoint.worker_image(),
        quotas="default",
    )
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take injected faults away after each test that could have left some."""
    yield
    if "local_braket" in request.fixturenames:
        server: BraketServer = request.getfixturevalue("local_braket")
        server.faults()
