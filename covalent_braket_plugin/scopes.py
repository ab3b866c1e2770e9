"""From an executor's settings to what its permissions are narrowed down to."""

from __future__ import annotations

import re

from covalent_braket_plugin.permissions import AWS_IMAGE_ACCOUNT, DEFAULT_ROLE_NAME, Scope
from covalent_braket_plugin.request import role_arn
from covalent_braket_plugin.settings import Settings

__all__ = ["scope_of"]

_OWN_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[^/]+/([^:@]+)")


def scope_of(settings: Settings, *, region: str, account: str, partition: str) -> Scope:
    """Narrow permissions down to what an executor with these settings touches.

    Args:
        settings: The settings.
        region: Region of the jobs; the settings may leave it to AWS's own files.
        account: Account of the jobs, 12 digits.
        partition: ``aws`` or one of its siblings.
    """
    role = settings.braket_job_execution_role_name or DEFAULT_ROLE_NAME
    bucket = settings.s3_bucket_name
    return Scope(
        partition=partition,
        region=region,
        account=account,
        bucket=bucket or f"amazon-braket-{region}-{account}",
        role_arn=role_arn(role, account, partition),
        prefix=settings.s3_prefix,
        repository=_repository(settings.ecr_image_uri or "", partition),
        kms_key_arn=_key_arn(settings.kms_key_id, f"arn:{partition}:kms:{region}:{account}"),
        log_group=settings.log_group_name,
        may_create_bucket=bucket is None,
        input_data=_input_data(settings),
    )


def _input_data(settings: Settings) -> tuple[tuple[str, str], ...]:
    parts = (
        place.removeprefix("s3://").partition("/")
        for place in settings.input_data.values()
        if place.startswith("s3://")
    )
    return tuple((bucket, key) for bucket, _, key in parts)


def _repository(image: str, partition: str) -> str | None:
    own = _OWN_IMAGE.match(image)
    if own is None or own[1] == AWS_IMAGE_ACCOUNT:
        return None
    return f"arn:{partition}:ecr:{own[2]}:{own[1]}:repository/{own[3]}"


def _key_arn(key: str | None, base: str) -> str | None:
    if key is None:
        return None
    if "alias/" in key:  # IAM knows keys by their ids only
        return f"{key.partition(':alias/')[0] if key.startswith('arn:') else base}:key/*"
    return key if key.startswith("arn:") else f"{base}:key/{key}"
