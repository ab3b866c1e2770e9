"""Which of an electron's arguments are shown as hyperparameters of its job."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from covalent_braket_plugin import direct
from covalent_braket_plugin.arguments import with_arguments
from covalent_braket_plugin.settings.rules import OUR_HYPERPARAMETERS

PROOF: list[str] = []


class Trap:
    """Does something when it is unpickled."""

    def __reduce__(self) -> Any:
        return PROOF.append, ("unpickled",)


def f(*values: Any, **named: Any) -> None: ...


def shown(place: Path, function: Any, *args: Any, given: Any = None, **kwargs: Any) -> Any:
    group = direct.stage(function, args, kwargs, {"dispatch_id": "d", "node_id": 0}, place / "x")
    return with_arguments(given or {}, group)


@pytest.mark.parametrize(
    "value",
    [0, -1, 255, 300, 2**40, 2**70, 0.1, True, False, None, "", "h2", "7", "ü\n", "x" * 500],
    ids=lambda value: repr(value)[:20],
)
def test_a_simple_argument_is_shown_as_what_it_is(tmp_path: Path, value: Any) -> None:
    found = shown(tmp_path, f, named=value)
    assert found == {"named": value}
    assert type(found["named"]) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        *(b"x", 1j, (), (1,), [1], {"a": 1}, {1}, np.float64(0.5), np.ones(2), f, Trap()),
        *("x" * 501, type("Text", (str,), {})("x"), 10**600),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_left_out_and_nothing_is_unpickled(tmp_path: Path, value: Any) -> None:
    PROOF.clear()
    assert shown(tmp_path, f, value=value, kept=1) == {"kept": 1}
    assert PROOF == []


def test_arguments_have_the_names_of_their_parameters(tmp_path: Path) -> None:
    def energy(distance: float, basis: str, *more: int, depth: int = 1) -> None: ...

    found = shown(tmp_path, energy, 0.74, "sto-3g", 5, depth=2)
    assert found == {"distance": 0.74, "basis": "sto-3g", "arg[2]": 5, "depth": 2}


def test_the_users_own_hyperparameters_win(tmp_path: Path) -> None:
    assert shown(tmp_path, f, depth=2, width=3, given={"depth": "mine"}) == {
        "depth": "mine",
        "width": 3,
    }


@pytest.mark.parametrize(
    "secret",
    [
        {"url": "postgres://me:hunter2@host/x"},
        {"password": "x"},
        {"api_key": 3},
        {"value": "AKIAIOSFODNN7EXAMPLE"},
        {"value": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    ],
    ids=lambda secret: str(next(iter(secret))),
)
def test_what_may_be_a_secret_is_left_out_with_a_warning(
    tmp_path: Path, secret: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert shown(tmp_path, f, depth=2, **secret) == {"depth": 2}
    assert "may be a secret" in caplog.text
    assert not any(str(value) in caplog.text for value in secret.values() if value != "x")


def test_what_braket_does_not_take_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert shown(tmp_path, f, covalent_x=1, **{"n" * 257: 1}, depth=2) == {"depth": 2}
        most = {f"h{n}": n for n in range(100 - OUR_HYPERPARAMETERS - 1)}
        found = shown(tmp_path, f, given=most, a=1, b=2)
    assert found == {**most, "a": 1}
    assert "f: its argument b is not shown as a hyperparameter: Braket takes no more" in caplog.text


def test_names_that_are_not_known_cost_no_electron(tmp_path: Path) -> None:
    from dataclasses import replace

    def broken(node: int) -> Any:
        raise RuntimeError("no database")

    metadata = {"dispatch_id": "d", "node_id": 0}
    group = direct.stage(f, [1], {"depth": 2}, metadata, tmp_path / "x")
    assert with_arguments({}, replace(group, names=broken)) == {"depth": 2}


@pytest.mark.parametrize("data", [b"", b"\x80\x05", b"garbage", cloudpickle.dumps(3)[:-1]])
def test_a_damaged_argument_costs_no_electron(tmp_path: Path, data: bytes) -> None:
    import base64

    group = direct.stage(f, [], {"depth": 2}, {"dispatch_id": "d", "node_id": 0}, tmp_path / "x")
    (file,) = group.inputs.values()
    whole = file.read_bytes()
    start = int.from_bytes(whole[8:16], "big")
    file.write_bytes(whole[:start] + base64.b64encode(data))
    assert with_arguments({}, group) == {}
