"""Which pickles can be loaded where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Mismatch",
    "Versions",
    "image_versions",
    "mismatches",
]


@dataclass(frozen=True)
class Versions:
    """What decides whether a pickle can be loaded.

    Attributes:
        python: Python's version, such as ``3.11.7``.
        cloudpickle: cloudpickle's version, such as ``2.2.1``; empty if not known.
    """

    python: str
    cloudpickle: str = ""


@dataclass(frozen=True)
class Mismatch:
    """One reason why a pickle cannot be loaded.

    Attributes:
        kind: What differs.
        text: A sentence without its end.
    """

    kind: Literal["python", "cloudpickle"]
    text: str


def mismatches(
    pickled: Versions, loading: Versions, what: str = "the electron"
) -> Iterator[Mismatch]:
    """Say why ``what``, which ``pickled`` wrote, cannot be loaded by ``loading``.

    Code objects do not survive a change of Python's minor version (the interpreter may even
    crash), and cloudpickle's newer major versions write what older ones cannot read, while the
    reverse works. An unknown (empty) version is taken to fit.
    """
    ours_minor, theirs_minor = _minor(pickled.python), _minor(loading.python)
    if ours_minor and theirs_minor and ours_minor != theirs_minor:
        text = f"{what} was pickled by Python {pickled.python}, "
        yield Mismatch("python", f"{text}but it would be loaded by Python {loading.python}")
    ours, theirs = _major(pickled.cloudpickle), _major(loading.cloudpickle)
    if ours is not None and theirs is not None and ours > theirs:
        text = f"{what} was pickled by cloudpickle {pickled.cloudpickle}, "
        text += f"but it would be loaded by cloudpickle {loading.cloudpickle}"
        yield Mismatch("cloudpickle", text)


def image_versions(image_uri: str) -> Versions:
    """Read from an image's tag what it holds: ``...:py312-cloudpickle2.2.1``.

    AWS names Python that way in the tags of its own Braket images
    (``1.0-cpu-py312-ubuntu24.04``); ``cloudpickle`` is our addition. What the tag does not say
    is empty.
    """
    tag = image_uri.rpartition("/")[2].partition(":")[2]
    python = re.search(r"py(\d)(\d{1,2})(?!\d)", tag)
    pickle = re.search(r"cloudpickle(\d+(?:\.\d+)*)", tag)
    return Versions(
        python=f"{python[1]}.{python[2]}" if python else "",
        cloudpickle=pickle[1] if pickle else "",
    )


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2]) if version else ()


def _major(version: str) -> int | None:
    head = version.split(".")[0]
    return int(head) if head.isdigit() else None
