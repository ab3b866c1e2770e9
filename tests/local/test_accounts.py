"""Several accounts in one local Braket: by the access key, as on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.support.braket_server import BraketServer, eventually

HOME, OTHER = "000000000000", "222222222222"
ROLE = f"arn:aws:iam::{OTHER}:role/Runner"
Maker = Callable[[str], Any]


@pytest.fixture(scope="module")
def other(local_braket: BraketServer) -> Maker:
    """Makes clients with the keys of a role in another account."""
    sts = local_braket.client("sts")
    keys = sts.assume_role(RoleArn=ROLE, RoleSessionName="me")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def make(service: str) -> Any:
        return session.client(
            service, region_name="us-east-1", endpoint_url=local_braket.endpoint_url
        )

    return make


def test_keys_of_an_assumed_role_are_of_its_account_and_unknown_ones_of_the_usual(
    local_braket: BraketServer, other: Maker
) -> None:
    assert local_braket.client("sts").get_caller_identity()["Account"] == HOME
    arn = other("sts").get_caller_identity()["Arn"]
    assert arn == f"arn:aws:sts::{OTHER}:assumed-role/Runner/me"


def test_twelve_digits_are_a_key_of_that_account(local_braket: BraketServer) -> None:
    session = boto3.Session("333333333333", "secret", region_name="us-east-1")
    sts = session.client("sts", endpoint_url=local_braket.endpoint_url)
    assert sts.get_caller_identity()["Account"] == "333333333333"


def test_job_is_of_its_creators_account_and_nobody_elses(
    local_braket: BraketServer, other: Maker
) -> None:
    request = local_braket.job_request("elsewhere", roleArn=ROLE)
    arn = other("braket").create_job(**request)["jobArn"]
    assert arn.split(":")[4] == OTHER
    ours = local_braket.client("braket")
    assert arn not in [job["jobArn"] for job in ours.search_jobs(filters=[])["jobs"]]
    for ask in (ours.get_job, ours.cancel_job):
        with pytest.raises(ours.exceptions.ResourceNotFoundException):
            ask(jobArn=arn)
    with pytest.raises(ours.exceptions.ResourceNotFoundException):
        ours.list_tags_for_resource(resourceArn=arn)
    assert other("braket").get_job(jobArn=arn)["jobArn"] == arn


def test_role_of_another_account_cannot_run_a_job(local_braket: BraketServer) -> None:
    ours = local_braket.client("braket")
    with pytest.raises(ours.exceptions.ValidationException, match="not a role of the caller"):
        ours.create_job(**local_braket.job_request(roleArn=ROLE))


def test_every_account_has_the_role_that_the_console_makes(other: Maker) -> None:
    role = other("iam").get_role(RoleName="AmazonBraketJobsExecutionRole")["Role"]
    assert role["Arn"].startswith(f"arn:aws:iam::{OTHER}:role/service-role/")


def test_jobs_log_is_in_the_account_of_the_job(local_braket: BraketServer, other: Maker) -> None:
    request = local_braket.job_request("logs-elsewhere", roleArn=ROLE)
    arn = other("braket").create_job(**request)["jobArn"]
    uuid = arn.rpartition("/")[2]

    def streams(logs: Any) -> list[Any]:
        try:
            found: list[Any] = logs.describe_log_streams(logGroupName="/aws/braket/jobs")[
                "logStreams"
            ]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [each for each in found if uuid in each["logStreamName"]]

    assert eventually(lambda: streams(other("logs")))
    assert not streams(local_braket.client("logs"))
