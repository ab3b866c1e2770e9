"""All devices of some regions and how they are, asked at the same time; blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.devices.availability import DeviceState
from covalent_braket_plugin.devices.catalogue import describe, listed
from covalent_braket_plugin.devices.names import Listed
from covalent_braket_plugin.errors import AwsError, CredentialsError
from covalent_braket_plugin.settings import Settings

__all__ = ["Found", "Survey", "survey"]

AT_ONCE = 5
"""Braket takes 5 GetDevice calls a second and 50 at once, and there are some ten devices."""

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Found:
    """A device.

    Attributes:
        listed: What SearchDevices says.
        region: Where it was found; a simulator is in others too.
        state: What GetDevice says; None of a retired one, or if that may not be asked.
    """

    listed: Listed
    region: str
    state: DeviceState | None = None


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        devices: By provider and name.
        refused: By region, why nothing is known of it.
    """

    devices: Sequence[Found]
    refused: dict[str, AwsError] = field(default_factory=dict)


def survey(
    settings: Settings,
    regions: Sequence[str],
    chosen: Callable[[Iterable[Listed]], Iterable[Listed]] = lambda found: found,
) -> Survey:
    """Look for devices.

    Args:
        settings: Who asks.
        regions: Where; a simulator counts for the first one that has it.
        chosen: Picks those that are to be described.

    Raises:
        AwsError: No region could be asked.
        SettingError: What ``chosen`` raises.
    """
    answers = dict(zip(regions, _at_once(lambda r: _of_region(settings, r), regions), strict=True))
    refused = {each: found for each, found in answers.items() if isinstance(found, AwsError)}
    if len(refused) == len(answers):
        raise next(iter(refused.values()))
    where: dict[Listed, str] = {}
    for region, found in answers.items():
        for each in () if isinstance(found, AwsError) else found:
            where.setdefault(each, region)
    wanted = sorted(chosen(where), key=lambda each: (each.provider.lower(), each.name))
    return Survey(_at_once(lambda each: _look(settings, each, where[each]), wanted), refused)


def _of_region(settings: Settings, region: str) -> tuple[Listed, ...] | AwsError:
    try:
        return listed(clients_for(replace(settings, region=region)))
    except CredentialsError:
        raise
    except AwsError as error:
        return error


def _look(settings: Settings, device: Listed, region: str) -> Found:
    if device.status == "RETIRED":
        return Found(device, region)
    clients = clients_for(replace(settings, region=region))
    return Found(device, region, describe(clients, device.arn))


def _at_once(call: Callable[[T], U], items: Sequence[T]) -> list[U]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(call, items))
