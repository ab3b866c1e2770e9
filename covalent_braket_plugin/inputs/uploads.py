"""Local content to S3, once: below ``inputs/`` of the prefix, named by its digest.

Its commit mark is written last, so that an upload that broke off is begun again. The bytes are
hashed again as they are sent: what is marked is what the digest says, also if a file changes
meanwhile. Objects may be deleted by the bucket's lifecycle rules, counted from the day they were
written: content of yesterday is renewed in S3 before it is used, so that it lives as long as the
payload of an electron that is sent now, and its mark never outlives it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Literal

from covalent_braket_plugin.aws import translated
from covalent_braket_plugin.errors import AwsError, IntegrityError, NotFoundError
from covalent_braket_plugin.inputs.contents import Content, File, Heard
from covalent_braket_plugin.remembered import Remembered
from covalent_braket_plugin.storage import Storage, encryption, owned_by

__all__ = ["ChangedError", "Target", "ensure", "mark_of", "standing"]

RENEWED_AFTER = timedelta(days=1)
REMEMBERED_SECONDS = 60.0
"""Many electrons of one workflow ask once."""
PART_BYTES = 8 * 1024 * 1024
NO_BUCKET = "NoSuchBucket"
MAX_PARTS = 10_000
"""Of one upload (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

Standing = Literal["missing", "old", "fresh"]

log = logging.getLogger(__name__)
_fresh: Remembered[bool] = Remembered()


class ChangedError(IntegrityError):
    """A file changed while it was uploaded."""


@dataclass(frozen=True)
class Target:
    """Where uploads go.

    Attributes:
        storage: The calls to S3.
        bucket: The bucket.
        prefix: The prefix of all that is ours in it.
        kms_key_id: Key that encrypts what is stored; empty: the bucket's own rule.
        may_create: Whether to create the bucket, which has to be this account's then.
        service: Which service it is, if it may be replaced by another at the same address.
        renewed_after: Content that is older is renewed.
    """

    storage: Storage
    bucket: str
    prefix: str
    kms_key_id: str = ""
    may_create: bool = False
    service: Hashable = None
    renewed_after: timedelta = RENEWED_AFTER

    def base(self, name: str) -> str:
        """Key of a content's folder, without a slash at its end."""
        return "/".join(part for part in (self.prefix.strip("/"), "inputs", name) if part)

    def name(self, content: Content) -> str:
        """Name content: by what it is, and by the key that it is encrypted with."""
        if not self.kms_key_id:
            return content.digest
        return hashlib.sha256(f"{content.digest} {self.kms_key_id}".encode()).hexdigest()

    def uri(self, key: str) -> str:
        """S3 URI of a key."""
        return f"s3://{self.bucket}/{key}"

    @property
    def owned(self) -> dict[str, str]:
        """What demands that a bucket that anybody can tell the name of is this account's."""
        return owned_by(self.storage.clients.account_id() if self.may_create else "")


@dataclass(frozen=True)
class Mark:
    """What the commit mark says of content.

    Attributes:
        files: How many files it has.
        size: Their size, in bytes.
    """

    files: int
    size: int


def mark_of(content: Content) -> Mark:
    """What a mark of content has to say."""
    return Mark(len(content.files), content.size)


def ensure(target: Target, content: Content, heard: Heard) -> None:
    """See to it that content is in S3, whole, and young enough to stay for long.

    Whoever needs the same content at the same time waits, and finds it there.

    Args:
        target: Where to.
        content: The content.
        heard: Told of the bytes that are sent; what it raises gives the upload up.

    Raises:
        ChangedError: A file is not what it was when it was read.
        AwsError: S3 refused or did not answer.
    """
    name = target.name(content)

    def bring() -> bool:
        state = standing(target, name, mark_of(content))
        if state == "missing":
            _upload(target, name, content, heard)
        elif state == "old":
            _renew(target, name, content)
        return True

    key = target.storage.clients.identity_key, target.service, target.bucket, target.base(name)
    _fresh.get(key, bring, lambda known: REMEMBERED_SECONDS)


def standing(target: Target, name: str, mark: Mark | None = None) -> Standing:
    """Tell how content stands in S3, from one listing.

    Args:
        target: Where it is.
        name: Its name.
        mark: What is to be there; None: what its mark says.

    Raises:
        AwsError: S3 refused or did not answer.
    """
    base = target.base(name)
    try:
        found = _listed(target, base)
        if f"{base}.done" not in found:
            return "missing"
        mark = mark or _read(target, f"{base}.done")
    except NotFoundError:
        return "missing"
    data = [each for key, each in found.items() if key.startswith(f"{base}/")]
    if mark != Mark(len(data), sum(size for size, _ in data)):
        return "missing"
    age = datetime.now(UTC) - min(at for _, at in data)
    return "old" if age > target.renewed_after else "fresh"


def _listed(target: Target, base: str) -> dict[str, tuple[int, datetime]]:
    """List content and its mark, which have the same beginning: sizes and times by key."""
    found = {}
    with translated("ListObjectsV2"):
        pages = target.storage.clients.s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=target.bucket, Prefix=base, **target.owned):
            for each in page.get("Contents", ()):
                found[str(each["Key"])] = (int(each["Size"]), each["LastModified"])
    return found


