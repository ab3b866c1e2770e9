"""Data that users have in S3: is it there, where the jobs are, and how does a job get it?"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Any

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.errors import (
    AccessError,
    CredentialsError,
    NotFoundError,
    RejectedError,
)
from covalent_braket_plugin.inputs.places import Place
from covalent_braket_plugin.remembered import Remembered
from covalent_braket_plugin.storage import Storage

__all__ = ["uri_of"]

REMEMBERED_SECONDS = 60.0
"""Electrons of one workflow share the answer."""
LOOKED_AT = 100
"""So many keys of a folder, to find one that is not just a folder's mark."""

log = logging.getLogger(__name__)
_uris: Remembered[str] = Remembered()
_regions: Remembered[str] = Remembered()


def uri_of(place: Place, storage: Storage, service: Hashable = None) -> str:
    """Find out how a job gets data that is in S3.

    Braket takes every key that begins with what it is given, so that ``data`` would bring
    ``data2/`` too: a folder ends with a slash. An object of exactly this key is a file.

    Args:
        place: The data.
        storage: The calls to S3.
        service: Which service it is, if it may be replaced by another at the same address.

    Returns:
        The URI of an object, or of a folder with a slash at its end.

    Raises:
        SettingError: It is not there, in another region, or may not be seen.
        AwsError: S3 did not answer.
    """
    key = storage.clients.identity_key, service, place.given
    return _uris.get(key, lambda: _look(place, storage, service), lambda uri: REMEMBERED_SECONDS)


def _look(place: Place, storage: Storage, service: Hashable) -> str:
    bucket, _, key = place.given.removeprefix("s3://").partition("/")
    try:
        _demand_region(place, storage, bucket, service)
        return _found(place, storage.clients, bucket, key)
    except NotFoundError as error:
        fix = "Correct the URI, or make the bucket."
        raise place.refusal(f"there is no bucket {bucket} ({error})", fix) from error
    except CredentialsError:
        raise
    except (AccessError, RejectedError) as error:
        # S3 redirects from another region with an error that names no better reason.
        fix = (
            f"Allow s3:ListBucket on arn:{storage.clients.partition}:s3:::{bucket} "
            "(`covalent-braket policy caller`; the bucket's own policy has to allow it too if it "
            "is of another account), or correct the name."
        )
        rule = f"this identity must be allowed to look whether it is there ({error})"
        raise place.refusal(rule, fix) from error


def _demand_region(place: Place, storage: Storage, bucket: str, service: Hashable) -> None:
    # For the next channel of the same bucket too.
    key = storage.clients.identity_key, service, bucket
    region = _regions.get(key, lambda: storage.region_of(bucket), lambda found: REMEMBERED_SECONDS)
    if region != storage.clients.region:
        rule = f"it must be in the jobs' region, {storage.clients.region}; {bucket} is in {region}"
        fix = f"Copy the data to a bucket there, or use region={region!r}."
        raise place.refusal(rule, fix)


def _found(place: Place, clients: Clients, bucket: str, key: str) -> str:
    if key and not key.endswith("/"):
        alike = _keys(clients, bucket, key, 2)
        if alike[:1] == [key]:  # the first in order, if there is such an object
            if alike != [key]:
                log.warning(
                    "input_data[%r]: Braket may bring s3://%s/%s too, whose key begins as that of "
                    "%s does; name a folder if that matters",
                    *(place.channel, bucket, alike[1], place.given),
                )
            return place.given
    folder = f"{key.rstrip('/')}/" if key else ""
    if any(not each.endswith("/") for each in _keys(clients, bucket, folder, LOOKED_AT)):
        return f"s3://{bucket}/{folder}"
    raise place.refusal(
        "there must be an object of this key, or objects below it as a folder",
        "Correct the URI, or upload the data first: aws s3 cp --recursive.",
    )


def _keys(clients: Clients, bucket: str, prefix: str, most: int) -> list[str]:
    with translated("ListObjectsV2"):
        answer: dict[str, Any] = clients.s3.list_objects_v2(
            Bucket=bucket, Prefix=prefix, MaxKeys=most
        )
    return [str(each["Key"]) for each in answer.get("Contents", ())]
