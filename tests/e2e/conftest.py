"""A real Covalent server and a real local Braket, for all end-to-end tests together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.support.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start both; end both afterwards."""
    from covalent_braket_plugin.local import daemon

    server = DemoServer(Path(tmp_path_factory.mktemp("stage")))
    try:
        braket = local_endpoint.find_or_start(server.local_braket)
        yield Stage(server, server.find_or_start(), braket)
    finally:
        server.stop()
        daemon.stop(server.local_braket)


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    """The jobs cannot import the tests."""
    cloudpickle.register_pickle_by_value(request.module)
