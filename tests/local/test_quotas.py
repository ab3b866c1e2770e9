"""Quotas: which are enforced by which option, and what Service Quotas says of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from covalent_braket_plugin.local.quota_table import INSTANCES, code_of, instances_name
from covalent_braket_plugin.local.quotas import PUBLISHED, UNLIMITED, Quotas, chosen
from covalent_braket_plugin.local.server.model import service_model
from tests.local.conftest import IMAGE, PROGRAM, Lab

JOBS_CODE = "L-65BEB721"
NOWHERE = "arn:aws:braket:us-east-1:000000000000:job/nowhere"


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with the quotas of a new account."""
    server = Lab.started(
        tmp_path_factory.mktemp("tight"),
        [sys.executable, str(PROGRAM), "train"],
        IMAGE,
        slots=5,
        quotas="default",
        grace_seconds=0.2,
    )
    yield server
    server.stop()


def on(instance_type: str) -> dict[str, Any]:
    return {"instanceConfig": {"instanceType": instance_type, "volumeSizeInGb": 1}}


def create(lab: Lab, **changes: Any) -> str:
    """Create a job that sleeps, however often the call is throttled; returns its ARN."""
    patient = lab.client("braket", retries={"mode": "standard", "total_max_attempts": 10})
    request = lab.job_request(hyperParameters={"do": "sleep"}, **changes)
    return str(patient.create_job(**request)["jobArn"])


def refusal(lab: Lab, **changes: Any) -> str:
    """The text with which a job is refused for a quota."""
    with pytest.raises(ClientError) as caught:
        create(lab, **changes)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ServiceQuotaExceededException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 402
    return str(answer["Error"]["Message"])


def values(lab: Lab, operation: str = "list_service_quotas", **asked: Any) -> dict[str, float]:
    """Value of each quota, by name."""
    pages = lab.client("service-quotas").get_paginator(operation)
    return {
        quota["QuotaName"]: quota["Value"]
        for page in pages.paginate(ServiceCode="braket", **asked)
        for quota in page["Quotas"]
    }


def test_every_instance_type_of_the_api_has_a_quota() -> None:
    types = set(service_model().shape_for("InstanceType").metadata["enum"])
    assert set(INSTANCES) == types


def test_codes_are_unique_and_those_of_aws_where_they_are_known() -> None:
    codes = [quota.code for quota in PUBLISHED.listed()]
    assert len(codes) == len(set(codes))
    assert code_of(instances_name("ml.m5.large")) == "L-D01386EB"
    assert code_of("Rate of CreateJob requests") == "L-1E4A0B71"


@pytest.mark.parametrize(
    ("options", "enforced"),
    [
        (("none", None, None), Quotas()),
        (("default", None, None), Quotas(3, INSTANCES, True)),
        (("default", 7, None), Quotas(7, INSTANCES, True)),
        (("default", 0, None), Quotas(None, INSTANCES, True)),
        (("default", None, False), Quotas(3, INSTANCES, False)),
        (("none", 2, None), Quotas(2)),
        (("none", None, True), Quotas(rates=True)),
    ],
    ids=str,
)
def test_what_is_said_in_particular_goes_before_the_choice(
    options: tuple[str, int | None, bool | None], enforced: Quotas
) -> None:
    assert chosen(*options) == enforced


def test_a_fourth_open_job_is_refused_until_one_has_ended(tight: Lab) -> None:
    arns = [create(tight) for _ in range(3)]
    text = refusal(tight)
    assert text.startswith("You have exceeded the service quota of 'Number of concurrent jobs'")
    tight.client("braket").cancel_job(jobArn=arns[0])
    tight.wait(arns[0], "CANCELLED")
    create(tight)


def test_an_instance_type_without_quota_is_refused_even_to_an_idle_account(tight: Lab) -> None:
    text = refusal(tight, **on("ml.p4d.24xlarge"))
    assert "Maximum number of instances of ml.p4d.24xlarge for jobs' (L-6EBE29BC)" in text
    assert text.endswith("0. Ask for a higher quota.")


