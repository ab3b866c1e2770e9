"""Blocking calls about one identity's jobs: stage, create, ask, cancel, collect, clean up.

Answers of AWS are read once, here, into typed values. Nothing here sleeps, and nothing that came
from a bucket is unpickled: values stay files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.descriptions import (
    Job,
    JobSummary,
    Page,
    job_of,
    summary_of,
)
from covalent_braket_plugin.errors import (
    AwsError,
    ConflictError,
    DigestError,
    IntegrityError,
    NotFoundError,
    TruncatedError,
    UnreachableError,
)
from covalent_braket_plugin.protocol import Keys, Manifest, NodeOutcome, Outcome

__all__ = ["Jobs"]

T = TypeVar("T")

_CHUNK_BYTES = 1024 * 1024
_DOWNLOAD_ATTEMPTS = 3
_ONE_PUT_BYTES = 64 * 1024 * 1024
"""Up to here one PutObject; beyond, a multipart upload, of which a broken part is sent again."""
_PART_BYTES = 16 * 1024 * 1024
LOG_TAIL_LINES = 200
MAX_OUTCOME_BYTES = 16 * 1024 * 1024
_OPEN = frozenset({"CREATED", "QUEUED", "RUNNING"})
_CLOCK_SKEW = timedelta(minutes=5)
"""How far our clock and AWS's may be apart."""


