"""Token buckets, with a clock that the test moves."""

from __future__ import annotations

import pytest

from covalent_braket_plugin.local.server.rates import RateLimits
from covalent_braket_plugin.local.service import ServiceError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def allowed(rates: RateLimits, operation: str, region: str = "us-east-1") -> int:
    """How many calls pass before one is throttled."""
    for count in range(1000):
        try:
            rates.check(region, operation)
        except ServiceError:
            return count
    return 1000


def test_a_call_over_the_rate_is_throttled() -> None:
    rates = RateLimits(Clock(), {"Op": (1, 1)})
    rates.check("us-east-1", "Op")
    with pytest.raises(ServiceError, match="ThrottlingException"):
        rates.check("us-east-1", "Op")


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = Clock()
    rates = RateLimits(clock)
    assert allowed(rates, "CreateJob") == 5
    clock.now += 2
    assert allowed(rates, "CreateJob") == 2
    clock.now += 1000
    assert allowed(rates, "CreateJob") == 5


def test_operations_and_regions_have_buckets_of_their_own() -> None:
    rates = RateLimits(Clock())
    assert allowed(rates, "CreateJob") == 5
    assert allowed(rates, "GetJob") == 25
    assert allowed(rates, "CreateJob", "us-west-2") == 5


def test_all_operations_together_have_a_limit_too() -> None:
    rates = RateLimits(Clock(), {f"Op{n}": (100.0, 100.0) for n in range(10)})
    assert sum(allowed(rates, f"Op{n}") for n in range(10)) == 600


@pytest.mark.parametrize("operation", ["TagResource", ""])
def test_operations_without_a_limit_of_their_own_share_the_general_one(operation: str) -> None:
    assert allowed(RateLimits(Clock()), operation) in (300, 600)
