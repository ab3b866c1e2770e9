"""Installs what a job's source asks for, beside the interpreter's packages and not among them.

A container is thrown away, but a job here runs with the user's own interpreter, whose packages
must stay as they are. So pip is asked what it would install, and only that goes into a directory
of the job.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["install_requirements"]

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")


def install_requirements(source: Path, target: Path) -> None:
    """Install every ``requirements.txt`` found under a directory.

    As in AWS's images, a failing installation is shown in the log and otherwise ignored.

    Args:
        source: Directory of the job's source.
        target: Directory that the packages go to.
    """
    for path in sorted(source.rglob("requirements.txt")):
        sys.stdout.write(f"Additional Requirements found in {path.relative_to(source)}\n")
        sys.stdout.flush()
        missing = _missing(path)
        if missing:
            subprocess.run([*PIP, "--no-deps", "--target", str(target), *missing], check=False)


def _missing(path: Path) -> list[str]:
    """What pip would install, dependencies included, as exact requirements."""
    command = [*PIP, "--dry-run", "--report", "-", "-r", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, cwd=path.parent)
    if done.returncode != 0:
        return []
    return [_exact(item) for item in json.loads(done.stdout)["install"]]


def _exact(item: dict[str, Any]) -> str:
    name = item["metadata"]["name"]
    if item.get("is_direct"):
        return f"{name} @ {item['download_info']['url']}"
    return f"{name}=={item['metadata']['version']}"
