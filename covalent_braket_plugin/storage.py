"""Blocking calls about what tasks have in S3: stage, fetch, clean up.

Nothing here sleeps, and nothing that came from a bucket is unpickled: values stay files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.errors import (
    AwsError,
    ConflictError,
    DigestError,
    IntegrityError,
    NotFoundError,
    TruncatedError,
    UnreachableError,
)
from covalent_braket_plugin.protocol import Keys, Manifest, NodeOutcome, Outcome, Place

__all__ = ["Storage", "encryption", "owned_by"]

T = TypeVar("T")

_CHUNK_BYTES = 1024 * 1024
_DOWNLOAD_ATTEMPTS = 3
_DELETED_AT_ONCE = 1000
_ONE_PUT_BYTES = 64 * 1024 * 1024
"""Up to here one PutObject; beyond, a multipart upload, of which a broken part is sent again."""
_PART_BYTES = 16 * 1024 * 1024
_PROBE = b"Written by covalent-braket doctor, which deletes it at once."
_CLOCKS_DIFFER = timedelta(seconds=2)
"""S3 gives whole seconds, and another service told when the job was made."""
MAX_OUTCOME_BYTES = 16 * 1024 * 1024


class Storage:
    """The calls to S3, for one identity, region and endpoint.

    Args:
        clients: Makes the calls.
    """

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    # --- submit ----------------------------------------------------------------------------------

    def stage(
        self,
        keys: Keys,
        manifest: Manifest,
        payload: Path,
        worker: bytes | None = None,
        *,
        may_create: bool,
    ) -> str:
        """Upload a task's payload and manifest, and the worker if the image does not hold it.

        Args:
            keys: Where to.
            manifest: Describes the payload.
            payload: The payload's file.
            worker: The worker's archive.
            may_create: Create the bucket if it does not exist. Anybody can tell the name of
                Braket's usual bucket, so one of another account is not written to then.

        Returns:
            The manifest's SHA-256, for the job's hyperparameters.

        Raises:
            NotFoundError: There is no such bucket, and it may not be created.
            AwsError: S3 refused; transient while the bucket is still being created.
        """
        body = manifest.to_json()
        extra = encryption(manifest.kms_key_id)
        owned = {**extra, **owned_by(self.clients.account_id() if may_create else "")}
        try:
            self._upload(keys, payload, owned)
        except NotFoundError:
            if not may_create:
                raise
            self._upload_to_new_bucket(keys, payload, owned)
        with ThreadPoolExecutor(1) as pool:  # the two small ones at the same time
            sent = worker and pool.submit(self.stage_worker, keys, worker, manifest.kms_key_id)
            self._put(keys.bucket, keys.manifest, body, extra)
        if sent:
            sent.result()
        return hashlib.sha256(body).hexdigest()

    def stage_worker(self, keys: Keys, worker: bytes, kms_key_id: str) -> None:
        """Upload the worker's archive.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        self._put(keys.bucket, keys.source, worker, encryption(kms_key_id))

    def _put(self, bucket: str, key: str, body: bytes, extra: dict[str, str]) -> None:
        with translated("PutObject"):
            self.clients.s3.put_object(Bucket=bucket, Key=key, Body=body, **extra)

    def reuse(
        self, staged: Keys, keys: Keys, changed: Callable[[Manifest], Manifest] | None = None
    ) -> tuple[str, Manifest] | None:
        """Put a task's payload and manifest, which are in S3, where another attempt looks for them.

        Args:
            staged: Where they are.
            keys: Where they shall be; may be the same place.
            changed: What becomes of the manifest at another place; None: it stays as it is.

        Returns:
            The manifest's SHA-256, and what was found; None if they are not there any more.

        Raises:
            AwsError: S3 refused or did not answer.
            IntegrityError: What is there is not a manifest.
        """
        try:
            with translated("GetObject"):
                answer = self.clients.s3.get_object(Bucket=staged.bucket, Key=staged.manifest)
                body = answer["Body"].read()
            manifest = Manifest.from_json(body)
            extra = encryption(manifest.kms_key_id)
            if changed is not None and keys != staged:
                body = changed(manifest).to_json()
            if keys == staged:
                with translated("HeadObject"):
                    self.clients.s3.head_object(Bucket=keys.bucket, Key=keys.payload)
            else:
                self._copy(staged, keys, extra)
                self._put(keys.bucket, keys.manifest, body, extra)
        except NotFoundError:
            return None
        return hashlib.sha256(body).hexdigest(), manifest

    def _copy(self, staged: Keys, keys: Keys, extra: dict[str, str]) -> None:
        source = {"Bucket": staged.bucket, "Key": staged.payload}
        with translated("CopyObject"):  # in parts if it is large, and never through this machine
            self.clients.s3.copy(source, keys.bucket, keys.payload, ExtraArgs=extra)

    def _upload(self, keys: Keys, payload: Path, extra: dict[str, str]) -> None:
        if payload.stat().st_size > _ONE_PUT_BYTES:
            self._upload_in_parts(keys, payload, extra)
            return
        with translated("PutObject"), payload.open("rb") as body:
            self.clients.s3.put_object(Bucket=keys.bucket, Key=keys.payload, Body=body, **extra)

    def _upload_in_parts(self, keys: Keys, payload: Path, extra: dict[str, str]) -> None:
        # By the file's name: boto3's methods either read whole parts into memory or hide errors.
        from s3transfer.manager import TransferConfig, TransferManager

        config = TransferConfig(
            multipart_threshold=_ONE_PUT_BYTES,
            multipart_chunksize=_PART_BYTES,
            max_request_concurrency=4,
        )
        with translated("UploadPart"), TransferManager(self.clients.s3, config) as transfer:
            transfer.upload(str(payload), keys.bucket, keys.payload, extra_args=extra).result()

    def _upload_to_new_bucket(self, keys: Keys, payload: Path, extra: dict[str, str]) -> None:
        try:
            self.create_bucket(keys.bucket)
            self._upload(keys, payload, extra)
        except NotFoundError as error:
            # S3 says so for a moment after it was created, by us or by another electron.
            raise AwsError(
                f"The bucket {keys.bucket} is being created and is not there yet: {error}",
                code=error.code,
                operation=error.operation,
                transient=True,
            ) from error

    def create_bucket(self, bucket: str) -> None:
        """Create Braket's usual bucket, as the Braket SDK does on first use.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        region = self.clients.region
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        # Another electron may be creating it at this moment; whose it is shows when we upload.
        with contextlib.suppress(ConflictError), translated("CreateBucket"):
            self.clients.s3.create_bucket(
                Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {})
            )
            self.clients.s3.put_public_access_block(
                Bucket=bucket,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )

    # --- look --------------------------------------------------------------------------------

    def region_of(self, bucket: str, owner: str = "") -> str:
        """Tell in which region a bucket is (HeadBucket).

        Args:
            bucket: Its name.
            owner: Account that it has to belong to; empty for any.

        Raises:
            NotFoundError: There is no such bucket.
            AwsError: S3 refused or did not answer.
        """
        with translated("HeadBucket"):
            answer = self.clients.s3.head_bucket(Bucket=bucket, **owned_by(owner))
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return str(headers.get("x-amz-bucket-region") or self.clients.region)

    def tags(self, bucket: str) -> dict[str, str]:
        """Read a bucket's tags (GetBucketTagging).

        Raises:
            AwsError: S3 refused or did not answer.
        """
        try:
            with translated("GetBucketTagging"):
                found = self.clients.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
        except AwsError as error:
            if error.code == "NoSuchTagSet":
                return {}
            raise
        return {tag["Key"]: tag["Value"] for tag in found}

    def try_out(self, bucket: str, key: str, kms_key_id: str = "") -> None:
        """Write a small object, read it and delete it.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        where = {"Bucket": bucket, "Key": key}
        self._put(bucket, key, _PROBE, encryption(kms_key_id))
        try:
            with translated("GetObject"):
                self.clients.s3.get_object(**where)["Body"].read()
        except AwsError:
            with contextlib.suppress(AwsError):  # the first refusal is the one to tell
                self._delete(where)
            raise
        self._delete(where)

    def _delete(self, where: dict[str, str]) -> None:
        with translated("DeleteObject"):
            self.clients.s3.delete_object(**where)

    # --- collect -----------------------------------------------------------------------------

    def fetch_outcome(self, keys: Keys, since: datetime | None = None) -> Outcome | None:
        """Fetch what a job left; None if it left nothing.

        Args:
            keys: Where the task lies.
            since: When the job was made: an older outcome is the record of another one.

        Raises:
            AwsError: S3 refused or did not answer.
            IntegrityError: It is not an outcome.
        """
        try:
            return _whole(lambda: self._outcome(keys, since))
        except NotFoundError:
            return None

    def _outcome(self, keys: Keys, since: datetime | None) -> Outcome | None:
        with translated("GetObject"):
            answer = self.clients.s3.get_object(Bucket=keys.bucket, Key=keys.outcome)
            if since is not None and answer["LastModified"] < since - _CLOCKS_DIFFER:
                return None
            if answer["ContentLength"] > MAX_OUTCOME_BYTES:
                raise IntegrityError(
                    f"{keys.uri(keys.outcome)} has {answer['ContentLength']} bytes: no worker "
                    "of ours wrote it"
                )
            body = answer["Body"].read()
        return Outcome.from_json(body)

    def exists(self, bucket: str, keys: Iterable[str]) -> bool:
        """Whether any of the objects is there.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        for key in keys:
            with contextlib.suppress(NotFoundError), translated("HeadObject"):
                self.clients.s3.head_object(Bucket=bucket, Key=key)
                return True
        return False

    def size_of(self, bucket: str, key: str) -> int | None:
        """Tell an object's size in bytes; None if it is not there (HeadObject).

        Raises:
            AwsError: S3 refused or did not answer.
        """
        try:
            with translated("HeadObject"):
                return int(self.clients.s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except NotFoundError:
            return None

    def fetch_value(self, keys: Keys, node: NodeOutcome, target: Path) -> None:
        """Download a node's value to a file, checking its size and digest on the way.

        Raises:
            AwsError: S3 refused or did not answer.
            TruncatedError: It has another size than the outcome says, or is not there.
            DigestError: It has another digest.
        """
        try:
            _whole(lambda: self._fetch_value(keys, node, target))
        except NotFoundError as error:
            raise TruncatedError(
                f"The value of node {node.node_id} is not there any more: it was brought back "
                f"before, or somebody deleted it. The outcome says that it has {node.size} bytes: "
                f"{error}"
            ) from error

    def _fetch_value(self, keys: Keys, node: NodeOutcome, target: Path) -> None:
        found = self._download_once(keys.bucket, node.key, target)
        if target.stat().st_size != node.size:
            raise TruncatedError(
                f"The value of node {node.node_id} has {target.stat().st_size} bytes, the outcome "
                f"says {node.size}"
            )
        if found != node.sha256:
            raise DigestError(
                f"The value of node {node.node_id} has SHA-256 {found}, the outcome says "
                f"{node.sha256}: it was changed or damaged on the way, and is not used"
            )

    def download(self, bucket: str, key: str, target: Path) -> None:
        """Download an object to a file, with flat memory.

        Raises:
            AwsError: S3 refused or did not answer.
            DigestError: What came is not what S3 keeps.
        """
        _whole(lambda: self._download_once(bucket, key, target))

    def _download_once(self, bucket: str, key: str, target: Path) -> str:
        digest = hashlib.sha256()
        with translated("GetObject"), target.open("wb") as file:
            body = self.clients.s3.get_object(Bucket=bucket, Key=key)["Body"]
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
        return digest.hexdigest()

    # --- clean up ----------------------------------------------------------------------------

    def remove(
        self, keys: Keys, nodes: Iterable[int], *, record: bool = True, archive: bool = False
    ) -> None:
        """Delete what a task left in S3, with one call.

        Args:
            keys: Where the task lies.
            nodes: Its nodes.
            record: Also the outcome and long streams: all that will be known of what became of it.
            archive: Also the archives of the electron's result files, Braket's and the worker's.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        names = [keys.manifest, keys.payload, keys.source]
        names += [keys.value(node) for node in nodes]
        if record:
            names += [keys.outcome, keys.stream("stdout"), keys.stream("stderr")]
        if archive:
            names += [keys.model_archive, keys.results]
        self._delete_objects(keys.bucket, names)

    def remove_below(self, place: Place) -> list[str]:
        """Delete all that lies in a place (ListObjectsV2), whoever put it there.

        Returns:
            The URIs of what was there.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        names = [each["Key"] for each in self._list(place)]
        for start in range(0, len(names), _DELETED_AT_ONCE):
            self._delete_objects(place.bucket, names[start : start + _DELETED_AT_ONCE])
        return [f"s3://{place.bucket}/{name}" for name in names]

    def changed_at(self, place: Place) -> datetime | None:
        """Tell when the newest object of a place was written (ListObjectsV2); None if it is empty.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        return max((each["LastModified"] for each in self._list(place)), default=None)

    def _list(self, place: Place) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        # Where there is no bucket, nothing is in it.
        with contextlib.suppress(NotFoundError), translated("ListObjectsV2"):
            pages = self.clients.s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=place.bucket, Prefix=f"{place.key}/"):
                found += page.get("Contents", ())
        return found

    def _delete_objects(self, bucket: str, names: Iterable[str]) -> None:
        objects = [{"Key": name} for name in names]
        with translated("DeleteObjects"):
            answer = self.clients.s3.delete_objects(
                Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
            )
        if answer.get("Errors"):
            raise AwsError(
                f"DeleteObjects left objects behind: {json.dumps(answer['Errors'][:3])}",
                operation="DeleteObjects",
            )


def _whole(fetch: Callable[[], T]) -> T:
    """Fetch something again if it broke off or was damaged on the way, a few times."""
    for attempt in range(1, _DOWNLOAD_ATTEMPTS + 1):
        try:
            return fetch()
        except (UnreachableError, IntegrityError):  # after botocore's own retries were over
            if attempt == _DOWNLOAD_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def owned_by(account: str) -> dict[str, str]:
    """Demand that a bucket belongs to an account, if one is given."""
    return {"ExpectedBucketOwner": account} if account else {}


def encryption(kms_key_id: str) -> dict[str, str]:
    """Say to S3 which key encrypts an object; nothing without one: the bucket's rule holds."""
    if not kms_key_id:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
