"""The request rates of the services, as token buckets; off unless asked for.

Sources: "Amazon Braket quotas" in the Developer Guide (rates and bursts per account and region);
"CloudWatch Logs quotas" in its User Guide and the API reference of DescribeLogStreams.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping

from covalent_braket_plugin.local.service import ServiceError

__all__ = ["ALL_OPERATIONS", "LIMITS", "LOGS_LIMITS", "RateLimits"]

LIMITS: Mapping[str, tuple[float, float]] = {
    "CreateJob": (1, 5),
    "GetJob": (5, 25),
    "SearchJobs": (5, 50),
    "CancelJob": (2, 5),
    "CreateQuantumTask": (20, 40),
    "GetQuantumTask": (100, 500),
    "SearchQuantumTasks": (5, 50),
    "CancelQuantumTask": (2, 20),
    "GetDevice": (5, 50),
    "SearchDevices": (5, 50),
}
"""Requests per second and burst, per operation."""

ALL_OPERATIONS = (140.0, 600.0)
"""Requests per second and burst of all operations together."""

LOGS_LIMITS: Mapping[str, tuple[float, float]] = {
    "GetLogEvents": (10, 10),
    "DescribeLogStreams": (25, 25),
}
"""Requests per second of CloudWatch Logs: the least of all regions; it publishes no bursts."""


class RateLimits:
    """Refuses calls that come faster than the service allows.

    Args:
        clock: Seconds that only go forward.
        limits: Rate and burst per operation.
        together: Rate and burst of all operations together, and of those that `limits` lacks.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        limits: Mapping[str, tuple[float, float]] = LIMITS,
        together: tuple[float, float] = ALL_OPERATIONS,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._together = together
        self._lock = threading.Lock()
        self._buckets: dict[tuple[Hashable, str], tuple[float, float]] = {}

    def check(self, place: Hashable, operation: str) -> None:
        """Take one token for the call.

        Args:
            place: Whose rates: a region and an account.
            operation: The operation.

        Raises:
            ServiceError: ``ThrottlingException`` if none is left.
        """
        with self._lock:
            own = self._take(place, operation, self._limits.get(operation, self._together))
            if not (own and self._take(place, "", self._together)):
                raise ServiceError("ThrottlingException", "Rate exceeded")

    def _take(self, place: Hashable, operation: str, limit: tuple[float, float]) -> bool:
        rate, burst = limit
        now = self._clock()
        level, since = self._buckets.get((place, operation), (burst, now))
        level = min(burst, level + (now - since) * rate)
        allowed = level >= 1
        self._buckets[place, operation] = (level - 1 if allowed else level, now)
        return allowed
