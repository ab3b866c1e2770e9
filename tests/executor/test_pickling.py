"""What Covalent cannot pickle is named where the user dispatches."""

from __future__ import annotations

import threading
from typing import Any

import covalent as ct
import pytest


@ct.electron(executor="braket")
def take(value: Any) -> Any:
    return value


@ct.lattice
def flow(value: Any) -> Any:
    return take(value)


def test_argument_that_cannot_be_pickled_is_named_before_dispatch() -> None:
    with pytest.raises(TypeError, match=r"cannot pickle[\s\S]*\['args'\]\[0\], a _thread\.lock"):
        flow.build_graph(threading.Lock())


def test_function_that_cannot_be_pickled_is_named_before_dispatch() -> None:
    lock = threading.Lock()

    @ct.electron(executor="braket")
    def uses_a_lock() -> None:
        lock.acquire()

    def locked() -> Any:
        return uses_a_lock()

    # Covalent pickles a workflow's function as soon as it is decorated.
    with pytest.raises(TypeError, match=r"locked[\s\S]*the enclosed variable lock"):
        ct.lattice(locked)