def _read(target: Target, key: str) -> Mark:
    with translated("GetObject"):
        answer = target.storage.clients.s3.get_object(Bucket=target.bucket, Key=key)
        said = json.loads(answer["Body"].read())
    return Mark(int(said["files"]), int(said["bytes"]))


def _upload(target: Target, name: str, content: Content, heard: Heard) -> None:
    base, start = target.base(name), datetime.now(UTC)
    what = f"{len(content.files)} files, {content.size} bytes"
    log.info("Uploading input data to %s: %s", target.uri(base), what)
    try:
        _send(target, base, content, heard)
    except NotFoundError as error:
        if not target.may_create or error.code != NO_BUCKET:
            raise
        target.storage.create_bucket(target.bucket)
        _send_to_new_bucket(target, base, content, heard)
    _mark(target, base, content)
    took = (datetime.now(UTC) - start).total_seconds()
    log.info("Uploaded input data to %s in %.1f s: %s", target.uri(base), took, what)


def _send_to_new_bucket(target: Target, base: str, content: Content, heard: Heard) -> None:
    try:
        _send(target, base, content, heard)
    except NotFoundError as error:  # S3 says so for a moment after it was created
        if error.code != NO_BUCKET:  # what does not pass by itself would be asked for a day long
            raise
        text = f"The bucket {target.bucket} is being created and is not there yet: {error}"
        raise AwsError(text, code=error.code, operation=error.operation, transient=True) from error


def _send(target: Target, base: str, content: Content, heard: Heard) -> None:
    from s3transfer.manager import TransferConfig, TransferManager

    largest = max(file.found.size for file in content.files)
    config = TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=max(PART_BYTES, -(-largest // (MAX_PARTS - 1))),
        max_request_concurrency=4,
        max_submission_concurrency=2,
        max_in_memory_upload_chunks=4,
    )
    extra = {**encryption(target.kms_key_id), **target.owned}
    s3 = target.storage.clients.s3
    sent = []
    with (
        contextlib.ExitStack() as opened,
        translated("UploadPart"),
        TransferManager(s3, config) as transfer,
    ):
        for file in content.files:
            source = _Sent(file, heard)
            opened.callback(source.close)
            key = f"{base}/{file.found.name}"
            sent.append((source, transfer.upload(source, target.bucket, key, extra_args=extra)))
        try:
            for source, future in sent:
                future.result()
                source.demand_unchanged()
        except ChangedError:
            _withdraw(target, base, [file.found.name for file in content.files])
            raise


def _withdraw(target: Target, base: str, names: list[str]) -> None:
    """Take away what is not what its digest says, and the mark that another one may have made."""
    s3 = target.storage.clients.s3
    for key in (f"{base}.done", *(f"{base}/{name}" for name in names)):
        with translated("DeleteObject"):
            s3.delete_object(Bucket=target.bucket, Key=key)


def _mark(target: Target, base: str, content: Content) -> None:
    mark = mark_of(content)
    extra = {**encryption(target.kms_key_id), **target.owned}
    body = json.dumps({"files": mark.files, "bytes": mark.size}).encode()
    with translated("PutObject"):
        target.storage.clients.s3.put_object(
            Bucket=target.bucket, Key=f"{base}.done", Body=body, **extra
        )


def _renew(target: Target, name: str, content: Content) -> None:
    """Have S3 write content anew, which makes it young; nothing comes through this machine."""
    base, s3 = target.base(name), target.storage.clients.s3
    log.info("Renewing input data in %s", target.uri(base))
    extra = {**encryption(target.kms_key_id), "MetadataDirective": "REPLACE"}
    for file in content.files:
        key = f"{base}/{file.found.name}"
        source = {"Bucket": target.bucket, "Key": key}
        with translated("CopyObject"):
            s3.copy(source, target.bucket, key, ExtraArgs=extra)
    _mark(target, base, content)


class _Sent:
    """A file that is read once, from its beginning to its end, and hashed on the way."""

    def __init__(self, file: File, heard: Heard) -> None:
        self._file = file
        self._heard = heard
        self._digest = hashlib.sha256()
        self._opened: IO[bytes] | None = None

    def read(self, size: int = -1) -> bytes:
        """Read on; opened as late as this and closed at once, since there may be very many.

        Raises:
            ChangedError: It cannot be read any more.
        """
        try:
            if self._opened is None:
                self._opened = self._file.found.path.open("rb")
            data = b"" if self._opened.closed else self._opened.read(size)
        except OSError as error:
            raise ChangedError(f"{self._file.found.path} was there before: {error}") from error
        if size < 0 or len(data) < size:
            self._opened.close()
        self._digest.update(data)
        self._heard(len(data))
        return data

    def close(self) -> None:
        """Close it, if its upload was given up before its end."""
        if self._opened is not None:
            self._opened.close()

    def demand_unchanged(self) -> None:
        """Compare what was sent with what was read before.

        Raises:
            ChangedError: They differ.
        """
        if self._digest.hexdigest() != self._file.sha256:
            raise ChangedError(f"{self._file.found.path} changed while it was uploaded")
