"""Whose a bucket is, where a caller says whose it has to be: moto does not look at that."""

from __future__ import annotations

from typing import Any

__all__ = ["of_another_account"]


def of_another_account(environ: dict[str, Any]) -> bool:
    """Whether a path-style S3 request expects another owner of its bucket than it has.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    from moto.s3.models import s3_backends

    expected = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
    bucket = environ["PATH_INFO"].lstrip("/").partition("/")[0]
    _, owner = s3_backends.bucket_accounts.get(bucket, ("", expected))
    return expected is not None and owner != expected
