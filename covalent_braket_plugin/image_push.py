"""Push an image to ECR: the repository, a login that is kept nowhere, and the layers."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.engine import image_errors
from covalent_braket_plugin.errors import ConflictError, ImageError, NotFoundError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

__all__ = ["Layers", "Repository", "find_image", "find_repository", "parsed", "push"]

# Private registries only: Braket takes no others (CreateJob's pattern of containerImage.uri).
_URI = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)")
_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")

Layers = Mapping[str, tuple[str, int, int]]
"""By layer: what is done with it, and how many of how many bytes."""


@dataclass(frozen=True)
class Repository:
    """A repository in ECR.

    Attributes:
        account: Account id of its registry.
        name: Its name there.
        uri: Its address without a tag.
        immutable: Whether a tag that is there can never be pushed again.
    """

    account: str
    name: str
    uri: str
    immutable: bool


def find_image(engine: DockerClient, name: str) -> Image:
    """Find an image on this machine.

    Raises:
        ImageError: There is none of that name.
    """
    from docker.errors import ImageNotFound

    with image_errors("found"):
        try:
            return engine.images.get(name)
        except ImageNotFound as error:
            raise ImageError(
                f"There is no image {name} on this machine. "
                "Build one with: covalent-braket image build"
            ) from error


def find_repository(clients: Clients, named: str, *, create: bool = False) -> Repository:
    """Look up a repository by name or URI, in the region of the clients.

    Args:
        clients: Who asks, and where.
        named: Name, or URI without a tag.
        create: Whether to make it if it is not there: with immutable tags, scanned on push.

    Raises:
        ImageError: The name cannot be one, is of another region, or there is none.
        AwsError: ECR refused to answer.
    """
    registry, name = parsed(named, clients.region)
    asked: dict[str, Any] = {"registryId": registry} if registry else {}
    try:
        with translated("DescribeRepositories"):
            found = clients.ecr.describe_repositories(repositoryNames=[name], **asked)
        return _repository(found["repositories"][0])
    except NotFoundError as error:
        if not create:
            raise ImageError(
                f"There is no ECR repository {name} in {clients.region}. Make one with: "
                f"covalent-braket image push --repository {name} --create-repository"
            ) from error
    with translated("CreateRepository"):
        made = clients.ecr.create_repository(
            repositoryName=name,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            **asked,
        )
    return _repository(made["repository"])


def push(
    engine: DockerClient,
    clients: Clients,
    image: Image,
    repository: Repository,
    tag: str,
    progress: Callable[[Layers], None],
) -> str:
    """Push an image and return its URI, as `ecr_image_uri` takes it.

    Args:
        engine: The container engine.
        clients: Who pushes; the login is theirs and stays in memory.
        image: What to push.
        repository: Where to.
        tag: Under which tag.
        progress: Called with all layers whenever one gets further.

    Raises:
        ImageError: The tag is taken in a repository of immutable tags, or the push broke off.
        AwsError: ECR gave no login.
    """
    if repository.immutable and _has(clients, repository, tag):
        raise ImageError(
            f"{repository.uri}:{tag} is there already, and tags of this repository are immutable. "
            "If it is the same image there is nothing to do; else push it under another tag: "
            f"--tag {tag}-2"
        )
    login = _login(clients)
    with image_errors("pushed"):
        image.tag(repository.uri, tag)
        answers = engine.api.push(
            repository.uri, tag=tag, auth_config=login, stream=True, decode=True
        )
        _follow(answers, progress)
    return f"{repository.uri}:{tag}"


def parsed(named: str, region: str) -> tuple[str, str]:
    """Account, empty if not said, and name of a repository.

    Raises:
        ImageError: It is no name of one, or is of another region.
    """
    uri = _URI.fullmatch(named)
    first, slash, _ = named.partition("/")
    elsewhere = slash and "." in first  # the name of another registry
    if uri is None and (elsewhere or not _NAME.fullmatch(named)):
        raise ImageError(
            f"--repository {named}: it must be the name of an ECR repository, or its URI "
            "(123456789012.dkr.ecr.us-east-1.amazonaws.com/name) without a tag; Braket pulls from "
            "private ECR repositories only."
        )
    if uri is None:
        return "", named
    if uri[2] != region:
        raise ImageError(
            f"--repository {named} is in {uri[2]}, but the settings say {region}. A job's image "
            f"must be in the job's region: --set region={uri[2]}, or name another repository."
        )
    return uri[1], uri[3]


def _repository(found: Mapping[str, Any]) -> Repository:
    return Repository(
        str(found["registryId"]),
        str(found["repositoryName"]),
        str(found["repositoryUri"]),
        found.get("imageTagMutability") == "IMMUTABLE",
    )


def _has(clients: Clients, repository: Repository, tag: str) -> bool:
    try:
        with translated("DescribeImages"):
            clients.ecr.describe_images(
                registryId=repository.account,
                repositoryName=repository.name,
                imageIds=[{"imageTag": tag}],
            )
    except (NotFoundError, ConflictError):
        return False
    return True


def _login(clients: Clients) -> dict[str, str]:
    """A login for twelve hours (ECR, GetAuthorizationToken); kept in memory only."""
    with translated("GetAuthorizationToken"):
        (given, *_) = clients.ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return {"username": user, "password": password}


def _follow(answers: Any, progress: Callable[[Layers], None]) -> None:
    layers: dict[str, tuple[str, int, int]] = {}
    for answer in answers:
        if "error" in answer:
            raise ImageError(f"The image cannot be pushed: {answer['error']}")
        if "id" in answer:
            detail = answer.get("progressDetail") or {}
            status = str(answer.get("status", ""))
            layers[answer["id"]] = (status, detail.get("current", 0), detail.get("total", 0))
            progress(layers)
