"""GetDevice and SearchDevices of the local Braket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast, get_args

from covalent_braket_plugin.local.quantum.capabilities import capabilities
from covalent_braket_plugin.local.quantum.fleet import FLEET, Device, Status, Window
from covalent_braket_plugin.local.quantum.simulators import Simulators
from covalent_braket_plugin.local.server import search
from covalent_braket_plugin.local.service import Caller, Operation, Params, ServiceError

__all__ = ["Device", "DeviceCatalogue"]

REGIONS_WITHOUT_SIMULATORS = frozenset({"eu-north-1"})
"""The SDK's own integration tests skip the on-demand simulators there."""

QueueLength = Callable[[str], int]


class DeviceCatalogue:
    """The devices, their statuses, and the simulators behind them. Safe to share among threads.

    Args:
        simulators: What the devices' tasks run on; None makes a pool of its own.
        fleet: The devices.
    """

    def __init__(
        self, simulators: Simulators | None = None, fleet: tuple[Device, ...] = FLEET
    ) -> None:
        self.simulators = simulators or Simulators()
        self._devices = {device.arn: device for device in fleet}
        self._documents: dict[str, str] = {}
        self._lock = threading.Lock()
        # The SDK's `queue_depth` needs all three.
        self._queues: dict[tuple[str, str | None], QueueLength] = {
            ("QUANTUM_TASKS_QUEUE", "Normal"): lambda _: 0,
            ("QUANTUM_TASKS_QUEUE", "Priority"): lambda _: 0,
            ("JOBS_QUEUE", None): lambda _: 0,
        }

    def operations(self) -> dict[str, Operation]:
        """The operations by name."""
        return {"GetDevice": self._get, "SearchDevices": self._search}

    def find(self, arn: str) -> Device | None:
        """The device with its present status; None if there is none of that ARN."""
        return self._devices.get(arn)

    def in_region(self, arn: str, region: str) -> Device | None:
        """The device if it can be reached from the region, else None."""
        device = self._devices.get(arn)
        return device if device is not None and _reachable(device, region) else None

    def set_status(self, arn: str, status: str) -> None:
        """Change a device's status, as an outage or a retirement would.

        Raises:
            ServiceError: ``ResourceNotFoundException`` or ``ValidationException``.
        """
        if status not in get_args(Status):
            allowed = ", ".join(get_args(Status))
            raise ServiceError("ValidationException", f"{status!r} is not one of {allowed}")
        with self._lock:
            device = self._devices.get(arn)
            if device is None:
                raise _not_found(arn)
            self._devices[arn] = replace(device, status=cast(Status, status))

    def set_windows(self, arn: str, windows: Any) -> None:
        """Change when a device says that it takes tasks.

        Args:
            arn: The device.
            windows: As GetDevice shows them: ``executionDay``, ``windowStartHour``,
                ``windowEndHour`` (``HH:MM:SS``, UTC).

        Raises:
            ServiceError: ``ResourceNotFoundException`` or ``ValidationException``.
        """
        try:
            made = tuple(
                Window(each["executionDay"], each["windowStartHour"], each["windowEndHour"])
                for each in windows
            )
        except (KeyError, TypeError) as error:
            raise ServiceError("ValidationException", f"These are no windows: {error}") from error
        with self._lock:
            device = self._devices.get(arn)
            if device is None:
                raise _not_found(arn)
            self._devices[arn] = replace(device, windows=made)
            self._documents.pop(arn, None)

    def control(self, method: str, body: Any) -> Params:
        """Answer ``/_local/devices``: GET lists the statuses, POST changes a device.

        Args:
            method: HTTP method.
            body: For POST: ``deviceArn``, and ``status`` or ``executionWindows`` or both, the
                windows as GetDevice shows them.

        Returns:
            ``{"devices": {arn: status}}``.

        Raises:
            ServiceError: As `set_status`.
        """
        if method == "POST":
            self._change(body)
        return {"devices": {device.arn: device.status for device in self._devices.values()}}

    def _change(self, body: Any) -> None:
        given = body if isinstance(body, dict) else {}
        arn = str(given.get("deviceArn", ""))
        if "executionWindows" in given:
            self.set_windows(arn, given["executionWindows"])
        if "status" in given or "executionWindows" not in given:
            self.set_status(arn, str(given.get("status", "")))

    def report_queue(self, queue: str, priority: str | None, length: QueueLength) -> None:
        """Have GetDevice show the length of a queue.

        Args:
            queue: ``QUANTUM_TASKS_QUEUE`` or ``JOBS_QUEUE``.
            priority: ``Normal`` or ``Priority``; None for jobs.
            length: Counts what waits for a device ARN.
        """
        self._queues[queue, priority] = length

    def check_available(self, device: Device) -> None:
        """Refuse work for a device that takes none.

        Raises:
            ServiceError: ``DeviceOfflineException`` or ``DeviceRetiredException``.
        """
        if device.status == "OFFLINE":
            raise ServiceError("DeviceOfflineException", f"Device {device.arn} is offline")
        if device.status == "RETIRED":
            raise ServiceError("DeviceRetiredException", f"Device {device.arn} is retired")

    def _get(self, caller: Caller, params: Params) -> Params:
        device = self.in_region(params["deviceArn"], caller.region)
        if device is None:
            raise _not_found(params["deviceArn"])
        queues = [
            {
                "queue": queue,
                "queueSize": str(length(device.arn)),
                **({"queuePriority": priority} if priority else {}),
            }
            for (queue, priority), length in self._queues.items()
        ]
        return _summary(device) | {
            "deviceCapabilities": self._document(device),
            "deviceQueueInfo": queues,
        }

    def _search(self, caller: Caller, params: Params) -> Params:
        search.check(("deviceArn",), params["filters"])
        found = [
            (-place, device)
            for place, device in enumerate(self._devices.values())
            if _reachable(device, caller.region)
            and search.matches({"deviceArn": device.arn}, params["filters"])
        ]
        shown, token = search.page(found, params)
        return {"devices": [_summary(device) for device in shown], "nextToken": token}

    def _document(self, device: Device) -> str:
        if device.arn not in self._documents:
            base = self.simulators.properties(device.simulator)
            self._documents[device.arn] = json.dumps(capabilities(device, base))
        return self._documents[device.arn]


def _reachable(device: Device, region: str) -> bool:
    if device.region:
        return device.region == region
    return region not in REGIONS_WITHOUT_SIMULATORS


def _summary(device: Device) -> Params:
    return {
        "deviceArn": device.arn,
        "deviceName": device.name,
        "providerName": device.provider,
        "deviceType": device.kind,
        "deviceStatus": device.status,
    }


def _not_found(arn: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Device {arn} not found")
