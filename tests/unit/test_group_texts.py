"""What users read about each node of a group that was packed together."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from covalent._workflow.transportable_object import TransportableObject

from covalent_braket_plugin import collecting, exchange, glue, packing
from covalent_braket_plugin.collecting import Collected
from covalent_braket_plugin.payload import own_versions
from covalent_braket_plugin.protocol import Mismatch, Versions


def first(value: Any) -> Any:
    return value[0]


def second(value: Any) -> Any:
    return value[1]


def talk() -> int:
    print("talking")
    return 1


def complain() -> int:
    print("talking")
    raise ValueError("no")


def group_of(place: Path, function: Callable[..., Any]) -> packing.Group:
    files = {}
    for node, each in {0: function, 3: first, 4: second}.items():
        files[node] = place / f"function-{node}"
        files[node].write_bytes(TransportableObject(each).serialize())
    specs: list[Any] = [(0, [], {}), (3, [0], {}), (4, [0], {})]
    return packing.read_group("d", specs, files, {}, {})


def run(place: Path, function: Callable[..., Any]) -> Collected:
    manifest = packing.build(group_of(place, function), place / "payload.bin")
    (place / "manifest.json").write_bytes(manifest.to_json())
    ended = asyncio.run(glue.run(place, {}))
    return collecting.collect_glue(function.__name__, place, ended)


def read(path: Path | None) -> str:
    return path.read_text() if path else ""


def test_node_that_failed_has_the_error_and_the_others_say_whose_it_was(tmp_path: Path) -> None:
    collected = run(tmp_path, talk)
    main, failed, waiting = (collected.texts_of(node) for node in (0, 3, 4))
    assert list(collected.values) == [0]
    assert (read(main.stdout), main.stderr, main.error) == ("talking\n", None, None)
    assert read(failed.error).startswith("Your code: first() failed in the electron: TypeError")
    assert "TypeError" in read(failed.stderr)
    assert failed.stdout is None
    assert read(waiting.error).startswith("Your code: second() did not run, because first() failed")
    assert (waiting.stdout, waiting.stderr) == (None, None)


def test_error_of_the_users_electron_is_its_own(tmp_path: Path) -> None:
    collected = run(tmp_path, complain)
    main, waiting = collected.texts_of(0), collected.texts_of(3)
    assert read(main.stdout) == "talking\n"
    assert "Traceback" in read(main.stderr)
    assert read(main.error).startswith(
        "Your code: complain() failed in the electron: ValueError: no"
    )
    assert read(waiting.error).startswith(
        "Your code: first() did not run, because complain() failed"
    )


def test_covalent_gets_each_nodes_own_files(tmp_path: Path) -> None:
    collected = run(tmp_path, talk)
    metadata = {"dispatch_id": "d", "node_ids": [0, 3, 4]}
    main, failed, waiting = exchange.updates(metadata, collected)
    assert [str(update.status) for update in (main, failed, waiting)] == [
        "COMPLETED", "FAILED", "FAILED",
    ]  # fmt: skip
    assert main.assets["stdout"].size == len("talking\n")
    assert main.assets["stderr"].size == 0
    assert failed.assets["stdout"].size == 0
    assert failed.assets["stderr"].remote_uri != waiting.assets["stderr"].remote_uri
    assert waiting.assets["error"].size > 0


def header_changed(path: Path, **versions: str) -> None:
    data = path.read_bytes()
    text, end = (int.from_bytes(data[at : at + 8], "big") for at in (0, 8))
    header = json.dumps({**json.loads(data[16:text]), **versions}).encode()
    moved = len(header) - (text - 16)
    offsets = (text + moved).to_bytes(8, "big") + (end + moved).to_bytes(8, "big")
    path.write_bytes(offsets + header + data[text:])


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({"py_version": "3.99.1"}, "Python 3.99.1"),
        ({"cloudpickle_version": "99.0.0"}, "cloudpickle 99.0.0"),
    ],
)
@pytest.mark.parametrize("which", ["function", "input"])
def test_group_that_cannot_be_loaded_here_is_known_by_its_headers(
    tmp_path: Path, versions: dict[str, str], words: str, which: str
) -> None:
    function, value = tmp_path / "function", tmp_path / "input"
    function.write_bytes(TransportableObject(first).serialize())
    value.write_bytes(TransportableObject([1]).serialize())

    def check(here: Versions) -> list[Mismatch]:
        specs: list[Any] = [(0, [1], {})]
        group = packing.read_group("d", specs, {0: function}, {}, {1: value})
        return packing.check_versions(group, here)

    assert check(own_versions()) == []
    header_changed(tmp_path / which, **versions)
    [problem] = check(own_versions())
    assert words in problem.text
    assert problem.kind in words.lower()
    assert ("first()" if which == "function" else "node 1") in problem.text


def test_pickling_error_is_not_hidden_by_its_own_explanation() -> None:
    from covalent_braket_plugin import payload

    lock = threading.Lock()

    def outer() -> Any:
        def inner() -> Any:
            return lock, later

        yield inner
        later = 1
        yield later

    text = payload.why_unpicklable(next(outer()), TypeError("cannot pickle a lock"))
    assert "cannot pickle a lock" in text
    assert "the enclosed variable lock" in text
