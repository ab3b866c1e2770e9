"""Reads the S3 locations of requests."""

from __future__ import annotations

import re

__all__ = ["bucket_and_key"]

# `S3Path` of the service model allows both schemes; a key may hold any character, also # and ?.
_MODELLED = re.compile(r"(https|s3)://([^/]+)/?(.*)", re.DOTALL)
_S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key`` or of either https form of S3's addresses.

    Raises:
        ValueError: It is no such location.
    """
    found = _MODELLED.fullmatch(uri)
    if found is None:
        raise ValueError(f"{uri!r} is no S3 location")
    scheme, bucket, key = found.groups()
    host = _S3_HOST.fullmatch(bucket) if scheme == "https" else None
    if host is not None and host["bucket"]:
        bucket = host["bucket"]
    elif host is not None:
        bucket, _, key = key.partition("/")
    return bucket, key
