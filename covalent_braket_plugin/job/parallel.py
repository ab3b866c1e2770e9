"""Many circuits at once, as many as the account may have."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from covalent_braket_plugin.errors import CostLimitError, ParallelCostError, ParallelError
from covalent_braket_plugin.job.context import context
from covalent_braket_plugin.job.device import LOCAL, current_device
from covalent_braket_plugin.job.quantum_task import Run, as_program, ready
from covalent_braket_plugin.job.retry import pause, refused, transient

__all__ = ["run_parallel"]

ATTEMPTS = 8
"""How often a quantum task is asked for while no other of ours is under way; with the pauses in
between about four minutes."""

BASE_SECONDS = 2.0
REDUCTION = 0.7
"""Of how many run at once, after a refusal."""


def run_parallel(
    circuits: Iterable[Any],
    *,
    device: Any = None,
    shots: int | None = None,
    max_workers: int = 10,
    base_seconds: float = BASE_SECONDS,
    **run_options: Any,
) -> list[Any]:
    """Run circuits at the same time, and wait for all of them.

    When Braket says that there are too many quantum tasks, or too many calls, fewer are run at once
    and it goes on: no circuit is lost, and none is run twice. The quota for tasks at once is 100 on
    SV1 and DM1 (50 in us-west-1 and eu-west-2), and all jobs of the account share it. A limit of
    `max_cost` holds for all of them together.

    A local simulator works in this process, with all of its cores, and is not made for several
    threads: on one, circuits are run one after the other. So are functions if the job's device is
    local, or outside a job, unless `device` says that they use another.

    Args:
        circuits: What to run: circuits and other programs of the Braket SDK, OpenQASM as text, or
            functions without arguments, such as ``functools.partial(qnode, 0.1)``. A function
            should make one quantum task: it is called again if AWS refuses one as too many.
        device: A device of the Braket SDK; `current_device` if not given.
        shots: How often each is run. None: the device's default, which is exact results on a
            simulator, and 1000 on a QPU.
        max_workers: How many at once, at most, on a device of AWS.
        base_seconds: The pause after a first refusal; it doubles, up to 60 s.
        **run_options: More for the device's ``run``, such as ``inputs={"theta": 0.1}``.

    Returns:
        The results, in the order of the circuits.

    Raises:
        ParallelError: Some failed. It has the `results` of all others and the `errors`, and is a
            `CostLimitError` too if `max_cost` stopped one.
        ImportError: The image does not hold the Braket SDK.
        ValueError: `max_workers` is less than 1.
        TypeError: It is one circuit and no list, or the device is none of the SDK.
    """
    if max_workers < 1:
        raise ValueError(f"max_workers={max_workers!r} is not valid: use 1 or more")
    if isinstance(circuits, (str, bytes)) or not hasattr(circuits, "__iter__"):
        # Each character of a text would be sent as a program.
        raise TypeError(f"circuits is of type {type(circuits).__name__}: give a list, such as [it]")
    if device is not None and not hasattr(device, "run"):
        raise TypeError(f"device={device!r} is no device of the Braket SDK, such as AwsDevice(ARN)")
    todo = [each if _is_function(each) else as_program(each) for each in circuits]
    if not all(map(_is_function, todo)):
        device = ready(current_device() if device is None else device)
    calls = [
        _Call(each, _refused_task)
        if _is_function(each)
        else _Call(Run(device, each, shots, run_options).result, transient)
        for each in todo
    ]
    at_once = max_workers if _elsewhere(device) else 1
    slots = _Slots(at_once, base_seconds)
    with ThreadPoolExecutor(at_once, thread_name_prefix="run_parallel") as pool:
        futures = [pool.submit(_patiently, call, slots, base_seconds) for call in calls]
        errors = _errors(futures)
    results = [None if n in errors else each.result() for n, each in enumerate(futures)]
    if errors:
        raise _error(results, errors) from next(iter(errors.values()))
    return results


@dataclass(frozen=True)
class _Call:
    """Something to run.

    Attributes:
        run: Runs it and returns its result.
        again: Whether it may be run again after an error.
    """

    run: Callable[[], Any]
    again: Callable[[BaseException], bool]


def _is_function(given: Any) -> bool:
    # A circuit of the SDK can be called, too: with values for its parameters.
    return callable(given) and not type(given).__module__.startswith("braket.")


def _elsewhere(device: Any) -> bool:
    """Whether circuits run on AWS, and not here."""
    if device is None:
        return not context().device_arn.startswith(LOCAL)
    return hasattr(device, "aws_session")


def _refused_task(error: BaseException) -> bool:
    return refused(error) and getattr(error, "operation_name", "") == "CreateQuantumTask"


class _Slots:
    """How many run at once: fewer after refusals, slowly more afterwards.

    Args:
        most: At most so many.
        settle_seconds: Refusals within this time of the last reduction are of the same cause, and
            make no further one.
    """

    def __init__(self, most: int, settle_seconds: float) -> None:
        self._most = self._now = float(most)
        self._settle = settle_seconds
        self._reduced = -math.inf
        self._busy = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._busy < int(self._now))
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def fewer(self) -> bool:
        """Note a refusal; whether no other one is under way."""
        with self._changed:
            now = time.monotonic()
            if now - self._reduced >= self._settle:
                self._now = max(1.0, min(self._now, self._busy) * REDUCTION)
                self._reduced = now
            return self._busy == 1

    def more(self) -> None:
        """Note a success: after as many as there are slots, there is one more."""
        with self._changed:
            self._now = min(self._most, self._now + 1 / self._now)
            self._changed.notify_all()


def _patiently(call: _Call, slots: _Slots, base_seconds: float) -> Any:
    failures = alone = 0
    while True:
        with slots.one():
            try:
                result = call.run()
            except Exception as error:
                if not call.again(error):
                    raise
                failures += 1
                alone += slots.fewer()
                if alone >= ATTEMPTS:
                    raise
            else:
                slots.more()
                return result
        time.sleep(pause(failures, base_seconds))


def _errors(futures: Sequence[Future[Any]]) -> dict[int, Exception]:
    """Wait for all, and tell which failed; after an interrupt no more are begun."""
    errors: dict[int, Exception] = {}
    try:
        for number, each in enumerate(futures):
            error = each.exception()
            if isinstance(error, Exception):
                errors[number] = error
    except BaseException:
        for each in futures:
            each.cancel()
        raise
    return errors


def _error(results: list[Any], errors: dict[int, Exception]) -> ParallelError:
    kept = context().task_results
    costly = any(isinstance(error, CostLimitError) for error in errors.values())
    return (ParallelCostError if costly else ParallelError)(results, errors, kept)
