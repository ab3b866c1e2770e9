"""Where Covalent's configuration file is, and what it says about our executor.

The one module of this room that reads a file. Covalent itself is not loaded for it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import ConfigFileError

__all__ = ["config_path", "config_section", "server_address"]

DEFAULT_PORT = 48008
"""Of Covalent's server."""


def config_path(environ: Mapping[str, str]) -> Path:
    """Find Covalent's configuration file by Covalent's own rule."""
    folder = environ.get("COVALENT_CONFIG_DIR") or environ.get("XDG_CONFIG_DIR")
    return Path(folder or Path.home() / ".config/covalent") / "covalent.conf"


def server_address(environ: Mapping[str, str]) -> tuple[str, str]:
    """Tell where Covalent's server listens on this machine: host and port, as it was configured.

    Raises:
        ConfigFileError: The file is not TOML, or has something else there.
    """
    found = _section(config_path(environ), "dispatcher")
    host = environ.get("COVALENT_DISPATCHER_ADDR") or found.get("address") or "localhost"
    return str(host), str(found.get("port") or DEFAULT_PORT)


def config_section(path: Path) -> dict[str, object]:
    """Read ``[executors.braket]``; empty if there is no file or no such section.

    Raises:
        ConfigFileError: The file is not TOML, or has something else there.
    """
    return _section(path, "executors", "braket")


def _section(path: Path, *names: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
    section: Any = content
    for name in names:
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise ConfigFileError(
                f"{path} cannot be read: {name} is not a section there. "
                f"Write [{'.'.join(names)}], and the settings below it."
            )
    return dict(section)