class Jobs:
    """The calls, for one identity, region and endpoint.

    Args:
        clients: Makes the calls.
    """

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    # --- submit ------------------------------------------------------------------------------

    def stage(self, keys: Keys, manifest: Manifest, payload: Path, *, may_create: bool) -> str:
        """Upload a task's payload and manifest.

        Args:
            keys: Where to.
            manifest: Describes the payload.
            payload: The payload's file.
            may_create: Create the bucket if it does not exist.

        Returns:
            The manifest's SHA-256, for the job's hyperparameters.

        Raises:
            AwsError: S3 refused.
        """
        body = manifest.to_json()
        extra = _encryption(manifest.kms_key_id)
        try:
            self._upload(keys, payload, extra)
        except NotFoundError:
            if not may_create:
                raise
            self._create_bucket(keys.bucket)
            self._upload(keys, payload, extra)
        with translated("PutObject"):
            self.clients.s3.put_object(Bucket=keys.bucket, Key=keys.manifest, Body=body, **extra)
        return hashlib.sha256(body).hexdigest()

    def reuse(self, staged: Keys, keys: Keys) -> str | None:
        """Put a task's payload and manifest, which are in S3, where another attempt looks for them.

        Args:
            staged: Where they are.
            keys: Where they shall be; may be the same place.

        Returns:
            The manifest's SHA-256; None if they are not there any more.

        Raises:
            AwsError: S3 refused or did not answer.
            IntegrityError: What is there is not a manifest.
        """
        try:
            with translated("GetObject"):
                answer = self.clients.s3.get_object(Bucket=staged.bucket, Key=staged.manifest)
                body = answer["Body"].read()
            extra = _encryption(Manifest.from_json(body).kms_key_id)
            if keys == staged:
                with translated("HeadObject"):
                    self.clients.s3.head_object(Bucket=keys.bucket, Key=keys.payload)
            else:
                self._copy(staged, keys, extra)
                with translated("PutObject"):
                    self.clients.s3.put_object(
                        Bucket=keys.bucket, Key=keys.manifest, Body=body, **extra
                    )
        except NotFoundError:
            return None
        return hashlib.sha256(body).hexdigest()

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

    def _create_bucket(self, bucket: str) -> None:
        """Create Braket's usual bucket, as the Braket SDK does on first use."""
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

    def create(self, request: Mapping[str, Any]) -> str:
        """Create a job.

        Args:
            request: CreateJob's keywords.

        Returns:
            The job's ARN.

        Raises:
            AwsError: Braket refused.
        """
        with translated("CreateJob"):
            return str(self.clients.braket.create_job(**request)["jobArn"])

    # --- ask ---------------------------------------------------------------------------------

    def describe(self, job_arn: str) -> Job:
        """Ask for all about a job (GetJob).

        Raises:
            AwsError: Braket refused or did not answer.
        """
        with translated("GetJob"):
            return job_of(self.clients.braket.get_job(jobArn=job_arn))

    def page(self, created: datetime, token: str = "") -> Page[JobSummary]:
        """Ask for 100 of the jobs made since ``created`` (SearchJobs), whosever they are.

        The newest come first, as far as is known; our clock and AWS's may differ by minutes.

        Args:
            created: Since when (UTC).
            token: Of the page before; empty for the first one.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        since = (created.astimezone(UTC) - _CLOCK_SKEW).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        query: dict[str, Any] = {
            "filters": [{"name": "createdAt", "operator": "GTE", "values": [since]}],
            "maxResults": 100,
        }
        with translated("SearchJobs"):
            found = self.clients.braket.search_jobs(**query, **_next(token))
            jobs = [summary_of(job) for job in found["jobs"]]
        return Page(jobs, found.get("nextToken") or "")

    def search(self, created_after: datetime) -> list[JobSummary]:
        """Ask for all jobs made since then, whosever they are: one call for each 100 of them.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        found, token = self.page(created_after)
        jobs = list(found)
        while token:
            found, token = self.page(created_after, token)
            jobs += found
        return jobs

    # --- cancel ------------------------------------------------------------------------------

    def cancel(self, job_arn: str) -> bool:
        """Cancel a job.

        Returns:
            Whether it will end CANCELLED; False if it had ended already.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        try:
            with translated("CancelJob"):
                self.clients.braket.cancel_job(jobArn=job_arn)
        except ConflictError:
            return False
        return True

    def open_quantum_tasks(self, job_arn: str, token: str = "") -> Page[str]:
        """Ask for 100 of a job's quantum tasks (SearchQuantumTasks); ARNs of those still open.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        query: dict[str, Any] = {
            "filters": [{"name": "jobArn", "operator": "EQUAL", "values": [job_arn]}],
            "maxResults": 100,
        }
        with translated("SearchQuantumTasks"):
            found = self.clients.braket.search_quantum_tasks(**query, **_next(token))
            tasks = found["quantumTasks"]
        still_open = [task["quantumTaskArn"] for task in tasks if task["status"] in _OPEN]
        return Page(still_open, found.get("nextToken") or "")

    def cancel_quantum_task(self, task_arn: str) -> None:
        """Cancel a quantum task; that it has ended already is fine.

        Raises:
            AwsError: Braket refused or did not answer.
        """
        with contextlib.suppress(ConflictError), translated("CancelQuantumTask"):
            self.clients.braket.cancel_quantum_task(quantumTaskArn=task_arn)

    # --- collect -----------------------------------------------------------------------------

    def fetch_outcome(self, keys: Keys) -> Outcome | None:
        """Fetch what a job left; None if it left nothing.

        Raises:
            AwsError: S3 refused or did not answer.
            IntegrityError: It is not an outcome.
        """
        try:
            return _whole(lambda: self._outcome(keys))
        except NotFoundError:
            return None

    def _outcome(self, keys: Keys) -> Outcome:
        with translated("GetObject"):
            answer = self.clients.s3.get_object(Bucket=keys.bucket, Key=keys.outcome)
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
                f"The value of node {node.node_id} is not there any more, the outcome says that "
                f"it has {node.size} bytes: {error}"
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

    def log_tail(self, job: Job, group: str) -> str:
        """Read the end of a job's log; empty if there is none.

        Raises:
            AwsError: CloudWatch Logs refused or did not answer.
        """
        prefix = f"{job.name}/{job.arn.rpartition('/')[2]}/"
        try:
            with translated("GetLogEvents"):
                streams = self.clients.logs.describe_log_streams(
                    logGroupName=group, logStreamNamePrefix=prefix
                )["logStreams"]
                if not streams:
                    return ""
                events = self.clients.logs.get_log_events(
                    logGroupName=group,
                    logStreamName=streams[0]["logStreamName"],
                    limit=LOG_TAIL_LINES,
                    startFromHead=False,
                )["events"]
        except NotFoundError:
            return ""
        return "".join(f"{event['message'].rstrip()}\n" for event in events)

    # --- clean up ----------------------------------------------------------------------------

    def remove(self, keys: Keys, nodes: Iterable[int], *, archive: bool = False) -> None:
        """Delete what a task left in S3.

        Args:
            keys: Where the task lies.
            nodes: Its nodes.
            archive: Also the archive that Braket makes of the electron's result files.

        Raises:
            AwsError: S3 refused or did not answer.
        """
        names = [keys.manifest, keys.payload, keys.outcome]
        names += [keys.stream("stdout"), keys.stream("stderr")]
        names += [keys.value(node) for node in nodes]
        if archive:
            names.append(keys.model_archive)
        objects = [{"Key": name} for name in names]
        with translated("DeleteObjects"):
            answer = self.clients.s3.delete_objects(
                Bucket=keys.bucket, Delete={"Objects": objects, "Quiet": True}
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


def _next(token: str) -> dict[str, str]:
    return {"nextToken": token} if token else {}


def _encryption(kms_key_id: str) -> dict[str, str]:
    if not kms_key_id:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
