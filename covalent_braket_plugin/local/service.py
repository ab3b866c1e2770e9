"""What the parts of the local Braket agree on: who calls, what an operation is, how it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Params = dict[str, Any]
"""Parsed request members, named as in botocore's service model."""


@dataclass(frozen=True)
class Caller:
    """Who calls, read from the request's signature.

    Attributes:
        region: Region of the credential scope, such as ``us-east-1``.
        account_id: Twelve digits.
        user_agent: The request's User-Agent header.
    """

    region: str
    account_id: str
    user_agent: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Region and account: nobody sees the resources of another place."""
        return self.region, self.account_id


Operation = Callable[[Caller, Params], Params]
"""An operation of the service: caller and request members in, response members out."""


class ServiceError(Exception):
    """An error answer of the service.

    Args:
        code: Error code, such as ``ValidationException``.
        message: Text for the caller.
        members: Further members of the error's shape.
    """

    def __init__(self, code: str, message: str, **members: Any) -> None:
        self.code = code
        self.message = message
        self.members = members
        super().__init__(f"{code}: {message}")


class ObjectStore(Protocol):
    """The few S3 calls that jobs and quantum tasks make; errors are botocore's."""

    def put(self, region: str, bucket: str, key: str, body: bytes) -> None:
        """Store an object."""

    def bucket_exists(self, region: str, bucket: str) -> bool:
        """Whether the bucket is there."""
