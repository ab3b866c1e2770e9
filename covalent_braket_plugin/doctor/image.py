"""The job's image: there, and with the Python that electrons are pickled with."""

from __future__ import annotations

import re
from dataclasses import replace

from covalent_braket_plugin.aws import translated
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, unknown, warning
from covalent_braket_plugin.errors import NotFoundError
from covalent_braket_plugin.images import image_uri, versions_of
from covalent_braket_plugin.protocol import image_versions

__all__ = ["image"]

_URI = re.compile(r"(\d+)\.dkr\.ecr\.[^/]+/([^:@]+)(?::([^@]+))?(?:@(.+))?")
PUSH = "covalent-braket image build, then covalent-braket image push"


def image(exam: Exam) -> Result:
    """See whether the image is in its registry, and compare its Python with ours."""
    if exam.settings.script_mode:
        return _of_aws(exam)
    uri = exam.settings.ecr_image_uri or ""
    parts = _URI.fullmatch(uri)
    if parts is None:
        return unknown(f"{uri} is in no private registry", "Use an image of Amazon ECR")
    account, repository, tag, digest = parts.groups()
    wanted = {"imageDigest": digest} if digest else {"imageTag": tag}
    try:
        with translated("DescribeImages"):
            exam.clients.ecr.describe_images(
                registryId=account, repositoryName=repository, imageIds=[wanted]
            )
    except NotFoundError as error:
        return failed(f"{uri} is not in its registry: {error}", f"Make it: {PUSH}")
    return _compared(exam, uri, image_versions(uri).python)


def _of_aws(exam: Exam) -> Result:
    held = versions_of(exam.settings, exam.clients)
    uri = image_uri(exam.settings, exam.clients.region)
    found = _compared(exam, uri, held.versions.python)
    if held.doubt is None:
        return found
    return replace(found, found=f"{found.found} (supposed, ECR does not say: {held.doubt})")


def _compared(exam: Exam, uri: str, held: str) -> Result:
    if not held:
        return warning(
            f"{uri} is there, and its tag does not say which Python it has (here: {exam.python})",
            "Name it in the tag: ...:py312",
        )
    if held == exam.python:
        return ok(f"{uri}, Python {held} as here")
    found = f"{uri} has Python {held}, electrons here are pickled with {exam.python}"
    fix = (
        f"Run Covalent and the workflow with Python {held}, or make an image: "
        f"covalent-braket image build --python {exam.python}, then covalent-braket image push"
    )
    if (exam.settings.python_mismatch or exam.settings.version_mismatch) == "warn":
        return warning(found, fix)
    return failed(found, fix)
