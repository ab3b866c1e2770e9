"""Covalent's UI, made to show what it should: each repair in a module, with its reason.

Covalent's server loads us, so that all is done in its memory, once it is up. What its database
holds stays as it is, and nothing of this is there when the setting `repair_ui` is off.
"""

from __future__ import annotations

import logging

from covalent_braket_plugin.covalent_compat.release import checked_release
from covalent_braket_plugin.covalent_compat.server import is_server
from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.settings import check_one

__all__ = ["repair"]

log = logging.getLogger(__name__)


def repair(wanted: object = None) -> None:
    """Repair the UI of the server that we are in; what cannot be repaired stays as it is.

    Args:
        wanted: The setting `repair_ui` as it stands in the configuration file.
    """
    if not checked_release() or not is_server() or not _wanted(wanted):
        return
    from covalent_braket_plugin.covalent_compat.ui import (
        errors,
        files,
        linking,
        panel,
        reloading,
        routes,
    )

    repairs = (files, panel, reloading, errors, linking)
    for each in (routes.add, *(repair.repair for repair in repairs)):
        try:
            each()
        except Exception:  # another UI than the one that we know: the server goes on
            log.warning("Covalent's UI could not be repaired: %s", each.__module__, exc_info=True)


def _wanted(value: object) -> bool:
    try:
        return check_one("repair_ui", value) is not False
    except SettingError as error:
        log.warning("%s It is taken for the default.", error)
        return True
