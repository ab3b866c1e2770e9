from __future__ import annotations

import json
from typing import Any

import pytest

from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.protocol import Manifest, NodeOutcome, Outcome, Stream
from tests.unit.test_protocol import MANIFEST, OUTCOME


def changed(record: Manifest | Outcome, path: list[str | int], value: object) -> bytes:
    raw: Any = json.loads(record.to_json())
    place = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(raw).encode()


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["stdout", "text"], 5, r"outcome\.stdout\.text is 5"),
        (["stdout"], [], r"outcome\.stdout"),
        (["nodes", 0, "node_id"], "0", r"outcome\.nodes\[0\]\.node_id"),
        (["nodes", 0, "node_id"], "/../x", r"outcome\.nodes\[0\]\.node_id"),
        (["nodes", 0, "node_id"], True, r"node_id is True"),
        (["nodes", 1], None, r"outcome\.nodes\[1\]"),
        (["nodes"], {}, r"outcome\.nodes"),
        (["status"], "done", r"outcome\.status is 'done'"),
        (["error"], "text", r"outcome\.error"),
        (["error", "message"], None, r"outcome\.error\.message"),
        (["seconds", "fetch"], "long", r"outcome\.seconds\['fetch'\]"),
        (["surprise"], 1, "surprise"),
    ],
)
def test_damaged_outcome_is_refused_naming_the_field(
    path: list[str | int], value: object, named: str
) -> None:
    with pytest.raises(IntegrityError, match=named):
        Outcome.from_json(changed(OUTCOME, path, value))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["parts", 0, "offset"], "0", r"manifest\.parts\[0\]\.offset"),
        (["calls", 0, "args", 0, "part"], None, r"manifest\.calls\[0\]\.args\[0\]\['part'\]"),
        (["calls", 0, "hooks"], "x", r"manifest\.calls\[0\]\.hooks"),
        (["strict_versions"], 1, r"manifest\.strict_versions is 1"),
        (["versions"], {}, "has no 'python'"),
    ],
)
def test_damaged_manifest_is_refused_naming_the_field(
    path: list[str | int], value: object, named: str
) -> None:
    with pytest.raises(IntegrityError, match=named):
        Manifest.from_json(changed(MANIFEST, path, value))


def test_long_wrong_value_is_not_repeated_whole() -> None:
    with pytest.raises(IntegrityError) as raised:
        Outcome.from_json(changed(OUTCOME, ["status"], "x" * 100_000))
    assert len(str(raised.value)) < 300


def test_completed_outcome_has_no_failed_node() -> None:
    outcome = Outcome("completed", [NodeOutcome(0, "failed")], stdout=Stream())
    with pytest.raises(IntegrityError, match="completed"):
        Outcome.from_json(outcome.to_json())


def test_halves_of_characters_become_something_that_can_be_written_down() -> None:
    raw = changed(OUTCOME, ["error", "message"], "bad \ud800 name")
    assert b"\\ud800" in raw
    error = Outcome.from_json(raw).error
    assert error is not None
    assert error.message == "bad ? name"
