"""Where jobs are looked for: settings, and the clients for them."""

from __future__ import annotations

import contextlib

from covalent_braket_plugin import aws, local_endpoint
from covalent_braket_plugin.devices.catalogue import located
from covalent_braket_plugin.errors import BraketPluginError, LocalBraketError
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.settings import Settings, check_one, with_local
from covalent_braket_plugin.storage import Storage

__all__ = ["connect"]


def connect(settings: Settings) -> Context:
    """Find the clients for looking at jobs; that takes a region, and no role, image or bucket.

    Args:
        settings: Resolved settings; the local Braket is filled in if it is wanted.

    Raises:
        LocalBraketError: The local Braket is wanted, and none runs: its jobs are gone with it.
        SettingError: The region is none, or the profile cannot be used.
        UnconfiguredError: No region is known.
    """
    local_pid = None
    if settings.local:
        info = local_endpoint.find()
        if info is None:
            raise LocalBraketError("No local Braket is running, so that there are no jobs.")
        settings, local_pid = with_local(settings, info), int(info["pid"])
    # Jobs are where the device is, if it is named and no region is; else that makes no difference.
    with contextlib.suppress(BraketPluginError):
        settings = located(settings)
    if settings.region:
        check_one("region", settings.region)
    clients = aws.clients_for(settings)
    # That jobs of these settings could run in this region is not asked for.
    return Context(settings, Jobs(clients), Storage(clients), local_pid)
