"""A real Covalent server and a real local Braket, for all end-to-end tests together."""

from __future__ import annotations

from collections.abc import Iterator

import cloudpickle
import pytest

from tests.support.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start both; end both afterwards."""
    with Stage.started(tmp_path_factory.mktemp("stage")) as started:
        yield started


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    """The jobs cannot import the tests."""
    cloudpickle.register_pickle_by_value(request.module)
