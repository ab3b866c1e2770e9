"""The first device of a list that can be used."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from covalent_braket_plugin.errors import NoDeviceError
from covalent_braket_plugin.job.device import device_of
from covalent_braket_plugin.job.metrics import log_metric
from covalent_braket_plugin.job.quantum_task import Run, as_program, ready
from covalent_braket_plugin.job.retry import code_of, run_with_retry, transient
from covalent_braket_plugin.job.status import update_status

__all__ = ["FallbackResult", "run_with_fallback"]

UNAVAILABLE = frozenset({"DeviceOfflineException", "DeviceRetiredException"})
"""Braket's error codes of a device that takes no tasks."""


@dataclass(frozen=True)
class FallbackResult:
    """What `run_with_fallback` gives.

    Attributes:
        result: The quantum task's result.
        device_arn: ARN of the device that gave it, or the name of a local simulator.
        tried: The devices before it in the list, and why each was not used.
    """

    result: Any
    device_arn: str
    tried: Mapping[str, str] = field(default_factory=dict)


def run_with_fallback(
    circuit: Any,
    devices: Iterable[Any],
    *,
    shots: int | None = None,
    attempts: int = 3,
    base_seconds: float = 2.0,
    **run_options: Any,
) -> FallbackResult:
    """Run a circuit on the first device of a list that can be used.

    A device is passed over if it is offline, retired or outside its execution windows, or if it
    could not be asked or given the task in several attempts (`run_with_retry`). All other errors
    are raised: what is not valid, not allowed or costs too much on one device is not tried on
    another. Once a device has taken the task, its result is waited for, and no other is asked.

    That a device was passed over is a line of stdout, the electron's status, and the metric
    ``fallback`` with the value 1.

    Args:
        circuit: A circuit or another program of the Braket SDK, or OpenQASM as text.
        devices: In the order in which they are tried: ARNs, ``local:braket/braket_sv`` and the
            like, names of the Braket SDK's ``Devices``, or devices of the SDK.
        shots: How often. None: the default of the device that is used, which is exact results on a
            simulator and 1000 on a QPU.
        attempts: How often a device is asked at most.
        base_seconds: The pause after a first failure; it doubles, up to 60 s.
        **run_options: More for the device's ``run``.

    Raises:
        NoDeviceError: None could be used; the text says why not.
        QuantumTaskError: The quantum task ended without a result.
        ValueError: No device is named, or one that nothing is known of.
        TypeError: `devices` is one text and no list.
        ImportError: The image does not hold the Braket SDK.
    """
    if isinstance(devices, str):
        raise TypeError(f"devices={devices!r} is one text: give a list, such as [{devices!r}]")
    wanted = list(devices)
    if not wanted:
        raise ValueError("No device is named. Give at least one ARN or local:braket/NAME.")
    program = as_program(circuit)
    patiently = partial(run_with_retry, attempts=attempts, base_seconds=base_seconds)
    tried: dict[str, str] = {}
    for given in wanted:
        try:
            device = patiently(partial(_usable, given))
            run = Run(device, program, shots, run_options)
            patiently(run.submit)
        except Exception as error:
            tried[_name(given)] = _why_not(error)
            _tell(f"{_name(given)} is not used: {_why_not(error)}")
        else:
            used = getattr(device, "arn", "") or _name(given)
            return FallbackResult(run_with_retry(run.result), used, tried)
    raise NoDeviceError(tried)


class _NotUsable(Exception):
    """A device takes no tasks now."""


def _usable(given: Any) -> Any:
    device = ready(device_of(given))
    if device is given and hasattr(device, "refresh_metadata"):
        device.refresh_metadata()  # it may be long since it was made
    if not getattr(device, "is_available", True):  # a local simulator always is
        online = device.status == "ONLINE"
        raise _NotUsable("outside its execution windows" if online else f"it is {device.status}")
    return device


def _why_not(error: Exception) -> str:
    """Say why a device cannot be used; an error that is no reason for that is raised again."""
    if isinstance(error, _NotUsable):
        return str(error)
    if code_of(error) in UNAVAILABLE or transient(error):
        return f"{type(error).__name__}: {error}"
    raise error


def _name(device: Any) -> str:
    return str(device if isinstance(device, str) else getattr(device, "arn", device.name))


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    update_status(text)
    log_metric("fallback", 1.0)
