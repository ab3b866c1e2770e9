"""The permissions that we ask for exist, are as narrow as IAM can make them, and fit into IAM."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from string import Template
from typing import Any

import pytest
from policy_sentry.querying.actions import get_action_data

from covalent_braket_plugin.permissions import (
    CALLER,
    PUSHER,
    ROLE,
    Grant,
    Scope,
    caller_policy,
    platform_trust_policy,
    pusher_policy,
    role_policy,
    trust_policy,
)
from covalent_braket_plugin.scopes import scope_of
from covalent_braket_plugin.settings import resolve

ACCOUNT = "123456789012"
MANAGED_POLICY_CHARACTERS = 6144
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

BARE = Scope(
    partition="aws",
    region="us-east-1",
    account=ACCOUNT,
    bucket="amazon-braket-ours",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/Runner",
)
FULL = replace(
    BARE,
    repository="covalent-braket",
    kms_key_arn=f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234",
    may_create_bucket=True,
    input_data=(("their-data", "molecules/h2"), ("their-data", "grids/"), ("all-of-it", "")),
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonBraketJobsExecutionRole*",
)
GRANTS = [
    pytest.param(grant, id=f"{name}-{grant.sid}")
    for name, table in (("caller", CALLER), ("role", ROLE), ("pusher", PUSHER))
    for grant in table
]

# IAM names a resource type for it, but does not say what a job is called that is being made.
TOO_WIDE_ON_PURPOSE = {"braket:TagResource"}

WRITES = {
    "caller": {
        "braket:CancelJob",
        "braket:CancelQuantumTask",
        "braket:CreateJob",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:AbortMultipartUpload",
        "s3:CreateBucket",
        "s3:DeleteObject",
        "s3:PutObject",
    },
    "role": {
        "braket:CancelQuantumTask",
        "braket:CreateQuantumTask",
        "cloudwatch:PutMetricData",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:AbortMultipartUpload",
        "s3:PutObject",
    },
    "pusher": {
        "ecr:CompleteLayerUpload",
        "ecr:CreateRepository",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    },
}


def rows(action: str) -> list[dict[str, Any]]:
    """What IAM knows of an action: a row for each type of resource."""
    service, name = action.split(":")
    found = get_action_data(service, name)
    assert found, f"IAM knows no action {action}"
    return [row for row in found[service] if row["action"] == action]


def formats(action: str) -> set[str]:
    return {row["resource_arn_format"] for row in rows(action)}


def statements(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in document["Statement"]}


def actions(document: dict[str, Any]) -> Iterator[str]:
    for statement in document["Statement"]:
        yield from statement["Action"]


@pytest.mark.parametrize("grant", GRANTS)
def test_every_action_is_one_that_iam_knows(grant: Grant) -> None:
    assert all(rows(action) for action in grant.actions)


@pytest.mark.parametrize("grant", GRANTS)
def test_a_resource_is_a_star_only_where_iam_knows_no_narrower_one(grant: Grant) -> None:
    if grant.resources == ("*",):
        narrower = {a for a in grant.actions if formats(a) != {"*"}} - TOO_WIDE_ON_PURPOSE
        assert not narrower
    else:
        for action in grant.actions:
            for resource in grant.filled(FULL).resources:
                assert any(fits(resource, form) for form in formats(action)), (action, resource)


SAMPLES = {
    "Partition": ["aws"],
    "Region": ["us-east-1"],
    "Account": [ACCOUNT, "292282985366"],
    "BucketName": ["amazon-braket-ours", "their-data", "all-of-it"],
    "ObjectName": ["covalent/x", "jobs/x", "molecules/h2", "molecules/h2/x", "grids/x"],
    "JobName": ["1234"],
    "RandomId": ["1234"],
    "KeyId": ["1234"],
    "RepositoryName": ["covalent-braket", "amazon-braket-base-jobs"],
    "RoleNameWithPath": [
        "service-role/AmazonBraketJobsExecutionRole",
        "aws-service-role/braket.amazonaws.com/AWSServiceRoleForAmazonBraket",
    ],
    "LogGroupName": ["/aws/braket/jobs", "/aws/braket/jobs:*"],
    "LogStreamName": ["job/1234/algo-1"],
}


def fits(resource: str, form: str) -> bool:
    """Whether an ARN or pattern covers a resource of the form that IAM documents."""
    names = re.findall(r"\$\{(\w+)\}", form)
    if form == "*" or not set(names) <= SAMPLES.keys():
        return False
    return any(
        fnmatchcase(Template(form).substitute(dict(zip(names, values, strict=True))), resource)
        for values in product(*(SAMPLES[name] for name in names))
    )


@pytest.mark.parametrize("grant", GRANTS)
def test_a_condition_is_on_a_key_that_the_actions_know(grant: Grant) -> None:
    global_keys = {"aws:ResourceAccount"}
    for keys in grant.conditions.values():
        for key in set(keys) - global_keys:
            for action in grant.actions:
                assert any(key in row["condition_keys"] for row in rows(action)), (action, key)


@pytest.mark.parametrize("grant", GRANTS)
def test_every_permission_says_why(grant: Grant) -> None:
    assert grant.why.endswith(".")
    assert len(grant.why) > 25
    assert re.fullmatch(r"[A-Za-z0-9]+", grant.sid)


@pytest.mark.parametrize(
    ("name", "make"),
    [("caller", caller_policy), ("role", role_policy), ("pusher", pusher_policy)],
)
def test_what_may_change_something_is_listed_here(name: str, make: Any) -> None:
    writes = {a for a in actions(make(FULL)) if any(r["access_level"] == "Write" for r in rows(a))}
    assert writes == WRITES[name]


def test_the_callers_permissions_on_permissions_are_to_pass_one_role_and_close_one_bucket() -> None:
    document = caller_policy(FULL)
    found = {
        action
        for action in actions(document)
        if any(row["access_level"] == "Permissions management" for row in rows(action))
    }
    assert found == {"iam:PassRole", "s3:PutBucketPublicAccessBlock"}
    passing = statements(document)["RunJobsAsRole"]
    assert passing["Resource"] == [FULL.role_arn]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "braket.amazonaws.com"}}


def test_the_jobs_role_can_neither_delete_nor_start_jobs_nor_pass_roles() -> None:
    assert not {"s3:DeleteObject", "braket:CreateJob", "iam:PassRole"} & set(
        actions(role_policy(FULL))
    )


@pytest.mark.parametrize("make", [caller_policy, role_policy, pusher_policy])
@pytest.mark.parametrize("scope", [BARE, FULL], ids=["bare", "full"])
def test_a_policy_fits_into_a_managed_policy(make: Any, scope: Scope) -> None:
    text = json.dumps(make(scope), separators=(",", ":"))
    assert len(text) < MANAGED_POLICY_CHARACTERS
    assert "$" not in text


@pytest.mark.parametrize("make", [caller_policy, role_policy, pusher_policy])
def test_statements_have_names_of_their_own(make: Any) -> None:
    document = make(FULL)
    assert len(statements(document)) == len(document["Statement"])


def test_what_a_scope_does_not_need_is_left_out() -> None:
    lost = set(statements(caller_policy(FULL))) - set(statements(caller_policy(BARE)))
    assert lost == {
        "FindDefaultRole",
        "MakeUsualBucket",
        "UseKey",
        "CheckOwnImage",
        "FindInputData",
    }
    lost = set(statements(role_policy(FULL))) - set(statements(role_policy(BARE)))
    assert lost == {"PullOwnImage", "UseKey", "ReadInputData", "ListInputData"}


def test_input_data_of_users_may_be_read_and_nothing_beside_it() -> None:
    data = {"1": "s3://their-data/molecules/h2", "2": "s3://their-data/grids/", "3": "/here"}
    settings = resolve({"input_data": data}, {}, {})
    scope = scope_of(settings, region="us-east-1", account=ACCOUNT, partition="aws")
    found = statements(role_policy(scope))
    assert found["ListInputData"]["Resource"] == ["arn:aws:s3:::their-data"]
    objects = ("molecules/h2", "molecules/h2/*", "grids/*")
    assert found["ReadInputData"]["Resource"] == [f"arn:aws:s3:::their-data/{o}" for o in objects]


@pytest.mark.parametrize(
    ("prefix", "resource"),
    [("covalent", "/covalent/*"), ("a/b/", "/a/b/*"), ("/", "/*"), ("", "/*")],
)
def test_objects_are_those_below_the_prefix(prefix: str, resource: str) -> None:
    document = caller_policy(replace(BARE, prefix=prefix))
    found = statements(document)["StageAndFetchObjects"]["Resource"]
    assert found == [f"arn:aws:s3:::amazon-braket-ours{resource}"]


def test_only_braket_may_take_the_jobs_role() -> None:
    (statement,) = trust_policy()["Statement"]
    assert statement["Principal"] == {"Service": "braket.amazonaws.com"}


def test_a_platform_may_take_its_role_only_with_the_external_id() -> None:
    (statement,) = platform_trust_policy("aws", "1" * 12, "ours")["Statement"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{'1' * 12}:root"}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "ours"}}


# From settings


def scoped(**given: object) -> Scope:
    settings = resolve(given, {}, {})
    return scope_of(settings, region="eu-west-2", account=ACCOUNT, partition="aws")


def test_without_settings_the_scope_is_what_aws_has_from_the_start() -> None:
    scope = scoped()
    assert scope.bucket == f"amazon-braket-eu-west-2-{ACCOUNT}"
    assert scope.may_create_bucket
    assert scope.role_arn.endswith(":role/service-role/AmazonBraketJobsExecutionRole*")
    assert scope.repository is None


def test_a_named_bucket_is_never_made() -> None:
    assert not scoped(s3_bucket_name="amazon-braket-ours").may_create_bucket


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        (
            f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/a/b:tag",
            f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/a/b",
        ),
        (
            f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/a@sha256:{'0' * 64}",
            f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/a",
        ),
        ("292282985366.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-base-jobs:latest", None),
    ],
)
def test_only_an_own_image_has_a_repository(image: str, repository: str | None) -> None:
    assert scoped(ecr_image_uri=image).repository == repository


@pytest.mark.parametrize(
    ("key", "arn"),
    [
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        (f"arn:aws:kms:eu-west-2:{ACCOUNT}:key/1234", "key/1234"),
        ("alias/ours", "key/*"),
        (f"arn:aws:kms:eu-west-2:{ACCOUNT}:alias/ours", "key/*"),
    ],
)
def test_a_key_becomes_the_arn_that_iam_knows_it_by(key: str, arn: str) -> None:
    assert scoped(kms_key_id=key).kms_key_arn == f"arn:aws:kms:eu-west-2:{ACCOUNT}:{arn}"
