"""The roles that an account has in which Braket was enabled: the jobs', and Braket's own."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from covalent_braket_plugin.local.aws_clients import AwsClients

__all__ = ["NAME", "PATH", "make"]

PATH = "/service-role/"
NAME = "AmazonBraketJobsExecutionRole"

OWN_PATH = "/aws-service-role/braket.amazonaws.com/"
OWN_NAME = "AWSServiceRoleForAmazonBraket"

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "braket.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def _allow(resource: str, *actions: str, **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
_S3 = (*_OBJECTS, "s3:ListBucket", "s3:CreateBucket")
_TASKS = ("CreateQuantumTask", "GetQuantumTask", "CancelQuantumTask", "SearchQuantumTasks")
_JOBS = ("CreateJob", "GetJob", "CancelJob", "SearchJobs")
_OTHERS = ("GetDevice", "SearchDevices", "TagResource", "UntagResource", "ListTagsForResource")
_LAYERS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
_LOGS = ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "GetLogEvents", "PutLogEvents")

# What AWS's AmazonBraketJobsExecutionPolicy (v3, 2026-07-06) allows of what a job may need, and
# what it lacks: that an upload in parts may be given up, and the pulling of the worker's image.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        _allow("arn:aws:s3:::amazon-braket-*", *_S3),
        _allow(
            "arn:aws:s3:::*", *_S3, StringEqualsIgnoreCase={"aws:ResourceTag/AmazonBraket": "true"}
        ),
        _allow("arn:aws:ecr:*:*:repository/amazon-braket*", *_LAYERS),
        _allow("arn:aws:ecr:*:*:repository/covalent-braket-*", *_LAYERS),
        _allow("*", "ecr:GetAuthorizationToken"),
        _allow("*", *(f"braket:{name}" for name in (*_TASKS, *_JOBS, *_OTHERS))),
        _allow("arn:aws:logs:*:*:log-group:/aws/braket*", *(f"logs:{name}" for name in _LOGS)),
        _allow(
            "*",
            "cloudwatch:PutMetricData",
            StringEquals={"cloudwatch:namespace": "/aws/braket"},
        ),
    ],
}


def make(clients: AwsClients, region: str, account: str) -> None:
    """Make the roles, in an account that may have them already.

    Args:
        clients: Clients of the local endpoint.
        region: Where IAM is asked.
        account: The account.
    """
    iam = clients.client("iam", region, account)
    for name, path in ((NAME, PATH), (OWN_NAME, OWN_PATH)):
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(
        RoleName=NAME,
        PolicyName="AmazonBraketJobsExecutionPolicy",
        PolicyDocument=json.dumps(POLICY),
    )
