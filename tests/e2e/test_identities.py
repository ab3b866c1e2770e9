"""Executors of several identities in one Covalent server: each has its own account, unmixed."""

from __future__ import annotations

from typing import Any

import boto3
import covalent as ct
import pytest

from tests.support.stage import Stage

pytestmark = pytest.mark.e2e

HOME, BLUE, RED = "000000000000", "444444444444", "555555555555"


def executor(account: str) -> Any:
    if account == HOME:
        return ct.executor.BraketExecutor(local=True)
    role = f"arn:aws:iam::{account}:role/Partner"
    return ct.executor.BraketExecutor(local=True, assume_role_arn=role, external_id=f"x-{account}")


def client(stage: Stage, account: str, service: str) -> Any:
    """A client of an account: its number is a key there."""
    session = boto3.Session(account, "secret", region_name="us-east-1")
    return session.client(service, endpoint_url=stage.braket.endpoint_url)


def told(account: str, number: int) -> str:
    return f"{account} {number}"


def test_electrons_of_three_accounts_at_once_stay_in_their_accounts(stage: Stage) -> None:
    accounts = [HOME, BLUE, RED]

    @ct.lattice
    def flow() -> Any:
        return [
            ct.electron(told, executor=executor(account))(account, number)
            for number, account in enumerate(accounts)
        ]

    dispatch_id = stage.dispatch(flow)
    result = stage.result(dispatch_id)
    assert result.result == [told(account, number) for number, account in enumerate(accounts)]
    for account in accounts:
        found = client(stage, account, "braket").search_jobs(filters=[])["jobs"]
        ours = [job for job in found if job["tags"]["covalent:dispatch_id"] == dispatch_id]
        assert [job["jobArn"].split(":")[4] for job in ours] == [account]
        assert ours[0]["status"] == "COMPLETED"
        buckets = client(stage, account, "s3").list_buckets()["Buckets"]
        assert f"amazon-braket-us-east-1-{account}" in [bucket["Name"] for bucket in buckets]
