"""The workflows that are measured."""

from __future__ import annotations

import sys
from typing import Any

TICK = "tick"
"""How the lines of `talkers` begin; the number of the electron and the time follow."""


def executor_of(name: str) -> Any:
    """Covalent's own ``local`` executor, or ours on the local Braket."""
    import covalent as ct

    return ct.executor.BraketExecutor(local=True) if name == "braket" else name


def fan_out(executor: str) -> Any:
    """A lattice of independent electrons that sleep and return their numbers.

    Its arguments: how many, and for how many seconds each sleeps.
    """
    import covalent as ct

    _by_value()

    @ct.electron(executor=executor_of(executor))  # type: ignore[untyped-decorator]
    def sleeper(number: int, seconds: float) -> int:
        import time

        time.sleep(seconds)
        return number

    @ct.lattice  # type: ignore[untyped-decorator]
    def flow(count: int, seconds: float) -> None:
        for number in range(count):
            sleeper(number, seconds)

    return flow


def talkers() -> Any:
    """A lattice of independent electrons that print the time each second, for a while.

    Its arguments: how many electrons, how many lines each prints, how many seconds each lasts.
    """
    import covalent as ct

    _by_value()

    @ct.electron(executor=executor_of("braket"))  # type: ignore[untyped-decorator]
    def talker(number: int, lines: int, seconds: int) -> None:
        import time

        for second in range(seconds):
            if second < lines:
                print(f"{TICK} {number} {time.time()}", flush=True)
            time.sleep(1)

    @ct.lattice  # type: ignore[untyped-decorator]
    def flow(count: int, lines: int, seconds: int) -> None:
        for number in range(count):
            talker(number, lines, seconds)

    return flow


def big_results() -> Any:
    """A lattice of independent electrons that return many bytes.

    Its arguments: how many, and how many bytes each.
    """
    import covalent as ct

    _by_value()

    @ct.electron(executor=executor_of("braket"))  # type: ignore[untyped-decorator]
    def big(size: int) -> bytes:
        import os

        return os.urandom(size)

    @ct.lattice  # type: ignore[untyped-decorator]
    def flow(count: int, size: int) -> None:
        for _ in range(count):
            big(size)

    return flow


def reads_input(path: str) -> Any:
    """A lattice of independent electrons that get the same input data; its argument: how many.

    Args:
        path: The data.
    """
    import covalent as ct

    _by_value()

    executor = ct.executor.BraketExecutor(local=True, input_data={"data": path})

    @ct.electron(executor=executor)  # type: ignore[untyped-decorator]
    def reader(number: int) -> int:
        from covalent_braket_plugin import job

        return sum(each.stat().st_size for each in job.input_dir("data").iterdir())

    @ct.lattice  # type: ignore[untyped-decorator]
    def flow(count: int) -> None:
        for number in range(count):
            reader(number)

    return flow


def writes_results() -> Any:
    """A lattice of one electron that leaves a result file; its argument: how many bytes."""
    import covalent as ct

    _by_value()

    @ct.electron(executor=executor_of("braket"))  # type: ignore[untyped-decorator]
    def writer(size: int) -> None:
        import os

        from covalent_braket_plugin import job

        if size:
            (job.results_dir() / "data.bin").write_bytes(os.urandom(size))

    @ct.lattice  # type: ignore[untyped-decorator]
    def flow(size: int) -> None:
        writer(size)

    return flow


def saves_checkpoints() -> Any:
    """A lattice of one electron that saves checkpoints; its arguments: how many, how large."""
    import covalent as ct

    _by_value()

    @ct.electron(executor=executor_of("braket"))  # type: ignore[untyped-decorator]
    def saver(count: int, size: int) -> None:
        import os

        from covalent_braket_plugin import job

        data = os.urandom(size)
        for step in range(count):
            job.checkpoint.save({"step": step, "data": data})

    @ct.lattice  # type: ignore[untyped-decorator]
    def flow(count: int, size: int) -> None:
        saver(count, size)

    return flow


def _by_value() -> None:
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
