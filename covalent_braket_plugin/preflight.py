"""What is refused before a job is paid for: electrons that its image could not load."""

from __future__ import annotations

import logging

from covalent_braket_plugin import images, packing
from covalent_braket_plugin.aws import Clients
from covalent_braket_plugin.errors import VersionMismatchError
from covalent_braket_plugin.images import Held
from covalent_braket_plugin.packing import Group
from covalent_braket_plugin.protocol import Mismatch
from covalent_braket_plugin.settings import Settings

__all__ = ["check_versions", "strict"]

log = logging.getLogger(__name__)


def strict(settings: Settings) -> dict[str, bool]:
    """Which mismatches are errors, by their kind; the others are warnings."""
    return {
        "python": (settings.python_mismatch or settings.version_mismatch) == "error",
        "cloudpickle": settings.version_mismatch == "error",
    }


def check_versions(group: Group, settings: Settings, clients: Clients) -> None:
    """Refuse a group that would crash in its job's image, or warn of it.

    Raises:
        VersionMismatchError: The image cannot load what was pickled.
        AwsError: AWS's image seems to have another Python, and ECR could not be asked just now.
    """
    held = images.versions_of(settings, clients)
    problems = packing.check_versions(group, held.versions)
    if not problems:
        return
    errors = [problem for problem in problems if strict(settings)[problem.kind]]
    if errors and held.doubt is not None and held.may_become_sure:
        raise held.doubt.with_traceback(None)  # the same one may be raised many times
    image = images.image_uri(settings, clients.region)
    text = _refusal(group, settings, image, held, (errors or problems)[0])
    if errors:
        raise VersionMismatchError(text)
    log.warning("%s", text)


def _refusal(group: Group, settings: Settings, image: str, held: Held, problem: Mismatch) -> str:
    head = f"{group.main.name}() was not submitted: {problem.text} in the image {image}. "
    setting = "python_mismatch" if problem.kind == "python" else "version_mismatch"
    anyway = f'{setting}="warn" submits it all the same.'
    if not settings.script_mode:
        return (
            f"{head}Use an image with Python {group.versions.python}, or run the workflow with "
            f"the image's versions. {anyway}"
        )
    theirs = held.versions.python
    ours = ".".join(group.versions.python.split(".")[:2])
    return (
        f"{head}AWS's own Braket images have Python {theirs}: run Covalent and the workflow with "
        f"Python {theirs}, or build an image of your own with "
        f"`covalent-braket image build --python {ours}` and name it in ecr_image_uri. {anyway}"
    )
