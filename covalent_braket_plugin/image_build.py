"""Build an image for jobs: the context, the build, and what is in it afterwards.

The Dockerfile is the one in the project's ``docker/``; `bundle` names the worker's files.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin import __version__
from covalent_braket_plugin.bundle import tar_of, worker_files
from covalent_braket_plugin.engine import image_errors
from covalent_braket_plugin.errors import ImageError
from covalent_braket_plugin.protocol import PROTOCOL_VERSION

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = [
    "LABEL",
    "REPOSITORY",
    "Built",
    "Contents",
    "Recipe",
    "build",
    "context",
    "conventional_tag",
]

REPOSITORY = "covalent-braket-worker"
"""Name of images on this machine."""
LABEL = "covalent-braket"
"""Prefix of the labels that say what is in an image."""
DOCKERFILES = Path(__file__).parent / "assets" / "docker"

# What an image is asked after the build. Its own Python says what it has.
PROBE = """
import json, platform
from importlib.metadata import version
import boto3, covalent_braket_plugin as own, covalent_braket_plugin.worker as worker
from covalent_braket_plugin.protocol import PROTOCOL_VERSION
print(json.dumps({"python": platform.python_version(), "cloudpickle": version("cloudpickle"),
                  "boto3": boto3.__version__, "package": own.__version__,
                  "protocol": PROTOCOL_VERSION}))
