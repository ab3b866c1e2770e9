"""How often and how long AWS is asked: the clients against a real local Braket."""

from __future__ import annotations

import pytest

from covalent_braket_plugin.aws import Clients
from covalent_braket_plugin.aws.sessions import Identity
from tests.support.braket_server import BraketServer


@pytest.fixture
def clients(local_braket: BraketServer) -> Clients:
    """Clients that nobody has used yet."""
    identity = Identity(
        credentials=None,
        profile=None,
        region=local_braket.info["region"],
        endpoint_url=local_braket.endpoint_url,
        local=True,
        environment=0,
        fallback_region=None,
    )
    return Clients(identity)


def answers(server: BraketServer, operation: str) -> int:
    return server.calls().get("dispatcher", {}).get(f"braket:{operation}", 0)


def test_a_throttled_create_job_is_said_at_once_and_other_calls_are_made_again(
    clients: Clients, local_braket: BraketServer
) -> None:
    local_braket.faults(
        {"operation": "CreateJob", "kind": "throttle", "times": 2},
        {"operation": "SearchJobs", "kind": "throttle", "times": 1},
    )
    local_braket.reset_calls()
    with pytest.raises(clients.braket.exceptions.ThrottlingException):
        clients.braket.create_job(**local_braket.job_request())
    clients.braket.search_jobs(filters=[])
    assert (answers(local_braket, "CreateJob"), answers(local_braket, "SearchJobs")) == (1, 2)


def test_a_create_job_whose_connection_breaks_is_left_to_the_scheduler(
    clients: Clients, local_braket: BraketServer
) -> None:
    local_braket.faults({"operation": "CreateJob", "kind": "drop", "times": 2})
    local_braket.reset_calls()
    with pytest.raises(Exception, match="Connection was closed"):
        clients.braket.create_job(**local_braket.job_request())
    assert answers(local_braket, "CreateJob") == 1


def test_an_identity_is_proven_once_a_call_has_succeeded(
    clients: Clients, local_braket: BraketServer
) -> None:
    expired = {"kind": "error", "code": "ExpiredTokenException", "status": 403, "times": 1}
    local_braket.faults({"operation": "SearchJobs", **expired})
    with pytest.raises(clients.braket.exceptions.ClientError):
        clients.braket.search_jobs(filters=[])
    assert not clients.proven
    clients.braket.search_jobs(filters=[])
    assert clients.proven


def test_a_control_call_that_hangs_is_over_within_a_minute(clients: Clients) -> None:
    for client in (clients.braket, clients.logs, clients.service_quotas):
        config = client.meta.config
        longest = config.connect_timeout + config.read_timeout
        assert longest * config.retries["total_max_attempts"] <= 60
