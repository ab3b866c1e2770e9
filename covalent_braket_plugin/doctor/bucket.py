"""The bucket: there, in the right region, named as Braket wants it, and ours to write to."""

from __future__ import annotations

import uuid

from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, warning
from covalent_braket_plugin.errors import AccessError, CredentialsError, NotFoundError

__all__ = ["bucket", "name_rule", "write"]

PREFIX = "amazon-braket-"
TAG = "AmazonBraket"


def bucket(exam: Exam) -> Result:
    """See whether the bucket is there, and in the jobs' region."""
    exam.bucket, region = exam.scope.bucket, exam.clients.region
    usual = exam.settings.s3_bucket_name is None
    try:
        found = exam.storage.region_of(exam.bucket, exam.account if usual else "")
    except NotFoundError:
        return _missing(exam)
    except CredentialsError:
        raise
    except AccessError:
        return failed(
            f"{exam.bucket} is not for this identity to see, or somebody else's",
            "Name a bucket of yours in s3_bucket_name, or allow s3:ListBucket on "
            f"arn:aws:s3:::{exam.bucket}",
        )
    exam.bucket_exists = True
    if found != region:
        return failed(
            f"{exam.bucket} is in {found}, the jobs are in {region}",
            f"Name a bucket in {region}, or leave s3_bucket_name out for Braket's usual one",
        )
    return ok(f"{exam.bucket}, in {region}")


def _missing(exam: Exam) -> Result:
    exam.bucket_exists = False
    if exam.settings.s3_bucket_name is None:
        return ok(f"{exam.bucket} is not there yet; the first electron makes it")
    return failed(
        f"{exam.bucket} does not exist",
        f"aws s3 mb s3://{exam.bucket} --region {exam.clients.region}, name another, or leave "
        "s3_bucket_name out for Braket's usual one, which is made when needed",
    )


def name_rule(exam: Exam) -> Result:
    """See whether AWS's policies for Braket cover the bucket: by its name, or by its tag.

    AmazonBraketServiceRolePolicy, by which Braket writes results of quantum tasks, allows buckets
    ``amazon-braket-*`` and, since 2026-07-06, those tagged ``AmazonBraket=true``.
    """
    if exam.bucket.startswith(PREFIX):
        return ok(f"begins with {PREFIX}")
    tags = exam.storage.tags(exam.bucket)
    if any(key.lower() == TAG.lower() and tags[key].lower() == "true" for key in tags):
        return ok(f"has the tag {TAG}=true, which counts if S3's ABAC is on for the bucket")
    return failed(
        f"{exam.bucket} neither begins with {PREFIX} nor has the tag {TAG}=true, so Braket may "
        "not put results of quantum tasks there",
        f"Name a bucket {PREFIX}..., or tag it {TAG}=true and turn S3's ABAC on for it",
    )


def write(exam: Exam) -> Result:
    """Write, read and delete an object under the prefix."""
    if not exam.bucket_exists:
        return Result("skipped", "the bucket is not there yet")
    prefix = exam.settings.s3_prefix.strip("/")
    key = f"{prefix}/doctor-{uuid.uuid4()}".lstrip("/")
    try:
        exam.storage.try_out(exam.bucket, key, exam.settings.kms_key_id or "")
    except (CredentialsError, NotFoundError):
        raise
    except AccessError as error:
        if error.operation == "DeleteObject":
            return _not_deleted(error, f"s3://{exam.bucket}/{key}")
        return failed(
            f"{error} (s3://{exam.bucket}/{key})",
            f"Allow s3:{error.operation} there: covalent-braket policy caller; also see the "
            "bucket's policy and the key's",
        )
    return ok(f"an object under {prefix or 'the root'} was written, read and deleted")


def _not_deleted(error: AccessError, left: str) -> Result:
    """Electrons run all the same; AWS's own AmazonBraketFullAccess does not allow it."""
    return warning(
        f"an object was written and read, and may not be deleted: {error}. Payloads and results "
        f"stay in the bucket and cost, as does {left}",
        "Allow s3:DeleteObject: covalent-braket policy caller, or have the bucket's lifecycle "
        "rules expire objects",
    )
