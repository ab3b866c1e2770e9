"""Covalent's configuration file, written to: a few values of ``[executors.braket]`` and no others.

With the library and the lock that Covalent itself writes it with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import filelock
import toml

from covalent_braket_plugin.settings.config_file import config_section

__all__ = ["Edit", "edits", "put"]

LOCK_SECONDS = 10


@dataclass(frozen=True)
class Edit:
    """One value that changes.

    Attributes:
        name: The setting.
        before: Its value in the file; None if it has none.
        after: What it becomes.
    """

    name: str
    before: Any
    after: Any


def edits(path: Path, values: Mapping[str, Any]) -> list[Edit]:
    """Say what writing these values would change.

    Raises:
        ConfigFileError: The file cannot be read.
    """
    section = config_section(path)
    return [
        Edit(name, section.get(name), value)
        for name, value in values.items()
        if (section.get(name) or None) != (value or None)
    ]


def put(path: Path, changes: list[Edit]) -> None:
    """Write values into ``[executors.braket]``; all else stays.

    Raises:
        click.ClickException: The file cannot be written to.
    """
    if not changes:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
            content = toml.loads(path.read_text()) if path.exists() else {}
            section = content.setdefault("executors", {}).setdefault("braket", {})
            section.update({change.name: change.after for change in changes})
            _replace(path.resolve(), toml.dumps(content))
    except (OSError, ValueError, filelock.Timeout) as error:
        raise click.ClickException(f"{path} cannot be written to: {error}") from error


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    if path.exists():
        temporary.chmod(path.stat().st_mode)
    temporary.replace(path)
