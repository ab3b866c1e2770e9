"""What an account may do at once: its service quotas, as published or as Service Quotas says.

https://docs.aws.amazon.com/braket/latest/developerguide/braket-quotas.html
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from covalent_braket_plugin.pace import Pace

if TYPE_CHECKING:
    from covalent_braket_plugin.aws import Clients

__all__ = ["NONE_BY_DEFAULT", "PUBLISHED", "Limits", "Quotas", "read"]

AGAIN_SECONDS = 3600.0
"""After so long Service Quotas is asked again: somebody may have had a quota raised."""
SERVICE = "braket"
_ALL = "API"
_RATE = re.compile(r"(Burst rate|Rate) of (\w+) requests")
_INSTANCES = re.compile(r"Maximum number of instances of (ml\.[\w.]+) for jobs")
_JOBS = "Number of concurrent jobs"

_NONE_BY_DEFAULT = """
    ml.c5.18xlarge ml.c5n.xlarge ml.c5n.2xlarge ml.c5n.4xlarge ml.c5n.9xlarge ml.c5n.18xlarge
    ml.g4dn.xlarge ml.g4dn.2xlarge ml.g4dn.4xlarge ml.g4dn.8xlarge ml.g4dn.12xlarge
    ml.g4dn.16xlarge ml.m4.10xlarge ml.m4.16xlarge ml.m5.12xlarge ml.m5.24xlarge ml.p2.xlarge
    ml.p2.8xlarge ml.p2.16xlarge ml.p3.2xlarge ml.p3.8xlarge ml.p3.16xlarge ml.p3dn.24xlarge
    ml.p4d.24xlarge
"""
NONE_BY_DEFAULT = frozenset(_NONE_BY_DEFAULT.split())
"""Instance types of which an account has none until it asks for a raise (p3: not in the table)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quotas:
    """What an account may do in a region.

    Attributes:
        concurrent_jobs: Jobs at the same time; None if not known.
        instances: Instances at the same time, by instance type; absent if not known.
        rates: Calls a second and calls at once, by operation; ``API`` stands for all together.
    """

    concurrent_jobs: int | None
    instances: Mapping[str, int]
    rates: Mapping[str, tuple[float, float]]


PUBLISHED = Quotas(
    concurrent_jobs=None,
    instances=MappingProxyType({}),
    rates=MappingProxyType(
        {
            _ALL: (140.0, 600.0),
            "CreateJob": (1.0, 5.0),
            "GetJob": (5.0, 25.0),
            "SearchJobs": (5.0, 50.0),
            "CancelJob": (2.0, 5.0),
            "CreateQuantumTask": (20.0, 40.0),
            "GetQuantumTask": (100.0, 500.0),
            "SearchQuantumTasks": (5.0, 50.0),
            "CancelQuantumTask": (2.0, 20.0),
            "GetDevice": (5.0, 50.0),
            "SearchDevices": (5.0, 50.0),
        }
    ),
)
"""The published rates. How many jobs an account may have differs: it is learnt, not assumed."""


def read(clients: Clients) -> Quotas:
    """Ask Service Quotas; blocking.

    Args:
        clients: Whose quotas.

    Returns:
        The account's quotas; `PUBLISHED` if they cannot be asked for.
    """
    try:
        pages = clients.service_quotas.get_paginator("list_service_quotas")
        found = {
            str(quota["QuotaName"]): float(quota["Value"])
            for page in pages.paginate(ServiceCode=SERVICE)
            for quota in page["Quotas"]
        }
    except Exception as error:  # a nicety: whatever it is, the published rates hold
        log.debug("Service Quotas cannot be asked, the published rates hold: %s", error)
        return PUBLISHED
    return _parsed(found)


def _parsed(found: Mapping[str, float]) -> Quotas:
    jobs = found.get(_JOBS)
    instances = {
        match[1]: int(value)
        for name, value in found.items()
        if (match := _INSTANCES.fullmatch(name))
    }
    rates = dict(PUBLISHED.rates)
    for operation in _operations(found):
        rate, burst = rates.get(operation, (0.0, 0.0))
        rate = found.get(f"Rate of {operation} requests", rate)
        burst = found.get(f"Burst rate of {operation} requests", max(burst, rate))
        if rate > 0:
            rates[operation] = rate, burst
    return Quotas(None if jobs is None else int(jobs), instances, rates)


def _operations(names: Iterable[str]) -> set[str]:
    return {match[2] for name in names if (match := _RATE.fullmatch(name))}


class Limits:
    """The quotas of one identity as far as they are known, and the pace of each operation.

    Lives on one event loop.

    Args:
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.

    Attributes:
        quotas: The published ones until Service Quotas has answered.
        asked: Whether Service Quotas has been asked, and has answered or refused.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.quotas = PUBLISHED
        self.asked = False
        self._clock = clock
        self._sleep = sleep
        self._paces: dict[str, Pace] = {}
        self._listeners: list[Callable[[], None]] = []
        self._asking: asyncio.Task[None] | None = None
        self._again_at = clock()

    def pace(self, operation: str) -> Pace:
        """Find the pace of an operation, such as ``CreateJob``; the same for all that call it."""
        if operation not in self._paces:
            rate, burst = self.rate(operation)
            self._paces[operation] = Pace(rate, burst, clock=self._clock, sleep=self._sleep)
        return self._paces[operation]

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this whenever Service Quotas was asked."""
        self._listeners.append(listener)

    def renew(self, ask: Callable[[], Awaitable[Quotas]]) -> None:
        """Ask for the quotas in the background, at first and again after an hour.

        Args:
            ask: Asks; `PUBLISHED` stands for no answer.
        """
        if self._clock() >= self._again_at:
            self._again_at = self._clock() + AGAIN_SECONDS
            self._asking = asyncio.get_running_loop().create_task(self._renew(ask))

    async def _renew(self, ask: Callable[[], Awaitable[Quotas]]) -> None:
        try:
            found = await ask()
            if found is not PUBLISHED:
                self.quotas = found
        finally:
            self.asked = True
            for operation, pace in self._paces.items():
                pace.set(*self.rate(operation))
            for listener in self._listeners:
                listener()

    def rate(self, operation: str) -> tuple[float, float]:
        """Tell how many calls a second, and how many at once, the account may make."""
        return self.quotas.rates.get(operation) or self.quotas.rates[_ALL]
