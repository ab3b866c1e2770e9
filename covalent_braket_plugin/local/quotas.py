"""The quotas that are enforced here, as the parts that enforce them and Service Quotas see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from covalent_braket_plugin.local.quota_table import (
    CONCURRENT_JOBS,
    INSTANCES,
    JOBS,
    code_of,
    instances_name,
)
from covalent_braket_plugin.local.server.rates import ALL_OPERATIONS, LIMITS

__all__ = ["CHOICES", "PUBLISHED", "UNLIMITED", "Quota", "Quotas", "chosen"]

CHOICES = ("none", "default")
"""What ``--quotas`` can be."""

UNLIMITED = 1_000_000.0
"""Value that Service Quotas answers for what is not limited here."""


@dataclass(frozen=True)
class Quota:
    """One quota as Service Quotas lists it.

    Attributes:
        name: Its name.
        value: How many, or how many a second.
        adjustable: Whether AWS raises it on request.
    """

    name: str
    value: float
    adjustable: bool = True

    @property
    def code(self) -> str:
        """Its code, such as ``L-65BEB721``."""
        return code_of(self.name)


@dataclass(frozen=True)
class Quotas:
    """What an account may do in a region.

    Attributes:
        concurrent_jobs: Unfinished jobs; None for no limit.
        instances: Instances that unfinished jobs may have, by type; a type that is not there has
            no limit.
        rates: Whether the service's request rates are enforced.
    """

    concurrent_jobs: int | None = None
    instances: Mapping[str, int] = field(default_factory=dict)
    rates: bool = False

    def listed(self) -> Iterator[Quota]:
        """All quotas that the service has."""
        jobs = UNLIMITED if self.concurrent_jobs is None else self.concurrent_jobs
        yield Quota(JOBS, jobs)
        for operation, (rate, burst) in {"API": ALL_OPERATIONS, **LIMITS}.items():
            name = f"ate of {operation} requests"
            yield Quota(f"R{name}", rate if self.rates else UNLIMITED)
            # The guide: "Burst rate quotas cannot be increased."
            yield Quota(f"Burst r{name}", burst if self.rates else UNLIMITED, adjustable=False)
        for type in INSTANCES:
            yield Quota(instances_name(type), self.instances.get(type, UNLIMITED))


PUBLISHED = Quotas(CONCURRENT_JOBS, INSTANCES, rates=True)
"""What AWS gives a new account."""


def chosen(choice: str, max_concurrent_jobs: int | None, rate_limits: bool | None) -> Quotas:
    """What the options ask for.

    Args:
        choice: One of `CHOICES`.
        max_concurrent_jobs: Goes before the choice if not None; 0 for no limit.
        rate_limits: Goes before the choice if not None.
    """
    base = PUBLISHED if choice == "default" else Quotas()
    jobs = base.concurrent_jobs if max_concurrent_jobs is None else max_concurrent_jobs or None
    return Quotas(jobs, base.instances, base.rates if rate_limits is None else rate_limits)
