"""Results and artefacts by name, and which of them are tables."""

from __future__ import annotations

import base64
import io
import json
import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covalent_braket_plugin.errors import MissingPackageError, SerializationError
from covalent_braket_plugin.history import Item, counts_frame
from covalent_braket_plugin.history.items import item_of_file, items_of

COUNTS = {"00": 50, "11": 30, "01": 15, "10": 5}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (COUNTS, "counts"),
        ({"00": 1, "111": 2}, "dict"),
        ({"00": True}, "counts"),
        ({"timestamp": [1.0, 2.0], "energy": [0.5, 0.4]}, "metrics"),
        ({"angle": [1, 2], "energy": [0.5, 0.4]}, "table"),
        ({"angle": [1, 2], "energy": [0.5]}, "dict"),
        ([{"angle": 1, "energy": 2.0}], "table"),
        ([1, 2], "list"),
        (pd.DataFrame({"a": [1]}), "table"),
        (np.zeros(3), "array"),
        (2.5, "number"),
        (np.float64(2.5), "number"),
        (True, "bool"),
        ("text", "text"),
        (None, "NoneType"),
    ],
)
def test_a_value_is_told_by_its_form(value: Any, kind: str) -> None:
    (item,) = items_of({"it": value})
    assert (item.name, item.type) == ("it", kind)
    assert (item.frame is not None) == (kind in ("counts", "metrics", "table"))


def test_a_dictionary_is_taken_apart_and_all_else_is_one_result() -> None:
    assert [item.name for item in items_of({"energy": 1.0, "counts": COUNTS})] == [
        "energy",
        "counts",
    ]
    for value in (COUNTS, [1, 2], {1: 2}, {}, 3.0):
        assert items_of(value) == [Item("result", value, items_of(value)[0].type)]


def test_counts_are_a_table_sorted_and_filtered() -> None:
    table = counts_frame(COUNTS)
    assert list(table["state"]) == ["00", "11", "01", "10"]
    assert list(table["probability"]) == [0.5, 0.3, 0.15, 0.05]
    assert list(counts_frame(COUNTS, state="?1", sort="state")["state"]) == ["01", "11"]
    few = counts_frame(COUNTS, state="1*", min_count=10)
    assert few.to_dict("records") == [{"state": "11", "count": 30, "probability": 0.3}]
    assert list(counts_frame({})) == ["state", "count", "probability"]


def array(value: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


SAVED = {"dataDictionary": {"energy": -1.1}, "dataFormat": "plaintext"}


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("results.json", json.dumps(SAVED).encode(), "dict"),
        ("counts.json", json.dumps(COUNTS).encode(), "counts"),
        ("bad.json", b"{", "bytes"),
        ("deep.json", b"[" * 100_000, "bytes"),
        ("table.csv", b"a,b\n1,2\n", "table"),
        ("empty.csv", b"", "bytes"),
        ("array.npy", array(np.arange(3)), "array"),
        ("cut.npy", array(np.arange(3))[:-4], "bytes"),
        ("notes.txt", b"hello", "text"),
        ("notes.log", b"\xff", "bytes"),
        ("model.bin", b"hello", "bytes"),
    ],
)
def test_a_file_is_read_by_the_end_of_its_name(name: str, data: bytes, kind: str) -> None:
    item = item_of_file(name, data)
    assert (item.name, item.type) == (name, kind)
    if kind == "bytes":
        assert item.value == data


def test_what_brakets_sdk_saved_is_unwrapped_unless_it_is_pickled() -> None:
    assert item_of_file("results.json", json.dumps(SAVED).encode()).value == {"energy": -1.1}
    pickled = {**SAVED, "dataFormat": "pickled_v4"}
    assert item_of_file("results.json", json.dumps(pickled).encode()).value == pickled


class Trap:
    """Tells if it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "sprung", True))


def test_pickles_in_files_are_never_loaded() -> None:
    for name, data in (
        ("array.npy", array(np.array([Trap()], dtype=object))),
        ("result.pkl", pickle.dumps(Trap())),
    ):
        assert item_of_file(name, data) == Item(name, data, "bytes")
    assert not Trap.sprung


def test_pickles_are_loaded_only_if_that_is_asked_for() -> None:
    data = pickle.dumps({"energy": -1.1})
    saved = {
        "braketSchemaHeader": {"name": "braket.jobs_data.persisted_job_data", "version": "1"},
        "dataDictionary": {"energy": base64.b64encode(pickle.dumps(-1.1)).decode()},
        "dataFormat": "pickled_v4",
    }
    text = json.dumps(saved).encode()
    array = io.BytesIO()
    np.save(array, np.array([{"energy": -1.1}], dtype=object))
    files = {"a.pkl": data, "results.json": text, "a.npy": array.getvalue()}
    assert item_of_file("a.pkl", data).type == "bytes"
    assert item_of_file("results.json", text).value == saved
    assert item_of_file("a.npy", array.getvalue()).type == "bytes"
    for name, body in files.items():
        value: Any = item_of_file(name, body, allow_pickle=True).value
        assert (value[0] if name == "a.npy" else value)["energy"] == -1.1


def test_a_pickle_that_cannot_be_loaded_says_why() -> None:
    with pytest.raises(SerializationError, match=r"UnpicklingError|EOFError"):
        item_of_file("a.pkl", b"\x80", allow_pickle=True)


def test_an_archive_of_arrays_is_a_dictionary() -> None:
    packed = io.BytesIO()
    np.savez(packed, x=np.arange(3), y=np.ones(2))
    value: Any = item_of_file("grid.npz", packed.getvalue()).value
    assert {key: list(each) for key, each in value.items()} == {"x": [0, 1, 2], "y": [1.0, 1.0]}
    assert item_of_file("grid.npz", b"PK\x03\x04 no archive").type == "bytes"


def test_parquet_names_the_package_that_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    with pytest.raises(MissingPackageError, match="pip install pyarrow"):
        item_of_file("table.parquet", b"PAR1")


def test_parquet_is_a_table() -> None:
    packed = io.BytesIO()
    pd.DataFrame({"energy": [-1.1]}).to_parquet(packed)
    item = item_of_file("table.parquet", packed.getvalue())
    assert item.frame is not None
    assert list(item.frame["energy"]) == [-1.1]
