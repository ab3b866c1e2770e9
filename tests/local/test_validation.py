"""Every constraint of the service model is enforced, also those that botocore lets through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from covalent_braket_plugin.local.server.model import service_model
from covalent_braket_plugin.local.server.validation import check, violations
from covalent_braket_plugin.local.service import ServiceError
from tests.local.conftest import Lab

SOURCE = {"s3DataSource": {"s3Uri": "s3://b/k"}}
LEGAL: dict[str, Any] = {
    "clientToken": "t",
    "jobName": "a-b",
    "algorithmSpecification": {
        "scriptModeConfig": {"entryPoint": "m", "s3Uri": "s3://b/k", "compressionType": "GZIP"},
        "containerImage": {"uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/x:y"},
    },
    "outputDataConfig": {"s3Path": "s3://b/k", "kmsKeyId": "k"},
    "roleArn": "arn:aws:iam::123456789012:role/x",
    "instanceConfig": {"instanceType": "ml.m5.large", "volumeSizeInGb": 1, "instanceCount": 1},
    "deviceConfig": {"device": "local:none/none"},
    "hyperParameters": {"k": "v"},
    "inputDataConfig": [{"channelName": "c", "contentType": "t", "dataSource": SOURCE}],
    "checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "/x"},
    "stoppingCondition": {"maxRuntimeInSeconds": 1},
    "tags": {"k": "v"},
    "associations": [
        {
            "arn": "arn:aws:braket:us-east-1:123456789012:reservation/x",
            "type": "RESERVATION_TIME_WINDOW_ARN",
        }
    ],
}
SHAPE = service_model().operation_model("CreateJob").input_shape


def constraints(
    shape: Any, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
    """Each constraint of a shape: (path in a legal request, its name, a value that breaks it)."""
    meta = shape.metadata
    kind = shape.type_name
    if kind == "structure":
        yield path, "type", "text"
        for name in shape.required_members:
            yield (*path, name), "required", None
        for name, member in shape.members.items():
            yield from constraints(member, (*path, name))
    elif kind == "list":
        yield path, "type", {}
        if "max" in meta:
            yield path, "max", ["x"] * (meta["max"] + 1)
        yield from constraints(shape.member, (*path, 0))
    elif kind == "map":
        yield path, "type", []
        if "max" in meta:
            yield path, "max", {f"k{n}": "v" for n in range(meta["max"] + 1)}
        yield from constraints(shape.value, (*path, "k"))
    elif kind == "string":
        yield path, "type", 7
        if meta.get("min"):
            yield path, "min", ""
        if "max" in meta:
            yield path, "max", "a" * (meta["max"] + 1)
        if "enum" in meta:
            yield path, "enum", "no-such-value"
        if "pattern" in meta:
            yield path, "pattern", "\n"
    elif kind == "integer":
        yield path, "type", "1"
        yield path, "type", True
        yield path, "min", meta["min"] - 1
        if "max" in meta:
            yield path, "max", meta["max"] + 1


CONSTRAINTS = list(constraints(SHAPE))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with the value at the path replaced."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


def test_the_legal_request_is_legal() -> None:
    check(SHAPE, LEGAL)


@pytest.mark.parametrize(
    ("path", "rule", "value"),
    CONSTRAINTS,
    ids=[
        f"{'.'.join(map(str, path)) or 'body'}-{rule}-{n}"
        for n, (path, rule, _) in enumerate(CONSTRAINTS)
    ],
)
def test_breaking_a_constraint_is_found_where_it_is(
    path: tuple[Any, ...], rule: str, value: Any
) -> None:
    found = list(violations(SHAPE, changed(LEGAL, path, value)))
    assert found
    if path:
        assert str(path[0]) in found[0][0]


def test_keys_of_maps_are_held_to_their_limits() -> None:
    with pytest.raises(ServiceError, match="at most 256 characters"):
        check(SHAPE, LEGAL | {"hyperParameters": {"k" * 257: "v"}})


def test_members_that_the_model_does_not_know_are_ignored() -> None:
    check(SHAPE, LEGAL | {"maximumTaskLimit": 7})


@pytest.mark.parametrize(
    "change",
    [
        {"jobName": "a" * 51},
        {"jobName": "under_score"},
        {"jobName": "-dash"},
        {"jobName": "dash-"},
        {"jobName": "line\n"},
        {"clientToken": "t" * 65},
        {"roleArn": "arn:aws:iam::12:role/x"},
        {"instanceConfig": {"instanceType": "ml.g5.large", "volumeSizeInGb": 1}},
        {"stoppingCondition": {"maxRuntimeInSeconds": 432_001}},
        {"hyperParameters": {"k": "v" * 2501}},
        {"hyperParameters": {"k": "two\nlines"}},
        {"hyperParameters": {str(n): "v" for n in range(101)}},
        {"deviceConfig": {"device": "d" * 257}},
        {"outputDataConfig": {"s3Path": "file:///x"}},
        {"algorithmSpecification": {"containerImage": {"uri": "docker.io/x:y"}}},
        {
            "algorithmSpecification": {
                "containerImage": {"uri": "1" * 12 + ".dkr.ecr.eu.amazonaws.com/x"}
            }
        },
        {"inputDataConfig": [{"channelName": f"c{n}", "dataSource": SOURCE} for n in range(21)]},
        {"inputDataConfig": [{"channelName": "a/b", "dataSource": SOURCE}]},
    ],
    ids=str,
)
def test_what_boto3_lets_through_is_refused_as_by_the_service(
    lab: Lab, change: dict[str, Any]
) -> None:
    braket = lab.client("braket")
    with pytest.raises(braket.exceptions.ClientError, match="Invalid request body") as caught:
        braket.create_job(**lab.job_request("x", **change))
    answer = caught.value.response
    assert answer["Error"]["Code"] == "BadRequestException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
