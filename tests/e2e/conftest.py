"""A real Covalent server and a real local Braket, for all end-to-end tests together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.support.braket_server import BraketServer
from tests.support.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start both; end both afterwards."""
    server = DemoServer(Path(tmp_path_factory.mktemp("stage")))
    braket = BraketServer.started(
        server.local_braket, local_endpoint.worker_command(), local_endpoint.worker_image()
    )
    try:
        yield Stage(server, server.find_or_start(), braket)
    finally:
        server.stop()
        braket.stop()


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    """The jobs cannot import the tests."""
    cloudpickle.register_pickle_by_value(request.module)