"""


@dataclass(frozen=True)
class Recipe:
    """What is to be built.

    Attributes:
        python: Python version of the public base image, such as ``3.12``; not used with ``base``.
        base: Image to build on; None for the Dockerfile's own.
        requirements: The text of a requirements file.
        platform: Such as ``linux/amd64``, which is what Braket's instances are; None for the
            engine's own.
        network: Network of the build, such as ``host``; None for the engine's own.
    """

    python: str
    base: str | None = None
    requirements: str = ""
    platform: str | None = None
    network: str | None = None

    def arguments(self) -> dict[str, str]:
        """The arguments of the Dockerfile."""
        chosen = {
            "PYTHON": self.python,
            "CLOUDPICKLE": version("cloudpickle"),
            "BOTO3": version("boto3"),
            "VERSION": __version__,
        }
        return chosen | ({"BASE_IMAGE": self.base} if self.base else {})


@dataclass(frozen=True)
class Contents:
    """What an image holds, as its own Python says.

    Attributes:
        python: Such as ``3.12.11``.
        cloudpickle: Its version.
        boto3: Its version.
        package: Version of this package.
        protocol: Version of the contract between dispatcher and container.
    """

    python: str
    cloudpickle: str
    boto3: str
    package: str
    protocol: int

    def labels(self) -> dict[str, str]:
        """The labels that say so."""
        return {f"{LABEL}.{name}": str(value) for name, value in vars(self).items()}

    def problems(self) -> Iterator[str]:
        """Why electrons pickled here may not run there."""
        here = version("cloudpickle")
        if _major(self.cloudpickle) != _major(here):
            yield (
                f"A requirement replaced cloudpickle {here}, which pickles electrons here, by "
                f"{self.cloudpickle}: such an image refuses them. Pin cloudpickle=={here} in the "
                f"requirements, or install cloudpickle {self.cloudpickle} beside Covalent."
            )
        if (self.package, self.protocol) != (__version__, PROTOCOL_VERSION):
            yield (
                f"A requirement installed covalent-braket-plugin {self.package} over the worker of "
                f"{__version__}. Leave it out of the requirements: the image has what it needs."
            )


@dataclass(frozen=True)
class Built:
    """An image that was built.

    Attributes:
        id: ``sha256:...``.
        tag: ``repository:tag``.
        size_bytes: Its size on this machine.
        contents: What it holds.
    """

    id: str
    tag: str
    size_bytes: int
    contents: Contents


def build(
    engine: DockerClient, recipe: Recipe, tag: str | None, progress: Callable[[str], None]
) -> Built:
    """Build an image, look what is in it, and label and tag it accordingly.

    Args:
        engine: The container engine.
        recipe: What to build.
        tag: ``repository:tag``; None for `conventional_tag`.
        progress: Called with what is going on, again and again.

    Raises:
        ImageError: The build failed; the text has the end of what it said.
    """
    with image_errors("built"):
        draft = _build(engine, recipe, {}, progress)
        progress("Looking what is in it")
        contents = _contents_of(engine, draft)
        # Only now is it known what it holds. All layers are there: this adds the labels.
        final = _build(engine, recipe, contents.labels(), lambda line: None)
        named = tag or conventional_tag(contents)
        repository, _, name = named.rpartition(":")
        image = engine.images.get(final)
        image.tag(repository, name)
        return Built(final, named, int(image.attrs["Size"]), contents)


def conventional_tag(contents: Contents) -> str:
    """Name an image by what it holds, as `protocol.image_versions` reads it."""
    minor = "".join(contents.python.split(".")[:2])
    return f"{REPOSITORY}:{__version__}-py{minor}-cloudpickle{contents.cloudpickle}"


def context(requirements: str) -> bytes:
    """Make the build context, a tar: the same files make the same bytes.

    Raises:
        ImageError: The requirements need what is not in the context, or hold a password.
    """
    _check_requirements(requirements)
    files = {name: (DOCKERFILES / name).read_bytes() for name in ("Dockerfile", "train.py")}
    files["requirements.txt"] = requirements.encode()
    files |= {f"worker/{name}": path.read_bytes() for name, path in worker_files().items()}
    return tar_of(files)


def _check_requirements(text: str) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"https?://[^/\s]*@", line):
            raise ImageError(
                f"Line {number} of the requirements has a user or password in its address, which "
                "everybody who pulls the image could read. Build a base image that has the "
                "package, and name it with --from."
            )
        if re.match(r"\s*(-r|-c|-e|--requirement|--constraint|--editable|file:|\.|/)", line):
            raise ImageError(
                f"Line {number} of the requirements ({line.strip()}) names a file, which is not "
                "there when the image is built. Write what it says into the one file, or put the "
                "package on an index or into a repository."
            )


def _build(
    engine: DockerClient, recipe: Recipe, labels: Mapping[str, str], progress: Callable[[str], None]
) -> str:
    answers = engine.api.build(
        fileobj=io.BytesIO(context(recipe.requirements)),
        custom_context=True,
        buildargs=recipe.arguments(),
        platform=recipe.platform,
        network_mode=recipe.network,
        labels=dict(labels),
        rm=True,
        forcerm=True,
        decode=True,
    )
    said: list[str] = []
    built = ""
    for answer in answers:
        said += [line for line in str(answer.get("stream", "")).splitlines() if line.strip()]
        if "error" in answer:
            tail = "\n".join(said[-15:])
            raise ImageError(f"{_why(answer['error'].strip(), said)}\n{tail}")
        built = (answer.get("aux") or {}).get("ID", built)
        if told := _told(answer):
            progress(told)
    return built


def _why(error: str, said: Sequence[str]) -> str:
    """Say what failed, and what to do if it was the first thing, to fetch the base image."""
    text = f"The image cannot be built: {error}"
    if not said or not said[-1].partition(": ")[2].startswith("FROM "):
        return text
    return (
        f"{text}\nThe base image cannot be fetched. See whether this machine reaches its registry "
        "(the engine has a proxy setting of its own), or build on an image that is here already: "
        "--from IMAGE."
    )


def _told(answer: Mapping[str, Any]) -> str:
    if answer.get("status"):
        return f"{answer['status']} {answer.get('progress', '')}".strip()
    return str(answer.get("stream", "")).strip()


def _contents_of(engine: DockerClient, image: str) -> Contents:
    said = engine.containers.run(
        image, ["python", "-c", PROBE], network_mode="none", remove=True, stdout=True, stderr=True
    )
    lines = said.decode("utf-8", "replace").splitlines()
    return Contents(**json.loads(next(line for line in lines if line.startswith("{"))))


def _major(version: str) -> str:
    return version.partition(".")[0]
