"""From what people call a device to its ARN, by the devices that Braket lists; pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from covalent_braket_plugin.devices.retired import retirement
from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.settings import region_of_device

__all__ = ["NO_DEVICE", "Listed", "exact", "find", "is_name", "refuse_retired"]

NO_DEVICE = "local:none/none"
"""What Braket's SDK sends for a job without a device."""
LIST = "`covalent-braket devices` lists them."


@dataclass(frozen=True, order=True)
class Listed:
    """A device as SearchDevices lists it.

    Attributes:
        arn: Its ARN.
        provider: Such as ``IonQ``.
        name: Such as ``Forte 1``.
        kind: ``QPU`` or ``SIMULATOR``.
        status: ``ONLINE``, ``OFFLINE`` or ``RETIRED``.
    """

    arn: str
    provider: str
    name: str
    kind: str
    status: str

    @property
    def full_name(self) -> str:
        """Provider and name."""
        return f"{self.provider} {self.name}"

    @property
    def region(self) -> str:
        """Region in the ARN; empty for the simulators, which are in many."""
        return region_of_device(self.arn) or ""

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called, in its ARN and by Braket, ready to be compared."""
        return _plain(self.name), _plain(self.arn.rpartition("/")[2])

    @property
    def full_names(self) -> tuple[str, ...]:
        """The same behind its provider: ``amazonbraketsv1``, ``amazonsv1``."""
        providers = {_plain(self.provider), _plain(self.arn.split("/")[-2])}
        return tuple(provider + name for provider in sorted(providers) for name in self.names)


def is_name(device: str) -> bool:
    """Whether Braket has to be asked which device is meant."""
    return not device.startswith(("arn:", "local:")) and device.strip().lower() != "none"


def refuse_retired(setting: str, device: str) -> None:
    """Refuse an ARN or a name that is known to be of a retired device.

    Raises:
        SettingError: It is.
    """
    known = retirement(device)
    if known is not None:
        fix = f"Use {known.instead} instead; {LIST}"
        raise SettingError(setting, device, known.sentence(), fix)


def exact(name: str, devices: Iterable[Listed]) -> Listed | None:
    """Find the live device of exactly this name, with or without its provider."""
    live = [each for each in devices if each.status != "RETIRED"]
    found = _exactly(_plain(name), live)
    return found[0] if len(found) == 1 else None


def find(setting: str, name: str, devices: Iterable[Listed], unseen: str = "") -> Listed:
    """Find the device that is meant: its name, else provider and name, else a unique beginning.

    Args:
        setting: Which setting names it, for the error.
        name: What somebody wrote.
        devices: What Braket lists.
        unseen: Where could not be looked, a sentence; empty if everywhere was.

    Raises:
        SettingError: There is none, more than one, or it is retired.
    """
    plain, listed = _plain(name), sorted(set(devices))
    live = [each for each in listed if each.status != "RETIRED"]
    found = _exactly(plain, live) or _beginning(plain, live)
    if len(found) == 1:
        return found[0]
    if found:
        which = ", ".join(each.full_name for each in found)
        fix = f"Write one of these whole, such as {found[0].full_name!r}."
        raise SettingError(setting, name, f"it may mean {which}", fix)
    refuse_retired(setting, name)
    gone = _exactly(plain, [each for each in listed if each.status == "RETIRED"])
    if gone:
        fix = f"Use another device; {LIST}"
        raise SettingError(setting, name, f"{gone[0].full_name} is retired", fix)
    fix = f"{_closest(plain, live)}{LIST}{' ' if unseen else ''}{unseen}"
    raise SettingError(setting, name, "Braket has no device of that name", fix)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _exactly(plain: str, devices: Sequence[Listed]) -> list[Listed]:
    return _which(devices, lambda each: plain in each.names) or _which(
        devices, lambda each: plain in each.full_names
    )


def _beginning(plain: str, devices: Sequence[Listed]) -> list[Listed]:
    if not plain:
        return []
    return _which(devices, lambda each: any(n.startswith(plain) for n in each.names)) or _which(
        devices, lambda each: any(n.startswith(plain) for n in each.full_names)
    )


def _which(devices: Sequence[Listed], fits: Callable[[Listed], bool]) -> list[Listed]:
    return [each for each in devices if fits(each)]


def _closest(plain: str, devices: Sequence[Listed]) -> str:
    known = {name: each.name for each in devices for name in (*each.names, *each.full_names)}
    close = dict.fromkeys(known[each] for each in difflib.get_close_matches(plain, known))
    if close:
        return f"Did you mean {' or '.join(repr(each) for each in close)}? "
    some = ", ".join(dict.fromkeys(each.name for each in devices))
    return f"There are {some}. " if some else ""
