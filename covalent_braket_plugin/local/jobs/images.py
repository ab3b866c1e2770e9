"""Which program an image stands for where no container is started: an image is a command here."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from covalent_braket_plugin.local.jobs.job import Job

__all__ = ["Images", "UnknownImage"]

SCRIPT_MODE_COMMAND = (sys.executable, "-m", "covalent_braket_plugin.local.jobs.container")
_AWS_IMAGE = re.compile(r"amazon-braket-\w+-jobs")


class UnknownImage(Exception):
    """The local Braket has no program for the job's image."""


class Images:
    """The images that the local Braket knows.

    Args:
        worker_image: Repository and tag of the registered worker image; only the repository is
            compared, in any account and region.
        worker_command: What runs for it.
    """

    def __init__(self, worker_image: str, worker_command: Sequence[str]) -> None:
        self._worker = _repository(worker_image)
        self._command = tuple(worker_command)

    def command(self, job: Job) -> tuple[str, ...]:
        """The command line of a job.

        Raises:
            UnknownImage: Its image is neither the worker's nor one of AWS's job images.
        """
        specification = job.request["algorithmSpecification"]
        uri = (specification.get("containerImage") or {}).get("uri")
        scripted = bool(specification.get("scriptModeConfig"))
        if uri is None:
            return SCRIPT_MODE_COMMAND
        repository = _repository(uri.partition("/")[2])
        known = repository == self._worker or _AWS_IMAGE.fullmatch(repository)
        if scripted and known:
            return SCRIPT_MODE_COMMAND
        if repository == self._worker:
            return self._command
        raise UnknownImage(self._explain(uri, scripted))

    def _explain(self, uri: str, scripted: bool) -> str:
        if not scripted and _AWS_IMAGE.search(uri):
            return f"The image {uri} needs scriptModeConfig to know what to run."
        return (
            f"The image {uri} is not known to the local Braket. "
            f"It knows {self._worker} (any account, region and tag), and in script mode "
            "AWS's own amazon-braket-*-jobs images; started with --runner docker, also those that "
            "this machine's container engine has."
        )


def _repository(image: str) -> str:
    return re.split(r"[:@]", image, maxsplit=1)[0]
