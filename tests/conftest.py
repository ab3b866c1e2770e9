"""Fixtures for all tests: a clean environment and a real local Braket."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.local.server.call_record import DIRECTORY_VARIABLE
from tests.support import calls_and_permissions
from tests.support.braket_server import BraketServer

# What a developer's shell says about AWS or Covalent must not reach a test.
FOREIGN_PREFIXES = ("AWS_", "AMZN_BRAKET_", "BRAKET_", "SM_", "COVALENT_", "XDG_")

# What switches tests on.
OWN_PREFIX = "COVALENT_BRAKET_TEST_"

for _name in [
    name
    for name in os.environ
    if name.startswith(FOREIGN_PREFIXES) and not name.startswith(OWN_PREFIX)
]:
    del os.environ[_name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
# Covalent keeps its configuration below HOME and reads it when it is imported.
_home = tempfile.TemporaryDirectory(prefix="covalent-braket-tests-")
os.environ["HOME"] = _home.name
os.environ["COVALENT_DISABLE_DASK"] = "1"
# No proxy may stand between a test and a server on this machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# Nor is AWS asked for prices: what nobody answers at leaves the package's own table.
os.environ["BRAKET_PRICE_OFFERS_URL"] = "http://127.0.0.1:9/index.csv"
# Every local Braket of this run, whoever starts it, notes here which operations were called.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _calls = tempfile.TemporaryDirectory(prefix="covalent-braket-calls-")
    os.environ[DIRECTORY_VARIABLE] = _calls.name


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a whole run if its calls and the permissions that we ask for do not fit."""
    config = session.config
    if exitstatus == pytest.ExitCode.OK and calls_and_permissions.is_whole_run(config):
        calls = calls_and_permissions.read(Path(os.environ[DIRECTORY_VARIABLE]))
        config.stash[_DIFFERENCES] = calls_and_permissions.differences(calls)
        if config.stash[_DIFFERENCES]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


_DIFFERENCES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what does not fit."""
    found = config.stash.get(_DIFFERENCES, None)
    if found is not None:
        terminalreporter.section("calls and permissions")
        terminalreporter.write_line("\n".join(found) or "Every call is allowed, and needed.")


@pytest.fixture(scope="session")
def calls_directory() -> Path:
    """Where the local Brakets of this run note which operations were called."""
    return Path(os.environ[DIRECTORY_VARIABLE])


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
