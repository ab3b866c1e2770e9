from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from covalent._workflow.transportable_object import TransportableObject

from covalent_braket_plugin import payload, tobj
from covalent_braket_plugin.errors import IntegrityError, SerializationError
from covalent_braket_plugin.protocol import Versions


def written(path: Path, value: object) -> Path:
    path.write_bytes(TransportableObject(value).serialize())
    return path


def test_header_of_a_file_of_covalents_is_read(tmp_path: Path) -> None:
    def energy() -> None:
        """Doc."""

    header = tobj.read_header(written(tmp_path / "f", energy))
    assert header.name == "energy"
    assert header.versions == payload.own_versions()
    assert header.text_head.startswith("<function test_header_of_a_file")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 786_431, 786_432, 786_433, 2_000_001])
def test_pickle_comes_out_as_it_went_in(tmp_path: Path, size: int) -> None:
    value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    path = written(tmp_path / "v", value)
    assert cloudpickle.loads(b"".join(tobj.pickle_chunks(path))) == value


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 64, b"not a tobj at all" * 10])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(IntegrityError, match="f "):
        tobj.read_header(tmp_path / "f")


def test_damaged_base64_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "f", "value")
    path.write_bytes(path.read_bytes()[:-4] + b"!!!!")
    with pytest.raises(IntegrityError, match="damaged"):
        list(tobj.pickle_chunks(path))


def test_covalent_reads_what_we_write(tmp_path: Path) -> None:
    value = {"energy": -1.137, "array": np.arange(5)}
    payload.dump_value(value, tmp_path / "v", name="The value")
    read = TransportableObject.deserialize((tmp_path / "v").read_bytes())
    loaded: Any = read.get_deserialized()
    assert loaded["energy"] == -1.137
    assert read.object_string == str(value)
    assert read.python_version == payload.own_versions().python


def test_text_of_a_large_value_is_short(tmp_path: Path) -> None:
    payload.dump_value(b"\0" * 3_000_000, tmp_path / "v", name="The value")
    read = TransportableObject.deserialize((tmp_path / "v").read_bytes())
    assert len(read.object_string) < 100
    assert "3000" in read.object_string


def test_text_is_whole_where_covalent_needs_it(tmp_path: Path) -> None:
    text = "sublattice" * 300_000
    payload.dump_value(text, tmp_path / "v", name="The value", whole_string=True)
    assert TransportableObject.deserialize((tmp_path / "v").read_bytes()).object_string == text


def test_value_whose_str_fails_is_still_a_value(tmp_path: Path) -> None:
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    payload.dump_value(Rude(), tmp_path / "v", name="The value")
    assert "Rude" in tobj.read_header(tmp_path / "v").text_head


def test_error_about_an_unpicklable_value_names_it_and_the_part(tmp_path: Path) -> None:
    value = {"fine": 1, "files": [io.StringIO("x"), (n for n in [1])]}
    with pytest.raises(SerializationError, match=r"returned.*value\['files'\]\[1\].*generator"):
        payload.dump_value(value, tmp_path / "v", name="The value that f() returned")


def test_versions_are_those_given(tmp_path: Path) -> None:
    target = io.BytesIO()
    tobj.write(target, io.BytesIO(b"x"), text="t", name="n", versions=Versions("3.12.1", "3.0.0"))
    (tmp_path / "f").write_bytes(target.getvalue())
    assert tobj.read_header(tmp_path / "f").versions == Versions("3.12.1", "3.0.0")


def test_docstring_of_any_length_fits(tmp_path: Path) -> None:
    def documented() -> None:
        pass

    documented.__doc__ = "x" * 17_000_000
    assert tobj.read_header(written(tmp_path / "f", documented)).name == "documented"
