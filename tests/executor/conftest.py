"""Fixtures for the executor by itself."""

from __future__ import annotations

from collections.abc import Iterator

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
