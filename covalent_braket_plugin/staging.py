"""Where files lie while they are in transit between Covalent and S3, and for how long.

Each task group has a directory of its own: ``{root}/braket/{dispatch_id}-{group}``. Covalent copies
the inputs into it and the results out of it. Groups share no directory that would be removed with
the last of them: another one might be making its own in it at that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from covalent_braket_plugin.threads import in_thread

__all__ = ["place", "remove", "retire", "sweep"]

RETIRED_SECONDS = 300.0
"""Covalent copies an electron's files right after we hand them over, but does not say when."""
LEFTOVER_SECONDS = 24 * 3600.0
"""What is older was left by a server that was stopped in between."""


def place(cache_dir: object, default: str, dispatch_id: str, group_id: int) -> Path:
    """Find the directory of a task group.

    Args:
        cache_dir: The setting; what is no absolute path is refused when the electron is sent, and
            leads to ``default`` until then.
        default: Covalent's own cache directory.
        dispatch_id: The dispatch's UUID.
        group_id: Covalent's number of the group.
    """
    text = cache_dir.strip() if isinstance(cache_dir, str) else ""
    named = Path(os.path.expanduser(text))
    root = named if named.is_absolute() else Path(default).absolute()
    if quote(str(root)) != str(root):
        # Covalent 0.240 takes file URIs apart as URLs, and copies to another path than was meant.
        mark = hashlib.sha256(str(root).encode()).hexdigest()[:8]
        root = Path(tempfile.gettempdir()) / f"covalent-braket-{os.getuid()}-{mark}"
    return root / "braket" / f"{dispatch_id}-{group_id}"


def retire(directory: Path) -> None:
    """Remove a group's files once Covalent has surely copied them."""
    loop = asyncio.get_running_loop()
    loop.call_later(RETIRED_SECONDS, lambda: asyncio.ensure_future(in_thread(remove, directory)))


def remove(directory: Path) -> None:
    """Remove a group's files now."""
    shutil.rmtree(directory, ignore_errors=True)


_swept: set[Path] = set()


def sweep(directory: Path) -> None:
    """Remove what earlier servers left beside a group's directory, once in this process."""
    root = directory.parent
    if root in _swept:
        return
    _swept.add(root)
    with contextlib.suppress(OSError):
        for group in list(root.iterdir()):
            if time.time() - group.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(group, ignore_errors=True)
