"""Find the container engine of this machine: Docker, or what speaks its API.

docker-py is an extra of this package (``image``) and imported here only.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from covalent_braket_plugin.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

__all__ = ["connect", "image_errors"]

TIMEOUT_SECONDS = 600
"""How long one answer may take: a large layer is unpacked while nothing is said."""
USUAL_SOCKET = "/var/run/docker.sock"


def connect() -> DockerClient:
    """Connect to the engine that ``DOCKER_HOST`` names, else the usual one, and ask if it is there.

    Raises:
        ImageError: docker-py is not installed, no engine answers, or it may not be used; the text
            says what to do.
    """
    try:
        import docker
    except ModuleNotFoundError as error:
        raise ImageError(
            "The Python package for Docker is not installed. "
            'Install it with: pip install "covalent-braket-plugin[image]"'
        ) from error
    try:
        client = docker.from_env(timeout=TIMEOUT_SECONDS)
        client.ping()
    except docker.errors.DockerException as error:
        raise ImageError(_why(error)) from error
    return client


@contextmanager
def image_errors(doing: str) -> Iterator[None]:
    """Turn what docker-py raises into ours.

    Args:
        doing: What is being done, for the text: ``The image cannot be {doing}: ...``.

    Raises:
        ImageError: The engine refused, or broke off.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        raise ImageError(f"The image cannot be {doing}: {error.explanation or error}") from error
    except (DockerException, RequestException) as error:
        raise ImageError(f"The image cannot be {doing}: {error}") from error


def _why(error: Exception) -> str:
    named = os.environ.get("DOCKER_HOST")
    where = f"DOCKER_HOST ({named})" if named else USUAL_SOCKET
    if "PermissionError" in str(error) or "Permission denied" in str(error):
        return (
            f"The container engine at {where} may not be used by this user. Add it to the group "
            "that owns the socket (sudo usermod -aG docker $USER, then log in again), or use a "
            "rootless engine."
        )
    return (
        f"No container engine answers at {where}. Start one (sudo systemctl start docker, or "
        "Docker Desktop), or name its socket: export DOCKER_HOST=unix:///path/to/docker.sock. "
        "`docker context inspect` shows where the docker command finds it."
    )
