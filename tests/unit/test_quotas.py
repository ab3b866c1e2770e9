"""What an account may do: read from a real local Braket, followed on a clock that jumps."""

from __future__ import annotations

import asyncio

import pytest

from covalent_braket_plugin.aws import Clients, clients_for
from covalent_braket_plugin.quotas import NONE_BY_DEFAULT, PUBLISHED, Limits, Quotas, read
from covalent_braket_plugin.settings import Settings
from covalent_braket_plugin.settings.instance_types import INSTANCE_TYPES
from tests.support import virtual_time
from tests.support.braket_server import BraketServer
from tests.support.virtual_time import now

RAISED = Quotas(10, {"ml.m5.large": 8}, {**PUBLISHED.rates, "CreateJob": (2.0, 5.0)})


def clients_of(server: BraketServer) -> Clients:
    region = server.info["region"]
    return clients_for(Settings(local=True, endpoint_url=server.endpoint_url, region=region))


def test_service_quotas_tells_what_a_new_account_may_do(new_account: BraketServer) -> None:
    found = read(clients_of(new_account))
    assert found.concurrent_jobs == 3
    assert found.instances["ml.m5.large"] == 5
    for operation in ("CreateJob", "GetJob", "SearchJobs", "CancelJob", "SearchQuantumTasks"):
        assert found.rates[operation] == PUBLISHED.rates[operation]


def test_the_types_of_which_nobody_has_any_are_those_of_a_new_account(
    new_account: BraketServer,
) -> None:
    found = read(clients_of(new_account))
    zero = {kind for kind, most in found.instances.items() if most == 0}
    assert zero == {kind for kind in NONE_BY_DEFAULT if kind in found.instances}
    assert zero
    assert NONE_BY_DEFAULT <= INSTANCE_TYPES


def test_what_is_not_limited_slows_nothing_down(local_braket: BraketServer) -> None:
    found = read(clients_of(local_braket))
    assert found.concurrent_jobs is not None
    assert found.concurrent_jobs >= 1e6
    assert min(found.rates["CreateJob"]) >= 1e6


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "AccessDeniedException", "status": 400},
        {"kind": "error", "code": "NoSuchResourceException", "status": 400},
        {"kind": "drop"},
        {"kind": "truncate"},
    ],
)
def test_if_service_quotas_cannot_be_asked_the_published_rates_hold(
    fault: dict[str, object], local_braket: BraketServer
) -> None:
    local_braket.faults({"operation": "servicequotas:*", "times": 0, **fault})
    assert read(clients_of(local_braket)) is PUBLISHED


def test_nobody_waits_for_service_quotas_and_paces_follow_it() -> None:
    async def slow() -> Quotas:
        await asyncio.sleep(30)
        return RAISED

    async def test() -> None:
        limits, heard = Limits(clock=now), list[float]()
        limits.on_change(lambda: heard.append(now()))
        limits.renew(slow)
        pace = limits.pace("CreateJob")
        for _ in range(6):
            await pace.turn()
        assert 1 <= now() < 1.5
        assert (limits.quotas, limits.asked) == (PUBLISHED, False)
        await asyncio.sleep(30)
        assert (limits.quotas, limits.asked, heard) == (RAISED, True, [30.0])
        pace.slow_down()
        before = now()
        for _ in range(11):
            await pace.turn()
        assert 5.5 <= now() - before <= 6, "eleven at two a second"
        assert limits.pace("CreateJob") is pace

    virtual_time.run(test())


def test_service_quotas_is_asked_again_after_an_hour_and_what_is_known_outlasts_no_answer() -> None:
    asked: list[float] = []

    async def ask() -> Quotas:
        asked.append(now())
        return RAISED if len(asked) == 1 else PUBLISHED

    async def test() -> None:
        limits = Limits(clock=now)
        for _ in range(121):
            limits.renew(ask)
            await asyncio.sleep(60)
        assert asked == [0.0, 3600.0, 7200.0]
        assert limits.quotas is RAISED

    virtual_time.run(test())
