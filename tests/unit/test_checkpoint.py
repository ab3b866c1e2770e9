"""Checkpoints as files: what they hold, that they are whole, and that nothing runs on loading."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covalent_braket_plugin.job import archive, checkpoint
from covalent_braket_plugin.job.checkpoint import INPUTS_VARIABLE


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint directory of a job."""
    monkeypatch.setenv("AMZN_BRAKET_CHECKPOINT_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


PLAIN: list[Any] = [
    None,
    True,
    -(10**3000),
    0.1,
    -0.0,
    math.inf,
    1e-310,
    2.5 - 1j,
    "lone \ud800 half",
    b"\0\xff",
    [1, [2.0, ()]],
    (1, ("a", None)),
    {"a": {1: True, (2, "b"): [None]}, None: 3},
    {"dict": [["a", 1]], "float": "nan"},
]


@pytest.mark.parametrize("data", PLAIN, ids=str)
def test_plain_values_come_back_as_they_were(data: Any) -> None:
    checkpoint.save(data)
    found = checkpoint.load()
    assert found == data
    assert type(found) is type(data)
    assert repr(found) == repr(data)


def test_what_is_not_a_number_comes_back_as_that() -> None:
    checkpoint.save([math.nan, complex(math.nan, math.inf)])
    found = checkpoint.load()
    assert math.isnan(found[0])
    assert math.isnan(found[1].real)
    assert found[1].imag == math.inf


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(10)[::-3],
    np.zeros((0, 3)),
    np.array(5),
    np.array(["ab", "c"]),
    np.array([1 + 2j], dtype=">c16"),
    np.array([(1, 2.0)], dtype=[("n", "i4"), ("x", "f8")]),
    np.float32(1.5),
    np.datetime64("2026-01-01"),
    np.bool_(True),
]


@pytest.mark.parametrize("array", ARRAYS, ids=repr)
def test_arrays_and_scalars_of_numpy_come_back_as_they_were(array: Any) -> None:
    checkpoint.save({"x": [array]})
    (found,) = checkpoint.load()["x"]
    assert type(found) is type(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)


def test_tensor_of_pennylane_keeps_whether_it_is_trained() -> None:
    qnp = pytest.importorskip("pennylane").numpy
    checkpoint.save([qnp.array([1.0, 2.0], requires_grad=trained) for trained in (True, False)])
    found = checkpoint.load()
    assert [each.requires_grad for each in found] == [True, False]
    assert all(isinstance(each, qnp.tensor) for each in found)


def test_generator_of_random_numbers_goes_on_where_it_was() -> None:
    generator = np.random.default_rng(7)
    generator.random(3)
    checkpoint.save(generator.bit_generator.state)
    expected = generator.random(5)
    other = np.random.default_rng()
    other.bit_generator.state = checkpoint.load()
    assert np.array_equal(other.random(5), expected)


class Own:
    """Something that a checkpoint does not hold."""


ODD = [
    (lambda: {"steps": [1, {2}]}, r"data\['steps'\]\[1\] is of type builtins.set"),
    (lambda: {"x": Own()}, r"data\['x'\] is of type .*\.Own"),
    (lambda: [np.array([Own()])], r"data\[0\] is of type numpy.ndarray"),
    (lambda: np.ma.array([1]), r"data is of type numpy.ma.*MaskedArray"),
    (lambda: os.stat("."), r"data is of type os.stat_result"),
]


@pytest.mark.parametrize(("make", "text"), ODD)
def test_what_does_not_fit_is_named_and_nothing_is_saved(
    make: Callable[[], Any], text: str, directory: Path
) -> None:
    checkpoint.save("before")
    with pytest.raises(TypeError, match=text) as raised:
        checkpoint.save(make())
    assert "allow_pickle=True" in str(raised.value)
    assert checkpoint.load() == "before"
    assert [path.name for path in directory.iterdir()] == ["checkpoint.ckpt"]


def test_pickles_are_written_and_read_only_if_both_sides_allow_it() -> None:
    checkpoint.save({"seen": {1, 2}, "x": np.zeros(2)}, allow_pickle=True)
    with pytest.raises(ValueError, match="holds pickles: load it with allow_pickle=True"):
        checkpoint.load()
    assert checkpoint.load(allow_pickle=True)["seen"] == {1, 2}


