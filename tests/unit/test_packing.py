from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import covalent as ct
import pytest
from covalent._workflow.transportable_object import TransportableObject

from covalent_braket_plugin import packing, payload, runtime, tobj
from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.protocol import Manifest


class Pair:
    left = 1


@ct.electron
def make() -> Any:
    return [1, 2]


@ct.electron
def take(values: Any, more: Any = None) -> Any:
    return values


@ct.lattice
def inner(x: Any) -> Any:
    return take(x)


def functions_of(workflow: Any, *args: Any) -> dict[str, TransportableObject]:
    workflow.build_graph(*args)
    graph = workflow.transport_graph
    names = {node: graph.get_node_value(node, "name") for node in graph._graph.nodes}
    return {
        name: graph.get_node_value(node, "function")
        for node, name in names.items()
        if not name.startswith(":parameter:")
    }


def header_of(tmp_path: Path, pickled: TransportableObject) -> tobj.Header:
    (tmp_path / "function").write_bytes(pickled.serialize())
    return tobj.read_header(tmp_path / "function")


def test_all_of_covalents_own_electrons_are_glue_and_no_other(tmp_path: Path) -> None:
    @ct.lattice
    def flow() -> Any:
        a, b = make()
        indexed = make()[1]
        attribute = take(Pair()).left
        total = a + 1
        take([a, b], more={"k": total})
        return inner(indexed), attribute

    found = {
        name: packing.is_glue(header_of(tmp_path, function))
        for name, function in functions_of(flow).items()
    }
    own = {name for name in found if name in ("make", "take")}
    assert own == {"make", "take"}
    assert {name: glue for name, glue in found.items() if glue is (name in own)} == {}
    assert len(found) >= 9


def test_a_user_function_with_such_a_name_is_not_glue(tmp_path: Path) -> None:
    def get_item(e: Any, key: Any) -> Any:
        return e[key]

    def _auto_list_node(*args: Any) -> Any:
        return list(args)

    for function in (get_item, _auto_list_node):
        assert not packing.is_glue(header_of(tmp_path, TransportableObject(function)))


def group_of(tmp_path: Path, hooks: dict[str, Any] | None = None) -> packing.Group:
    def add(x: int, y: int) -> int:
        return x + y

    files = {"f": add, "a": 1, "b": 2}
    for name, value in files.items():
        (tmp_path / name).write_bytes(TransportableObject(value).serialize())
    (tmp_path / "hooks").write_text(json.dumps(hooks or {}))
    specs = [(0, [1], {"y": 2})]
    return packing.read_group(
        "d", specs, {0: tmp_path / "f"}, {0: tmp_path / "hooks"},
        {1: tmp_path / "a", 2: tmp_path / "b"},
    )  # fmt: skip


def test_packed_group_runs_from_its_payload_alone(tmp_path: Path) -> None:
    manifest = packing.build(group_of(tmp_path), tmp_path / "payload.bin")
    payload.verify(tmp_path / "payload.bin", manifest)
    (tmp_path / "manifest.json").write_bytes(manifest.to_json())
    assert runtime.run_directory(tmp_path) == 0
    value = TransportableObject.deserialize((tmp_path / "value-0.tobj").read_bytes())
    loaded: Any = value.get_deserialized()
    assert loaded == 3


def test_payload_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    manifest = packing.build(group_of(tmp_path), tmp_path / "payload.bin")
    data = (tmp_path / "payload.bin").read_bytes()
    (tmp_path / "payload.bin").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="SHA-256"):
        payload.verify(tmp_path / "payload.bin", manifest)
    (tmp_path / "payload.bin").write_bytes(data + b"x")
    with pytest.raises(IntegrityError, match="bytes"):
        payload.verify(tmp_path / "payload.bin", manifest)


def test_hooks_keep_their_order_and_kind(tmp_path: Path) -> None:
    hooks = {
        "deps": {
            "bash": ct.DepsBash(["echo a"]).to_dict(),
            "pip": ct.DepsPip(["six"]).to_dict(),
        },
        "call_before": [ct.DepsCall(print, args=["x"], retval_keyword="y").to_dict()],
        "call_after": [ct.DepsCall(print).to_dict()],
    }
    manifest = packing.build(group_of(tmp_path, hooks), tmp_path / "payload.bin")
    found = manifest.calls[0].hooks
    assert [hook["when"] for hook in found] == ["before", "before", "before", "after"]
    assert found[0]["bash"] == ["echo a"]
    assert found[1]["pip"] == {"packages": ["six"], "requirements": ""}
    assert found[2]["keyword"] == "y"
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_hooks_that_are_not_json_are_refused(tmp_path: Path) -> None:
    group = group_of(tmp_path)
    (tmp_path / "hooks").write_text("{")
    with pytest.raises(IntegrityError, match="hooks of add"):
        packing.build(group, tmp_path / "payload.bin")


def test_empty_group_is_refused() -> None:
    with pytest.raises(IntegrityError, match="without electrons"):
        packing.read_group("d", [], {}, {}, {})
