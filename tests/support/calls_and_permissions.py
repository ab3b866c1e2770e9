"""Compares the calls that a whole run of the tests made with the permissions that we ask for.

Every local Braket of the run notes the operations that it was asked for, by who asked. At the end
of a run each one of the dispatcher's and of the jobs' must be allowed by our policies, and each
permission in them must have been needed, or stand in a table below with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from covalent_braket_plugin.permissions import CALLER, PUSHER, ROLE, Grant

Calls = Mapping[str, frozenset[str]]
"""By caller: the operations, as ``service:Operation``."""

ACTIONS: Mapping[str, tuple[str, ...]] = {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:UploadPartCopy": ("s3:GetObject", "s3:PutObject"),
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_braket.html
    "braket:CreateJob": ("braket:CreateJob", "braket:TagResource", "iam:PassRole"),
    # Nobody needs a permission to ask who they are.
    "sts:GetCallerIdentity": (),
}
"""Which actions an operation needs, if not the one of its own name."""

NOT_THE_CALLERS: Mapping[str, str] = {
    "s3:Unknown": "an unsigned call to STS (AssumeRoleWithWebIdentity), which needs no permission",
    "ecr:CreateRepository": "whoever pushes an image needs this, and no server does",
    "ecr:DescribeRepositories": "whoever pushes an image needs this, and no server does",
    "ecr:GetAuthorizationToken": "whoever pushes an image needs this, and no server does",
    "sts:AssumeRole": "whoever assumes a role needs this; the role's policy is the caller's",
}
"""Operations of the dispatcher's code that the caller's policy leaves out, with the reason."""

NOT_THE_ROLES: Mapping[str, str] = {}
"""Operations of programs in jobs that the role's policy leaves out, with the reason."""

UNSEEN: Mapping[str, Mapping[str, str]] = {
    "caller": {
        "kms:Decrypt": "S3 asks KMS in the caller's name",
        "kms:GenerateDataKey": "S3 asks KMS in the caller's name",
        "s3:AbortMultipartUpload": "only when an upload in parts fails half-way",
        "s3:ListBucket": "S3 looks for it before it says that an object is not there",
    },
    "pusher": {
        "ecr:BatchCheckLayerAvailability": "the engine asks the registry itself",
        "ecr:CompleteLayerUpload": "the engine asks the registry itself",
        "ecr:CreateRepository": "only with an engine, which not every machine has",
        "ecr:DescribeImages": "only with an engine, which not every machine has",
        "ecr:DescribeRepositories": "only with an engine, which not every machine has",
        "ecr:GetAuthorizationToken": "only with an engine, which not every machine has",
        "ecr:InitiateLayerUpload": "the engine asks the registry itself",
        "ecr:PutImage": "the engine asks the registry itself",
        "ecr:UploadLayerPart": "the engine asks the registry itself",
    },
    "role": {
        "braket:CancelQuantumTask": "electrons may cancel their quantum tasks",
        "braket:SearchDevices": "electrons may look for devices (AwsDevice.get_devices)",
        "braket:TagResource": "electrons may tag their quantum tasks",
        "cloudwatch:PutMetricData": "Braket does so in the role's name",
        "ecr:BatchCheckLayerAvailability": "Braket pulls the image in the role's name",
        "ecr:BatchGetImage": "Braket pulls the image in the role's name",
        "ecr:GetAuthorizationToken": "Braket pulls the image in the role's name",
        "ecr:GetDownloadUrlForLayer": "Braket pulls the image in the role's name",
        "kms:Decrypt": "S3 asks KMS in the role's name",
        "kms:GenerateDataKey": "S3 asks KMS in the role's name",
        "logs:CreateLogGroup": "Braket writes the log in the role's name",
        "logs:CreateLogStream": "Braket writes the log in the role's name",
        "logs:DescribeLogStreams": "Braket writes the log in the role's name",
        "logs:PutLogEvents": "Braket writes the log in the role's name",
        "s3:AbortMultipartUpload": "only when an upload in parts fails half-way",
        "s3:ListBucket": "S3 looks for it before it says that an object is not there",
    },
}
"""Permissions that no call of ours shows, with who needs them."""


OF_THE_DISPATCHER: Mapping[str, tuple[Grant, ...]] = {"caller": CALLER, "pusher": PUSHER}
"""The policies for what bears the dispatcher's name, which the command line does as well."""


def read(directory: Path) -> Calls:
    """Read what the local Brakets of a run have noted."""
    found: dict[str, set[str]] = {}
    for path in directory.glob("*.calls"):
        for line in path.read_text().splitlines():
            caller, _, operation = line.partition(" ")
            found.setdefault(caller, set()).add(operation)
    return {caller: frozenset(operations) for caller, operations in found.items()}


def is_whole_run(config: pytest.Config) -> bool:
    """Whether all tests run, and this process leads the others."""
    chosen = config.option
    return (
        not hasattr(config, "workerinput")
        and config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and not (chosen.keyword or chosen.markexpr or chosen.deselect or chosen.collectonly)
        and not any(config.getoption(name, None) for name in ("lf", "maxfail"))
    )


def differences(calls: Calls) -> list[str]:
    """Say, a line each, which calls are not allowed and which permissions nothing needed."""
    return [
        *_compare(calls.get("dispatcher", frozenset()), OF_THE_DISPATCHER, NOT_THE_CALLERS),
        *_compare(calls.get("job", frozenset()), {"role": ROLE}, NOT_THE_ROLES),
    ]


def _compare(
    operations: Iterable[str],
    tables: Mapping[str, Iterable[Grant]],
    left_out: Mapping[str, str],
) -> list[str]:
    needed = {
        action: operation
        for operation in operations
        if operation not in left_out
        for action in ACTIONS.get(operation, (operation,))
    }
    granted = {
        whose: {action for grant in table for action in grant.actions}
        for whose, table in tables.items()
    }
    missing = [
        f"{needed[action]} was called, but the {' or '.join(tables)}'s policy does not allow "
        f"{action}: add it to permissions.py, with the reason"
        for action in sorted(needed.keys() - set().union(*granted.values()))
    ]
    idle = [
        f"The {whose}'s policy allows {action}, but no call of this run needed it: take it out of "
        "permissions.py, or say in UNSEEN who needs it"
        for whose, actions in granted.items()
        for action in sorted(actions - needed.keys() - UNSEEN[whose].keys())
    ]
    return missing + idle
