"""Packages that an image may not hold: found when they are used, and missed with a word of help."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = ["needed"]


def needed(module: str, package: str) -> Any:
    """Import a module that is not ours.

    Args:
        module: Its name, such as ``braket.aws``.
        package: What pip calls the package that holds it.

    Raises:
        ImportError: It is not there, or cannot be loaded; the text says what to add.
    """
    try:
        return import_module(module)
    except ImportError as error:
        what = "is not installed" if _missing(module) else f"cannot be loaded ({error})"
        raise ImportError(
            f"{package} {what} where this runs. Add it to the electron: "
            f"@ct.electron(executor=..., deps_pip=ct.DepsPip(packages=[{package!r}])), or to the "
            "image of the setting ecr_image_uri. AWS's own images hold it.",
            name=module,
        ) from error


def _missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ImportError:  # its parent is missing
        return True
