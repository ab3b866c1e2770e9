"""What a job's image holds, as far as that can be known before the job is paid for.

AWS's own images say their Python in a tag, for which ECR is asked as the Braket SDK asks
(``AwsSession.get_full_image_tag``). An image of the user's says it in its own tag, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.errors import AwsError, may_pass
from covalent_braket_plugin.payload import own_versions
from covalent_braket_plugin.permissions import AWS_IMAGE_ACCOUNT
from covalent_braket_plugin.protocol import Versions, image_versions
from covalent_braket_plugin.remembered import Remembered
from covalent_braket_plugin.settings import Settings

__all__ = ["Held", "image_uri", "versions_of"]

BASE_IMAGE = AWS_IMAGE_ACCOUNT + ".dkr.ecr.{region}.amazonaws.com/amazon-braket-base-jobs:latest"
"""What Braket takes if a request names none (the Braket SDK's ``image_uri_config/base.json``)."""

USUAL_PYTHON = "3.12"
"""Of all of AWS's images since 2026-01-21 (github.com/amazon-braket/amazon-braket-containers)."""

REMEMBERED_SECONDS = 3600.0
"""AWS changes its images a few times a year, and moves the tag `latest` with them."""

SILENCE_SECONDS = 60.0
"""Where ECR cannot be reached at all, as in a private subnet, each try takes seconds: hundreds of
electrons must not make one each."""


@dataclass(frozen=True)
class Held:
    """What an image holds that decides whether an electron can be loaded.

    Attributes:
        versions: Python's minor version and cloudpickle's; empty if not known.
        doubt: Why Python's is only what AWS's images usually have; None if a tag says it.
    """

    versions: Versions
    doubt: AwsError | None = None

    @property
    def may_become_sure(self) -> bool:
        """Whether ECR may say another time what it did not say."""
        return self.doubt is not None and may_pass(self.doubt)


_known: Remembered[Held] = Remembered()


def image_uri(settings: Settings, region: str) -> str:
    """Name the image that a job runs in, also if it is left to Braket."""
    return settings.ecr_image_uri or BASE_IMAGE.format(region=region)


def versions_of(settings: Settings, clients: Clients, known: Remembered[Held] = _known) -> Held:
    """Find out what the image of an executor's jobs holds; asks ECR at most once an hour.

    Args:
        settings: The executor's settings.
        clients: Who asks.
        known: What was found out before.
    """
    uri = image_uri(settings, clients.region)
    said = image_versions(uri)
    if not settings.script_mode:
        return Held(said)
    if said.python:
        return _with_own_cloudpickle(said.python)
    return known.get((clients.identity_key, uri), lambda: _ask(clients, uri), _seconds)


def _seconds(held: Held) -> float:
    return SILENCE_SECONDS if held.may_become_sure else REMEMBERED_SECONDS


def _ask(clients: Clients, uri: str) -> Held:
    try:
        return _with_own_cloudpickle(_python_in_tags(clients, uri))
    except AwsError as error:
        # It is kept: not what it happened in.
        return _with_own_cloudpickle(USUAL_PYTHON, error.with_traceback(None))


def _with_own_cloudpickle(python: str, doubt: AwsError | None = None) -> Held:
    # Into AWS's images each job brings the cloudpickle along (`bundle`).
    return Held(Versions(python, own_versions().cloudpickle), doubt)


def _python_in_tags(clients: Clients, uri: str) -> str:
    """Ask ECR for all tags of an image, and read the one that says its Python."""
    registry, _, rest = uri.partition("/")
    name, _, digest = rest.partition("@")
    repository, _, tag = name.partition(":")
    about = {"registryId": registry.partition(".")[0], "repositoryName": repository}
    if not digest:
        digest = _image_ids(clients, about, {"imageTag": tag})[0]["imageDigest"]
    for image in _image_ids(clients, about, {"imageDigest": digest}):
        python = image_versions(f"{repository}:{image.get('imageTag', '')}").python
        if python:
            return python
    raise AwsError(f"No tag of {uri} says which Python it has", operation="BatchGetImage")


def _image_ids(
    clients: Clients, about: dict[str, str], image: dict[str, str]
) -> list[dict[str, Any]]:
    with translated("BatchGetImage"):
        answer = clients.ecr.batch_get_image(**about, imageIds=[image])
    if not answer["images"]:
        raise AwsError(f"ECR does not know {image} of {about}", operation="BatchGetImage")
    return [found["imageId"] for found in answer["images"]]
