"""Large inputs and results: the dispatcher's memory does not grow with them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import covalent as ct
import numpy as np
import pytest

from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LARGE_BYTES = 100_000_000


@contextmanager
def growth(stage: Stage) -> Iterator[list[float]]:
    """Highest growth of the server's resident memory, in MB, as the list's only item."""
    process, done = stage.server_process(), threading.Event()
    base, highest = process.memory_info().rss, [0.0]

    def watch() -> None:
        while not done.wait(0.02):
            highest[0] = max(highest[0], (process.memory_info().rss - base) / 1e6)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield highest
    finally:
        done.set()
        thread.join()


def test_100_mb_in_and_out_leave_the_dispatcher_small(stage: Stage) -> None:
    executor = ct.executor.BraketExecutor(local=True)

    @ct.electron(executor=executor)
    def make() -> Any:
        return np.ones(LARGE_BYTES // 8)

    @ct.electron(executor=executor)
    def total(values: Any) -> float:
        return float(values.sum())

    @ct.lattice
    def flow() -> Any:
        return total(make())

    with growth(stage) as highest:
        result = stage.run(flow)
        assert result.result == LARGE_BYTES // 8, result.get_node_result(0)["error"]
    # The file is 133 MB in Covalent's coding: a copy in memory would show.
    assert highest[0] < 60
