"""What an electron finds where it runs, as text."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["describe_environment"]

_PREFIX = "AMZN_BRAKET_"
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "KEY")
_PACKAGES = (
    "amazon-braket-sdk",
    "amazon-braket-pennylane-plugin",
    "pennylane",
    "cloudpickle",
    "boto3",
    "numpy",
    "covalent-braket-plugin",
)


def describe_environment() -> str:
    """Say in a few lines where this runs: Braket's variables, and the versions of what matters.

    Nothing secret is in it: the job's token and whatever else is named like a secret is said to be
    set, and not shown. Outside a job there are no variables, and the first line says so.
    """
    names = sorted(name for name in os.environ if name.startswith(_PREFIX))
    variables = [f"{name}={_shown(name)}" for name in names]
    place = [] if "AMZN_BRAKET_JOB_NAME" in names else ["Not in a Hybrid Job."]
    versions = [f"Python {platform.python_version()} on {platform.platform()}"]
    return "\n".join([*place, *variables, *versions, *map(_version, _PACKAGES)])


def _shown(name: str) -> str:
    return "(set, not shown)" if any(word in name for word in _SECRET) else os.environ[name]


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package}: not installed"
