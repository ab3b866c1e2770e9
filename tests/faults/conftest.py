"""A real Covalent server whose executors reach local Brakets over lines that can break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import cloudpickle
import pytest

from tests.faults.table import Case, run
from tests.support.bad_line import BadLine, Ended
from tests.support.stage import Stage

LINES = 4
"""Faults strike a whole local Braket, so cases that run at the same time have one each."""

Outcome = Callable[[Case], Ended]


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleQueue[BadLine]]:
    """Start one Covalent server and some lines; those that nobody uses are in the queue."""
    folder = tmp_path_factory.mktemp("faults")
    free: SimpleQueue[BadLine] = SimpleQueue()
    with ExitStack() as stack:
        stage = stack.enter_context(Stage.started(folder, grace_seconds=1.0))
        free.put(stack.enter_context(BadLine.to(stage, folder)))
        for number in range(1, LINES):
            free.put(stack.enter_context(BadLine.beside(stage, folder / str(number))))
        yield free


@pytest.fixture
def line(lines: SimpleQueue[BadLine]) -> Iterator[BadLine]:
    """A line for one test; whole again afterwards."""
    mine = lines.get()
    yield mine
    mine.mend()
    lines.put(mine)


@pytest.fixture(scope="session")
def outcome_of(
    lines: SimpleQueue[BadLine],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outcome]:
    """Run all cases that are to be tested, as many at a time as there are lines."""

    def strike(case: Case) -> Ended:
        line = lines.get()
        try:
            return run(line, case, tmp_path_factory.mktemp("case"))
        finally:
            line.mend()
            lines.put(line)

    with ThreadPoolExecutor(LINES) as pool:
        started: dict[str, Future[Ended]] = {}
        for item in request.session.items:
            params = getattr(getattr(item, "callspec", None), "params", {})
            if isinstance(case := params.get("case"), Case):
                started[str(case)] = pool.submit(strike, case)
        yield lambda case: started[str(case)].result()
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where electrons leave marks and look for them."""
    return tmp_path


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    """The jobs cannot import the tests."""
    cloudpickle.register_pickle_by_value(request.module)
