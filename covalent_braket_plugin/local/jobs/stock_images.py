"""AWS's own job image and that of the worker, as far as ECR shows them.

``@hybrid_job`` without an image asks ECR which Python AWS's base image has, and refuses to go on
if it is not the caller's. No image is started here: script-mode jobs run on this interpreter, so
that is what the tag says.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from covalent_braket_plugin.local.aws_clients import AwsClients

__all__ = ["REGIONS", "REPOSITORY", "publish"]

REPOSITORY = "amazon-braket-base-jobs"

REGIONS = ("us-east-1", "us-west-1", "us-west-2", "eu-west-2", "eu-north-1")
"""Where the image is (the SDK's ``braket/jobs/image_uri_config/base.json``)."""

MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"digest": f"sha256:{0:064}", "size": 0},
    "layers": [],
}


def publish(clients: AwsClients, worker_image: str, region: str, account: str) -> None:
    """Make the images' repositories and tags in a region, AWS's if AWS has them there.

    Args:
        clients: Clients of the local endpoint.
        worker_image: Repository and tag of the worker's image.
        region: The region.
        account: The account.
    """
    ecr = clients.client("ecr", region, account)
    repository, _, tag = worker_image.partition(":")
    _put(ecr, repository, tag or "latest")
    if region in REGIONS:
        # ECR by moto shows only the tag that came last; the SDK looks for the one with the version.
        version = f"1.0-cpu-py{sys.version_info.major}{sys.version_info.minor}-local"
        _put(ecr, REPOSITORY, "latest", version)


def _put(ecr: Any, repository: str, *tags: str) -> None:
    # What an attempt that failed half-way has left is fine.
    with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=repository)
    image = {"repositoryName": repository, "imageManifest": json.dumps(MANIFEST)}
    for tag in tags:
        with contextlib.suppress(ecr.exceptions.ImageAlreadyExistsException):
            ecr.put_image(**image, imageTag=tag)
