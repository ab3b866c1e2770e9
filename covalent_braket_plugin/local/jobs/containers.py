"""Jobs in containers: which image of this machine's engine a job gets, and how it is started.

A job's container has a launcher of its own, as a job's process has (`container_launcher` beside
`sandbox`): its output goes to the job's log, and it ends with the local Braket.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from covalent_braket_plugin.engine import connect, image_errors
from covalent_braket_plugin.errors import LocalBraketError
from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_env import container_environment, launcher_environment
from covalent_braket_plugin.local.jobs.job_files import JobTree
from covalent_braket_plugin.local.jobs.process import ChildProcess

__all__ = ["Containers"]

log = logging.getLogger(__name__)

LABEL_OWNER = "covalent-braket.local"
LABEL_JOB = "covalent-braket.job"
LAUNCHER = "covalent_braket_plugin.local.jobs.container_launcher"
BRAKET = "/opt/braket"
# What SageMaker mounts; the rest of /opt/ml is the image's own.
MOUNTED = ("input", "model", "output")


class Containers:
    """The container engine of this machine.

    Args:
        owner: The state directory of the local Braket: whose containers these are.

    Raises:
        LocalBraketError: Its files are not where this process's are.
        ImageError: No engine answers.
    """

    def __init__(self, owner: Path) -> None:
        host = os.environ.get("DOCKER_HOST", "")
        if host and not host.startswith("unix://"):
            raise LocalBraketError(
                f"The runner docker needs an engine on this machine, whose containers see its "
                f"files and its loopback; DOCKER_HOST is {host}. Unset it, or use --runner "
                "processes."
            )
        self._engine = connect()
        self._owner = str(owner)
        options = self._engine.info().get("SecurityOptions") or ()
        # The root of a rootless engine is the user who runs it.
        rootless = any("rootless" in option for option in options)
        self._user = "0:0" if rootless else f"{os.geteuid()}:{os.getegid()}"

    def find(self, uri: str) -> str | None:
        """Find an image under its URI, or without the registry's name.

        Returns:
            Its id; None if the engine has none.
        """
        from docker.errors import ImageNotFound

        for name in (uri, uri.partition("/")[2]):
            with image_errors("found"):
                try:
                    return str(self._engine.images.get(name).id)
                except ImageNotFound:
                    continue
        return None

    def start(self, image: str, job: Job, tree: JobTree, endpoint_url: str) -> ChildProcess:
        """Start a job's container.

        Args:
            image: Id of the image.
            job: The job.
            tree: Its files.
            endpoint_url: Where the local Braket listens.
        """
        spec = {
            "image": image,
            "user": self._user,
            "environment": container_environment(job, endpoint_url),
            "mounts": _mounts(job, tree),
            "labels": {LABEL_OWNER: self._owner, LABEL_JOB: job.arn},
            "failure": str(tree.failure),
            "parent": os.getpid(),
        }
        tree.container.write_text(json.dumps(spec))
        command = (sys.executable, "-P", "-m", LAUNCHER, str(tree.container))
        return ChildProcess(command, launcher_environment(), tree.root, tree.log)

    def sweep(self) -> None:
        """Remove what is left of this local Braket's containers; nothing is raised."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            mine = f"{LABEL_OWNER}={self._owner}"
            for container in self._engine.containers.list(all=True, filters={"label": mine}):
                log.info("removing the container %s", container.name)
                container.remove(force=True, v=True)
        except (DockerException, RequestException):
            log.warning("containers cannot be removed", exc_info=True)


def _mounts(job: Job, tree: JobTree) -> list[tuple[str, str]]:
    """(directory here, path there), each."""
    mounts = [(str(tree.ml / name), f"/opt/ml/{name}") for name in MOUNTED]
    checkpoint: tuple[Any, str] | None = tree.checkpoint_mount(job)
    if checkpoint is not None:
        # /opt/braket is a link to /opt/ml, which AWS's images make when they start.
        inside = checkpoint[1].removeprefix(BRAKET)
        there = f"/opt/ml{inside}" if inside != checkpoint[1] else checkpoint[1]
        mounts.append((checkpoint[0], there.rstrip("/")))
    return mounts
