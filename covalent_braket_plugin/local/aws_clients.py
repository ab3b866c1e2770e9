"""The AWS calls that the local Braket makes itself, through its own port like everybody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from covalent_braket_plugin.local.server.calls import SERVICE_AGENT

__all__ = ["DUMMY_KEY", "S3", "AwsClients", "Halted", "HaltedTransfer"]

# The local Braket checks no signature; botocore only wants something to sign with.
DUMMY_KEY = "local-braket"
CONNECTIONS = 32

# It is this process that answers: what takes longer than this does not come any more.
READ_SECONDS = 20
ATTEMPTS = 3

Halted = Callable[[], bool]
"""Whether a transfer shall be given up; asked with every part of it."""


class HaltedTransfer(Exception):
    """A transfer was given up because it was no longer wanted."""


class AwsClients:
    """boto3 clients of the local endpoint, made when first used; thread-safe.

    Args:
        endpoint_url: Where the local Braket listens.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, region: str, account: str = DUMMY_KEY) -> Any:
        """The client of a service in a region, and in an account if it is not the usual one."""
        key = service, region, account
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(*key)
            return self._clients[key]

    def _make(self, service: str, region: str, account: str) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            user_agent_extra=SERVICE_AGENT,
            max_pool_connections=CONNECTIONS,
            proxies={},
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": ATTEMPTS},
        )
        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self._endpoint_url,
            aws_access_key_id=account,
            aws_secret_access_key=DUMMY_KEY,
            config=config,
        )


class S3:
    """The S3 calls of jobs and quantum tasks; errors are botocore's.

    Args:
        clients: Where the clients come from.
    """

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    def put(self, region: str, bucket: str, key: str, body: bytes) -> None:
        """Store an object."""
        self._client(region).put_object(Bucket=bucket, Key=key, Body=body)

    def bucket_exists(self, region: str, bucket: str) -> bool:
        """Whether the bucket is there."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client(region).head_bucket(Bucket=bucket)
        except (ClientError, BotoCoreError):
            return False
        return True

    def create_bucket(self, region: str, bucket: str) -> None:
        """Make a bucket."""
        client = self._client(region)
        if region == "us-east-1":
            client.create_bucket(Bucket=bucket)
        else:
            place = {"LocationConstraint": region}
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)

    def keys(self, region: str, bucket: str, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix."""
        pages = self._client(region).get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                yield item["Key"]

    def download(
        self, region: str, bucket: str, key: str, path: Path, halted: Halted | None = None
    ) -> None:
        """Copy an object into a file, a part at a time.

        Raises:
            HaltedTransfer: It was to be given up.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        transfer = partial(self._client(region).download_file, bucket, key, str(path))
        _haltable(transfer, halted)

    def upload(
        self, region: str, bucket: str, key: str, path: Path, halted: Halted | None = None
    ) -> None:
        """Copy a file into an object, a part at a time.

        Raises:
            HaltedTransfer: It was to be given up.
        """
        _haltable(partial(self._client(region).upload_file, str(path), bucket, key), halted)

    def _client(self, region: str) -> Any:
        return self._clients.client("s3", region)


def _haltable(transfer: Callable[..., None], halted: Halted | None) -> None:
    from boto3.s3.transfer import TransferConfig

    def check(amount: int = 0) -> None:
        if halted is not None and halted():
            raise HaltedTransfer

    check()
    try:
        transfer(Config=TransferConfig(use_threads=False), Callback=check)
    except Exception:
        # botocore wraps what a callback raises in errors of its own.
        check()
        raise
