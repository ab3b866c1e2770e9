"""What we need of the installed Covalent beyond its public interface, each with its reason.

Everything here was checked with Covalent 0.240 and gives way with any other version: an electron
never fails for it. Covalent imports us whenever it is imported itself, so that the modules of its
server are loaded where they are used only.
"""

from __future__ import annotations

from covalent_braket_plugin.covalent_compat.names import lattice_name, name_what_cannot_be_pickled
from covalent_braket_plugin.covalent_compat.redispatches import note_redispatches, origin_of
from covalent_braket_plugin.covalent_compat.server import when_up

__all__ = [
    "lattice_name",
    "name_what_cannot_be_pickled",
    "note_redispatches",
    "origin_of",
    "repair_ui",
    "when_up",
]


def repair_ui(wanted: object = None) -> None:
    """Repair the UI of the server that we are in; see `ui`."""
    from covalent_braket_plugin.covalent_compat import ui

    ui.repair(wanted)
