"""Which devices there are, and how one is, asked of Braket; all blocking."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from covalent_braket_plugin.aws import Clients, clients_for, translated
from covalent_braket_plugin.devices.availability import DeviceState, state_of
from covalent_braket_plugin.devices.names import (
    NO_DEVICE,
    Listed,
    exact,
    find,
    is_name,
    refuse_retired,
)
from covalent_braket_plugin.errors import (
    AccessError,
    AwsError,
    CredentialsError,
    NotFoundError,
    RejectedError,
    SettingError,
    UnconfiguredError,
)
from covalent_braket_plugin.remembered import Remembered
from covalent_braket_plugin.settings import REGIONS, Settings, no_simulators, region_of_device

__all__ = ["check_live", "describe", "in_region", "listed", "located"]

REMEMBERED_SECONDS = 3600.0
"""Devices come and go a few times a year."""
PAGE = 100

log = logging.getLogger(__name__)
_known: Remembered[tuple[Listed, ...]] = Remembered()


def listed(clients: Clients) -> tuple[Listed, ...]:
    """List the devices that can be used from a region, retired ones too (SearchDevices).

    Raises:
        AwsError: Braket refused or did not answer.
    """
    with translated("SearchDevices"):
        pages = clients.braket.get_paginator("search_devices").paginate(
            filters=[], PaginationConfig={"PageSize": PAGE}
        )
        return tuple(_listed(each) for page in pages for each in page["devices"])


def _listed(found: dict[str, Any]) -> Listed:
    return Listed(
        arn=found["deviceArn"],
        provider=found["providerName"],
        name=found["deviceName"],
        kind=found["deviceType"],
        status=found["deviceStatus"],
    )


def _remembered(clients: Clients) -> tuple[Listed, ...]:
    return _known.get(clients.identity_key, lambda: listed(clients), lambda _: REMEMBERED_SECONDS)


def describe(clients: Clients, arn: str, setting: str = "quantum_device") -> DeviceState | None:
    """Ask how a device is (GetDevice).

    Returns:
        None if this identity may not ask.

    Raises:
        SettingError: There is no such device in the region.
        AwsError: Braket did not answer.
    """
    try:
        with translated("GetDevice"):
            return state_of(clients.braket.get_device(deviceArn=arn))
    except CredentialsError:
        raise
    except AccessError as error:
        log.warning("Whether %s can be used now is not known: %s", arn, error)
        return None
    except (NotFoundError, RejectedError) as error:
        rule = f"Braket does not know it in {clients.region} ({error})"
        raise SettingError(setting, arn, rule, "`covalent-braket devices` lists all.") from error


# --- the devices that settings name --------------------------------------------------------------


def located(settings: Settings) -> Settings:
    """Put ARNs in the place of the names of devices; without names nothing is asked.

    A name is looked up in the executor's region and, if it is not there, in Braket's other ones.
    If nobody has set a region, the device's is taken, whatever the AWS profile says.

    Args:
        settings: Resolved settings; the local Braket is filled in if it is wanted.

    Raises:
        SettingError: No device is meant, more than one, one that is retired, or one elsewhere.
        AwsError: Braket did not answer.
    """
    name = settings.quantum_device
    device = _arn_of("quantum_device", name, settings)
    settings = replace(settings, quantum_device=device)
    if is_name(name):
        settings = _in_the_devices_region(settings, name)
    if settings.if_device_unavailable != "fallback":
        return settings
    others = (_arn_of("fallback_devices", each, settings) for each in settings.fallback_devices)
    others = (each for each in dict.fromkeys(others) if each != device)
    return replace(settings, fallback_devices=tuple(others))


def in_region(settings: Settings, region: str) -> None:
    """Check that the fallback devices can be used where the job is made.

    Raises:
        SettingError: One cannot.
    """
    if settings.if_device_unavailable != "fallback":
        return
    for device in settings.fallback_devices:
        own = region_of_device(device)
        if own not in (None, region):
            rule = f"it is in {own}, and the job is in {region}, with {settings.quantum_device}"
            fix = f"Name devices of {region}, or simulators."
            raise SettingError("fallback_devices", device, rule, fix)
        if rule := no_simulators(device, region):
            fix = "Name a QPU of eu-north-1, or a simulator inside the job: local:braket/default."
            raise SettingError("fallback_devices", device, rule, fix)


def check_live(settings: Settings) -> None:
    """Refuse devices that are known to be retired; nothing is asked.

    Raises:
        SettingError: One is.
    """
    refuse_retired("quantum_device", settings.quantum_device)
    if settings.if_device_unavailable == "fallback":
        for device in settings.fallback_devices:
            refuse_retired("fallback_devices", device)


def _in_the_devices_region(settings: Settings, name: str) -> Settings:
    own, region = region_of_device(settings.quantum_device), settings.region
    if own in (None, region):
        return settings
    source = settings.sources.get("region", "default")
    if region is not None and _said(source):
        rule = f"{settings.quantum_device} is in {own}, and region={region!r}"
        fix = f"Use region={own!r}, or a device of {region}: `covalent-braket devices`."
        if source.startswith("environment"):
            fix += f" The region comes from the {source}."
        raise SettingError("quantum_device", name, rule, fix)
    return replace(settings, region=own, sources={**settings.sources, "region": "device"})


def _said(source: str) -> bool:
    return source in ("constructor", "config") or source.startswith("environment")


def _arn_of(setting: str, device: str, settings: Settings) -> str:
    if is_name(device):
        return _looked_up(setting, device, settings).arn
    return NO_DEVICE if device.strip().lower() == "none" else device


def _looked_up(setting: str, name: str, settings: Settings) -> Listed:
    home = _home(settings)
    seen: list[Listed] = []
    unseen: dict[str, AwsError] = {}
    for region in dict.fromkeys((*home, *REGIONS)):
        try:
            seen += _remembered(clients_for(replace(settings, region=region)))
        except CredentialsError:
            raise
        except AwsError as error:
            if region in home and not isinstance(error, AccessError):
                raise
            unseen[region] = error
        if region in home and (found := exact(name, seen)):
            return found
    if not seen:
        rule = (
            f"names are looked up with SearchDevices, which failed ({next(iter(unseen.values()))})"
        )
        fix = "Allow braket:SearchDevices, or write the device's ARN."
        raise SettingError(setting, name, rule, fix)
    return find(setting, name, seen, _not_seen(unseen))


def _home(settings: Settings) -> tuple[str, ...]:
    """The region to look in first, if there is one."""
    try:
        return (clients_for(settings).region,)
    except UnconfiguredError:
        return ()


def _not_seen(regions: Iterable[str]) -> str:
    names = ", ".join(regions)
    return f"In {names} this identity could not look." if names else ""
