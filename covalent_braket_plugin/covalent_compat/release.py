"""Which Covalent is installed, and whether what we need of its inside was checked with it."""

from __future__ import annotations

import functools
import importlib.metadata

__all__ = ["CHECKED_RELEASES", "checked_release"]

CHECKED_RELEASES = ("0.240",)


@functools.lru_cache(maxsize=1)
def checked_release() -> bool:
    """Whether the installed Covalent is one of those that we know from inside."""
    try:
        installed = importlib.metadata.version("covalent")
    except importlib.metadata.PackageNotFoundError:
        return False
    return installed.startswith(CHECKED_RELEASES)