def test_pickles_are_not_read_either_if_the_file_says_that_it_holds_none(directory: Path) -> None:
    class Ran:
        def __reduce__(self) -> Any:
            return Path.touch, (directory / "ran",)

    checkpoint.save({"x": Ran()}, allow_pickle=True)
    file = directory / "checkpoint.ckpt"
    lie(file)
    with pytest.raises(archive.DamagedError, match="says that it holds none"):
        checkpoint.load()
    assert not (directory / "ran").exists()


def lie(file: Path) -> None:
    """Write a checkpoint's file anew, whole, as one that holds no pickles."""
    with zipfile.ZipFile(file) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts["data.json"] = parts["data.json"].replace(b'"pickled": true', b'"pickled": false')
    with zipfile.ZipFile(file, "w") as new:
        for name, body in parts.items():
            new.writestr(name, body)
        new.comment = archive.ZEROS
    data = file.read_bytes()
    file.write_bytes(data[: -len(archive.ZEROS)] + hashlib.sha256(data).hexdigest().encode())


def test_data_that_holds_itself_is_refused() -> None:
    data: list[Any] = []
    data.append(data)
    with pytest.raises(ValueError, match="holds itself"):
        checkpoint.save(data)


def test_names_are_apart_and_listed(directory: Path) -> None:
    assert checkpoint.names() == []
    assert checkpoint.load("none", default=7) == 7
    checkpoint.save(1, "b.2")
    checkpoint.save(2, "a")
    checkpoint.save(3, "a")
    (directory / "of the user.txt").touch()
    assert checkpoint.names() == ["a", "b.2"]
    assert (checkpoint.load("a"), checkpoint.load("b.2")) == (3, 1)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "x" * 129, "ü"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name for a checkpoint"):
        checkpoint.save(1, name)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def flip(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_damaged_checkpoint_gives_way_to_the_one_before(
    damage: Callable[[Path], None], directory: Path
) -> None:
    checkpoint.save([1])
    checkpoint.save([2])
    damage(directory / "checkpoint.ckpt")
    with pytest.warns(UserWarning, match=r"checkpoint\.ckpt is damaged"):
        assert checkpoint.load() == [1]
    # A process that goes on must not put the damaged one in the place of the whole one.
    code = "from covalent_braket_plugin.job import checkpoint; checkpoint.save([3])"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert checkpoint.load() == [3]
    cut(directory / "checkpoint.ckpt")
    with pytest.warns(UserWarning, match="the checkpoint before it is taken"):
        assert checkpoint.load() == [1]


def test_the_newer_of_both_files_counts_whatever_their_names(directory: Path) -> None:
    checkpoint.save(1)
    checkpoint.save(2)
    newest, before = directory / "checkpoint.ckpt", directory / "checkpoint.ckpt.before"
    newest.rename(directory / "x")
    before.rename(newest)
    (directory / "x").rename(before)
    assert checkpoint.load() == 2


def test_checkpoint_of_other_inputs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INPUTS_VARIABLE, "one")
    checkpoint.save(1)
    assert checkpoint.load() == 1
    monkeypatch.setenv(INPUTS_VARIABLE, "other")
    with pytest.warns(UserWarning, match="with other arguments"):
        assert checkpoint.load(default=0) == 0
    monkeypatch.setenv(INPUTS_VARIABLE, "")  # the executor names it: `checkpoint_key`
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.load() == 1


def test_large_array_is_not_copied_in_memory(directory: Path) -> None:
    code = """
import resource, numpy as np
from covalent_braket_plugin.job import checkpoint
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
array = np.arange(8_000_000.0).reshape(2, -1).T
before = peak()
checkpoint.save({"x": array})
saved = peak()
found = checkpoint.load()["x"]
assert np.array_equal(found, array)
print(saved - before, peak() - saved)
"""
    told = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    saving, loading = map(float, told)  # MB; the array has 64
    assert saving < 48
    assert loading < 64 + 32
