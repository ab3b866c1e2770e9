"""Fixtures for the executor by itself."""

from __future__ import annotations

from collections.abc import Iterator

import cloudpickle
import pytest
from blockbuster import BlockBuster


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """Fail on any blocking call that our code makes on the event loop."""
    detector = BlockBuster(scanned_modules=["covalent_braket_plugin"])
    detector.activate()
    try:
        yield
    finally:
        detector.deactivate()


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    """The jobs cannot import the tests."""
    cloudpickle.register_pickle_by_value(request.module)