def test_calls_are_throttled_by_default_quotas(tight: Lab) -> None:
    braket = tight.client("braket")
    codes = set()
    # Two a second are allowed, after a burst of five.
    for _ in range(40):
        with pytest.raises(ClientError) as caught:
            braket.cancel_job(jobArn=NOWHERE)
        codes.add(caught.value.response["Error"]["Code"])
    assert codes == {"ResourceNotFoundException", "ThrottlingException"}


def test_reading_logs_faster_than_cloudwatch_logs_allows_is_throttled(tight: Lab) -> None:
    logs = tight.client("logs")
    codes = []
    # Ten a second in the regions that allow the fewest.
    for _ in range(30):
        with pytest.raises(ClientError) as caught:
            logs.get_log_events(logGroupName="none", logStreamName="none")
        codes.append(caught.value.response["Error"]["Code"])
    assert codes[:10] == ["ResourceNotFoundException"] * 10
    assert "ThrottlingException" in codes
    # What is counted is not what others ask for.
    assert logs.describe_log_groups()["logGroups"] is not None


def test_health_says_what_is_enforced(tight: Lab, lab: Lab) -> None:
    said = {"concurrent_jobs": 3, "instances": True, "rates": True}
    assert tight.control("GET", "health")["quotas"] == said
    assert not any(lab.control("GET", "health")["quotas"].values())


def test_service_quotas_lists_what_is_enforced(tight: Lab) -> None:
    found = values(tight)
    assert found["Number of concurrent jobs"] == 3
    assert found["Rate of CreateJob requests"] == 1
    assert found["Burst rate of GetJob requests"] == 25
    assert found["Rate of API requests"] == 140
    assert found["Maximum number of instances of ml.m4.4xlarge for jobs"] == 2


def test_what_is_not_limited_is_listed_as_a_million_but_its_default_as_it_is(lab: Lab) -> None:
    assert set(values(lab).values()) == {UNLIMITED}
    assert values(lab, "list_aws_default_service_quotas")["Number of concurrent jobs"] == 3


@pytest.mark.parametrize(
    ("operation", "value"),
    [("get_service_quota", UNLIMITED), ("get_aws_default_service_quota", 3)],
)
def test_a_quota_is_found_by_its_code(lab: Lab, operation: str, value: float) -> None:
    client = lab.client("service-quotas", "us-west-2")
    quota = getattr(client, operation)(ServiceCode="braket", QuotaCode=JOBS_CODE)["Quota"]
    assert (quota["QuotaName"], quota["Value"]) == ("Number of concurrent jobs", value)
    arn = f"arn:aws:servicequotas:us-west-2:000000000000:braket/{JOBS_CODE}"
    assert quota["QuotaArn"] == arn


def test_pages_of_quotas_make_up_the_whole_list(lab: Lab) -> None:
    small = values(lab, PaginationConfig={"PageSize": 7})
    assert list(small) == [quota.name for quota in PUBLISHED.listed()]


@pytest.mark.parametrize(
    ("operation", "asked", "code"),
    [
        ("get_service_quota", {"QuotaCode": "L-NONE"}, "NoSuchResourceException"),
        ("list_service_quotas", {"ServiceCode": "ec2"}, "NoSuchResourceException"),
        ("list_service_quotas", {"NextToken": "bm9uZQ=="}, "InvalidPaginationTokenException"),
        ("list_service_quotas", {"MaxResults": 101}, "IllegalArgumentException"),
        ("list_services", {"ServiceCode": None}, "UnknownOperationException"),
    ],
    ids=str,
)
def test_questions_that_have_no_answer_get_service_quotas_own_errors(
    lab: Lab, operation: str, asked: dict[str, Any], code: str
) -> None:
    said = {"ServiceCode": "braket", **asked}
    call = getattr(lab.client("service-quotas"), operation)
    with pytest.raises(ClientError) as caught:
        call(**{name: value for name, value in said.items() if value is not None})
    assert caught.value.response["Error"]["Code"] == code


def test_calls_of_service_quotas_are_counted_and_can_fail(lab: Lab) -> None:
    lab.reset_calls()
    lab.faults({"operation": "servicequotas:ListServiceQuotas", "kind": "error", "status": 403})
    with pytest.raises(ClientError):
        values(lab)
    assert values(lab)
    assert lab.calls()["other"] == {"servicequotas:ListServiceQuotas": 2}
