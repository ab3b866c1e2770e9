"""Which dispatch a redispatch goes back to: Covalent forgets it, and checkpoints are kept by it.

In Covalent 0.240 a redispatch has an id of its own, the same node numbers, and no trace of the
dispatch before it. The server notes, in a file beside its database, a line for each redispatch: its
id and that of the first dispatch in the chain. Lost lines cost nothing but checkpoints.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from covalent_braket_plugin.covalent_compat.release import checked_release
from covalent_braket_plugin.covalent_compat.server import beside_database
from covalent_braket_plugin.covalent_compat.store import database_url, in_status

__all__ = ["note_redispatches", "origin_of"]

UNFINISHED = ("STARTING", "RUNNING")

log = logging.getLogger(__name__)
_lock = threading.Lock()


def origin_of(dispatch_id: str) -> str:
    """Find the first dispatch in the chain that led to one; itself if it is no redispatch.

    Reads a file: call it in a thread.
    """
    if not checked_release():
        return dispatch_id
    try:
        return _noted(_file()).get(dispatch_id, dispatch_id)
    except Exception:  # no server, no database: nobody has redispatched anything
        return dispatch_id


def note_redispatches() -> None:
    """Note each redispatch that this server registers."""
    if not checked_release():
        return
    from covalent_dispatcher._core.data_modules import importer

    original = importer.import_derived_manifest
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    async def noted(manifest: Any, parent_dispatch_id: str, *rest: Any, **more: Any) -> Any:
        made = await original(manifest, parent_dispatch_id, *rest, **more)
        try:
            await asyncio.to_thread(_note, str(made.metadata.dispatch_id), parent_dispatch_id)
        except Exception:  # it runs all the same, and begins anew
            log.warning("A redispatch of %s is not noted", parent_dispatch_id, exc_info=True)
        return made

    importer.import_derived_manifest = noted


def _note(dispatch_id: str, parent_id: str) -> None:
    with _lock:
        path = _file()
        known = _noted(path)
        origin = known.get(parent_id, parent_id)
        family = {origin, *(each for each, first in known.items() if first == origin)}
        if busy := _busy(family):
            log.warning(
                "%s is a redispatch of %s while %s still runs: its electrons do not go on from the "
                "same checkpoints, which that one uses",
                *(dispatch_id, parent_id, ", ".join(busy)),
            )
            return
        with path.open("a") as file:
            file.write(f"{dispatch_id} {origin}\n")


def _busy(family: Collection[str]) -> list[str]:
    return sorted(in_status(family, UNFINISHED))


def _file() -> Path:
    return beside_database(database_url(), "redispatches")


def _noted(path: Path) -> dict[str, str]:
    """Read what is noted; a line that was not written to its end is left out."""
    if not path.is_file():
        return {}
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2}
