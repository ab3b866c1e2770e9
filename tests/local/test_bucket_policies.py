"""Bucket policies on the local Braket."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.support.braket_server import BraketServer

BUCKET = "amazon-braket-with-a-policy"


def deny(action: str, condition: dict[str, object] | None = None) -> dict[str, object]:
    statement: dict[str, object] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": "*",
    }
    return {**statement, "Condition": condition} if condition else statement


def test_a_bucket_that_asks_for_tls_can_be_used(local_braket: BraketServer) -> None:
    s3 = local_braket.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    tls_only = deny("s3:*", {"Bool": {"aws:SecureTransport": "false"}})
    policy = {"Version": "2012-10-17", "Statement": [tls_only]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    s3.put_object(Bucket=BUCKET, Key="key", Body=b"x")
    assert s3.get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"x"
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]) == policy

    policy["Statement"] = [tls_only, deny("s3:GetObject")]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    with pytest.raises(ClientError, match="Forbidden"):
        s3.get_object(Bucket=BUCKET, Key="key")
