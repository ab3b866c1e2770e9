"""Bucket policies that ask for TLS: what stays on this machine counts as if it came over TLS.

The local Braket answers over plain HTTP on the loopback address. moto reads no conditions in
bucket policies: ``Deny`` without TLS, which every careful bucket has, denies everything there.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["count_loopback_as_tls"]


def count_loopback_as_tls() -> None:
    """Have moto leave out what a bucket's policy says of requests without TLS."""
    from moto.iam.access_control import IAMPolicy, PermissionResult
    from moto.s3.models import FakeBucket

    def get_permission(self: Any, action: str, resource: str) -> Any:
        statements = _statements(self.policy)
        if not statements:
            return PermissionResult.NEUTRAL
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        return IAMPolicy(policy).is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]


def _statements(policy: bytes | None) -> list[dict[str, Any]]:
    found = json.loads(policy)["Statement"] if policy else []
    listed = [found] if isinstance(found, dict) else found
    return [statement for statement in listed if not _without_tls(statement)]


def _without_tls(statement: dict[str, Any]) -> bool:
    asked = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return str(asked[0] if isinstance(asked, list) else asked).lower() == "false"
