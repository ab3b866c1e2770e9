"""Where Covalent's configuration file is, and what it says about our executor.

The one module of this room that reads a file. Covalent itself is not loaded for it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import ConfigFileError

__all__ = ["config_path", "config_section"]


def config_path(environ: Mapping[str, str]) -> Path:
    """Find Covalent's configuration file by Covalent's own rule."""
    folder = environ.get("COVALENT_CONFIG_DIR") or environ.get("XDG_CONFIG_DIR")
    return Path(folder or Path.home() / ".config/covalent") / "covalent.conf"


def config_section(path: Path) -> dict[str, object]:
    """Read ``[executors.braket]``; empty if there is no file or no such section.

    Raises:
        ConfigFileError: The file is not TOML, or has something else there.
    """
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
    section: Any = content
    for name in ("executors", "braket"):
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise ConfigFileError(
                f"{path} cannot be read: {name} is not a section there. "
                "Write [executors.braket], and the settings below it."
            )
    return dict(section)
