from __future__ import annotations

import json
from dataclasses import replace

import pytest

from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.protocol import (
    Call,
    ErrorData,
    Keys,
    Manifest,
    NodeOutcome,
    Outcome,
    Part,
    Place,
    Stream,
    Task,
    Versions,
    checkpoints_key,
    image_versions,
    inputs_digest,
    mismatches,
)

MANIFEST = Manifest(
    dispatch_id="d",
    versions=Versions("3.11.7", "2.2.1"),
    payload_sha256="0" * 64,
    payload_size=3,
    parts=[Part(0, 3, "1" * 64, "The function f()")],
    calls=[Call(0, "f", 0, [{"part": 0}], {"x": {"node": 1}}, [{"when": "before", "bash": ["a"]}])],
    main_node=0,
)
OUTCOME = Outcome(
    status="failed",
    nodes=[NodeOutcome(0, "completed", "k", 3, "2" * 64), NodeOutcome(1, "failed")],
    stdout=Stream(text="out", size=3),
    stderr=Stream(key="stderr.log", size=70_000),
    error=ErrorData("ValueError", "no", "Traceback", 'File "f.py"', "electron"),
    seconds={"fetch": 0.1},
    versions=Versions("3.11.7", "2.2.1"),
    result_files=2,
)


def test_manifest_survives_the_wire() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_outcome_survives_the_wire() -> None:
    assert Outcome.from_json(OUTCOME.to_json()) == OUTCOME


@pytest.mark.parametrize("kind", [Manifest, Outcome])
@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"protocol": 99}', b'{"protocol": 1}', b"\xff\xfe"]
)
def test_what_is_not_ours_is_refused(kind: type[Manifest] | type[Outcome], data: bytes) -> None:
    with pytest.raises(IntegrityError):
        kind.from_json(data)


def test_another_protocol_version_says_what_to_install() -> None:
    other = {**json.loads(OUTCOME.to_json()), "protocol": 2}
    with pytest.raises(IntegrityError, match="same covalent-braket-plugin on both sides"):
        Outcome.from_json(json.dumps(other).encode())


def test_node_that_is_not_in_the_outcome_did_not_run() -> None:
    assert OUTCOME.node(7) == NodeOutcome(7, "not_run")


@pytest.mark.parametrize(("prefix", "base"), [("", ""), ("a/b", "a/b/"), ("/a/", "a/")])
def test_keys_are_found_again_from_the_manifests_uri(prefix: str, base: str) -> None:
    keys = Keys.of("bucket", prefix, Task("d-1", 3, 2))
    assert keys.manifest == f"{base}d-1/node-3/attempt-2/manifest.json"
    assert Keys.from_manifest_uri(keys.uri(keys.manifest)) == keys


@pytest.mark.parametrize("uri", ["", "s3://b/manifest.json", "https://b/a/manifest.json"])
def test_other_uris_are_no_manifests(uri: str) -> None:
    with pytest.raises(IntegrityError):
        Keys.from_manifest_uri(uri)


@pytest.mark.parametrize(
    ("uri", "python", "cloudpickle"),
    [
        ("0.dkr.ecr.r.amazonaws.com/worker:py311-cloudpickle2.2.1", "3.11", "2.2.1"),
        ("0.dkr.ecr.r.amazonaws.com/amazon-braket-base-jobs:1.0-cpu-py312-ubuntu24.04", "3.12", ""),
        ("0.dkr.ecr.r.amazonaws.com/py39/image:latest", "", ""),
        ("0.dkr.ecr.r.amazonaws.com/image@sha256:0123", "", ""),
    ],
)
def test_image_tag_says_what_it_holds(uri: str, python: str, cloudpickle: str) -> None:
    assert image_versions(uri) == Versions(python, cloudpickle)


@pytest.mark.parametrize(
    ("pickled", "loading", "fits"),
    [
        (Versions("3.11.7", "2.2.1"), Versions("3.11.2", "2.2.1"), True),
        (Versions("3.11.7", "2.2.1"), Versions("3.12.1", "2.2.1"), False),
        (Versions("3.11.7", "3.1.0"), Versions("3.11.7", "2.2.1"), False),
        (Versions("3.11.7", "2.2.1"), Versions("3.11.7", "3.1.0"), True),
        (Versions("3.11.7", "3.1.0"), Versions("3.11", ""), True),
        (Versions("3.11.7", "3.1.0"), Versions("", ""), True),
    ],
)
def test_mismatch_is_what_would_not_load(pickled: Versions, loading: Versions, fits: bool) -> None:
    problems = list(mismatches(pickled, loading))
    assert (problems == []) is fits
    for problem in problems:
        assert problem.kind in problem.text.lower()
        assert any(text in problem.text for text in (loading.python, loading.cloudpickle))


def test_records_are_frozen() -> None:
    assert replace(OUTCOME, result_files=3) != OUTCOME


def test_checkpoints_lie_where_no_other_electron_looks() -> None:
    tasks = [Task(d, n, a) for d in ("d", "e") for n in (3, 30) for a in (1, 2)]
    keys = {checkpoints_key("covalent", task, None) for task in tasks}
    keys |= {checkpoints_key("covalent", tasks[0], name) for name in ("x", "x-y", "node-3")}
    assert len(keys) == 7  # attempts share them
    assert not [(a, b) for a in keys for b in keys if a != b and b.startswith(a)]
    redispatched = Task("f", 3, origin="d")
    assert checkpoints_key("covalent", redispatched, None) in keys
    assert checkpoints_key("", tasks[0], None) == "checkpoints/d/node-3/saved"


@pytest.mark.parametrize("prefix", ["", "covalent", "a/checkpoints/b"])
def test_only_checkpoints_of_the_same_node_are_its_own(prefix: str) -> None:
    keys = Keys.of("bucket", prefix, Task("d", 3, 2))
    task = Task("e", 3, origin="o")
    own = keys.uri(checkpoints_key(prefix, task, None))
    assert keys.own_checkpoints(own) == Place.of(own)
    others = [
        keys.uri(checkpoints_key(prefix, Task("d", 30), None)),
        keys.uri(checkpoints_key(prefix, task, "node-3")),
        own.replace("bucket", "other"),
        own.replace("checkpoints/", "else/"),
        own + "/../x",
        "",
    ]
    assert [each for each in others if keys.own_checkpoints(each)] == []


def test_what_sagemaker_adds_to_a_job_makes_no_other_inputs_of_it() -> None:
    found = inputs_digest(MANIFEST, {"x": "1"})
    assert found == inputs_digest(MANIFEST, {"x": "1", "sagemaker_job_name": "of-this-attempt"})
    assert found != inputs_digest(MANIFEST, {"x": "2"})
