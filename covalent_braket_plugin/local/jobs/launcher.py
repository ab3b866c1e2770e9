"""What a job's program is: a container of its image, or a process that stands for one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from covalent_braket_plugin.local.jobs.containers import Containers
from covalent_braket_plugin.local.jobs.images import Images
from covalent_braket_plugin.local.jobs.isolation import Isolation, launch_command
from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_env import Layout, job_environment
from covalent_braket_plugin.local.jobs.job_files import JobTree
from covalent_braket_plugin.local.jobs.process import ChildProcess

__all__ = ["Launcher", "Start"]

Start = Callable[[JobTree], ChildProcess]


class Launcher:
    """Starts jobs' programs.

    Args:
        endpoint_url: Where the local Braket listens.
        images: Which command stands for an image.
        isolation: What processes have for themselves alone.
        containers: Where images are looked up first; None for processes only.
    """

    def __init__(
        self,
        endpoint_url: str,
        images: Images,
        isolation: Isolation,
        containers: Containers | None = None,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._images = images
        self._isolation = isolation
        self._containers = containers

    def program(self, job: Job) -> Start:
        """Find out what starts a job.

        Raises:
            UnknownImage: Nothing stands for its image.
            ImageError: The container engine cannot be asked.
        """
        image = (job.request["algorithmSpecification"].get("containerImage") or {}).get("uri")
        if self._containers is not None and image:
            found = self._containers.find(image)
            if found is not None:
                return partial(self._container, self._containers, found, job)
        return partial(self._process, self._images.command(job), job)

    def sweep(self) -> None:
        """Remove containers that are left."""
        if self._containers is not None:
            self._containers.sweep()

    def _container(
        self, containers: Containers, image: str, job: Job, tree: JobTree
    ) -> ChildProcess:
        return containers.start(image, job, tree, self._endpoint_url)

    def _process(self, command: tuple[str, ...], job: Job, tree: JobTree) -> ChildProcess:
        url = self._endpoint_url
        real = job_environment(job, Layout.real(job), url, tree.home)
        stand_in = job_environment(job, Layout.stand_in(job, tree), url, tree.home)
        differing = {name: value for name, value in stand_in.items() if real.get(name) != value}
        launch = launch_command(
            command,
            str(tree.root),
            tree.checkpoint_mount(job),
            differing,
            isolation=self._isolation,
        )
        return ChildProcess(launch, real, tree.root, tree.log)
