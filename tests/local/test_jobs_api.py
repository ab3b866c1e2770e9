"""The job operations over a real socket: errors, idempotency, pages, tags."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.local.conftest import IMAGE, PROGRAM, Lab

FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
RESERVATION = [
    {
        "arn": "arn:aws:braket:us-east-1:000000000000:reservation/x",
        "type": "RESERVATION_TIME_WINDOW_ARN",
    }
]
TN1 = "arn:aws:braket:::device/quantum-simulator/amazon/tn1"
NOWHERE = "arn:aws:braket:us-east-1:000000000000:job/00000000-0000-0000-0000-000000000000"


def refusal(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Code, HTTP status and text with which a call is refused."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], status, answer["Error"]["Message"]


@pytest.fixture(scope="module")
def still_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with a quota of two jobs and the service's request rates."""
    import sys

    server = Lab.started(
        tmp_path_factory.mktemp("still"),
        [sys.executable, str(PROGRAM)],
        IMAGE,
        slots=2,
        max_concurrent_jobs=2,
        rate_limits=True,
        grace_seconds=0.2,
    )
    yield server
    server.stop()


@pytest.fixture(scope="module")
def many(lab: Lab) -> list[str]:
    """ARNs of five ended jobs in a region of their own, oldest first."""
    s3 = lab.client("s3", "us-west-2")
    s3.create_bucket(
        Bucket="amazon-braket-west", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    braket, arns = lab.client("braket", "us-west-2"), []
    for number in range(5):
        request = lab.job_request(
            f"many-{number}",
            outputDataConfig={"s3Path": "s3://amazon-braket-west/x"},
            hyperParameters={"do": "end", "code": "0"},
            tags={"number": str(number)},
        )
        arns.append(braket.create_job(**request)["jobArn"])
        lab.wait(arns[-1])
    return arns


def test_create_answers_201_with_an_arn_that_ends_in_a_uuid(lab: Lab) -> None:
    answer = lab.client("braket").create_job(
        **lab.job_request(hyperParameters={"do": "end", "code": "0"})
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    head, _, name = answer["jobArn"].rpartition("/")
    assert head == "arn:aws:braket:us-east-1:000000000000:job"
    assert str(uuid.UUID(name)) == name


def test_get_job_answers_with_everything_that_was_asked_for(lab: Lab) -> None:
    request = lab.job_request(
        "whole",
        hyperParameters={"do": "end", "code": "0"},
        checkpointConfig={"s3Uri": f"s3://{lab.info['bucket']}/cp"},
        stoppingCondition={"maxRuntimeInSeconds": 77},
        tags={"a": "b"},
    )
    job = lab.wait(lab.client("braket").create_job(**request)["jobArn"])
    for name in ("jobName", "roleArn", "outputDataConfig", "deviceConfig", "hyperParameters"):
        assert job[name] == request[name]
    assert job["algorithmSpecification"] == request["algorithmSpecification"]
    assert job["instanceConfig"] == request["instanceConfig"] | {"instanceCount": 1}
    assert job["stoppingCondition"] == {"maxRuntimeInSeconds": 77}
    assert job["checkpointConfig"]["localPath"] == "/opt/braket/checkpoints/"
    assert job["tags"] == {"a": "b"}
    assert "queueInfo" not in job


def test_queue_info_of_an_ended_job_has_the_words_the_sdk_expects(lab: Lab) -> None:
    job = lab.run("end", parameters={"code": "0"})
    info = lab.client("braket").get_job(
        jobArn=job["jobArn"], additionalAttributeNames=["QueueInfo"]
    )["queueInfo"]
    assert info["position"] == "None"
    assert info["message"].startswith("Job is in COMPLETED status. AmazonBraket does not show")


def test_the_same_token_and_request_make_one_job(lab: Lab) -> None:
    request = lab.job_request(clientToken=uuid.uuid4().hex, hyperParameters={"do": "see"})
    braket = lab.client("braket")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: braket.create_job(**request)["jobArn"], range(8)))
    assert len(set(answers)) == 1


def test_the_same_token_with_another_request_is_a_conflict(lab: Lab) -> None:
    request = lab.job_request(clientToken=uuid.uuid4().hex, hyperParameters={"do": "see"})
    braket = lab.client("braket")
    braket.create_job(**request)
    code, status, _ = refusal(braket.create_job, **request | {"jobName": "other"})
    assert (code, status) == ("ConflictException", 409)


def test_the_same_token_in_another_region_is_another_job(lab: Lab, many: list[str]) -> None:
    west = {"s3Path": "s3://amazon-braket-west/x"}
    request = lab.job_request(
        clientToken=uuid.uuid4().hex, hyperParameters={"do": "see"}, outputDataConfig=west
    )
    first = lab.client("braket", "us-west-2").create_job(**request)["jobArn"]
    second = lab.client("braket").create_job(**request)["jobArn"]
    assert first.rpartition("/")[2] != second.rpartition("/")[2]
    lab.wait(first)


def test_unknown_jobs_and_jobs_of_other_regions_are_not_found(lab: Lab, many: list[str]) -> None:
    braket = lab.client("braket")
    for call in (braket.get_job, braket.cancel_job):
        for arn in (NOWHERE, many[0]):
            code, status, _ = refusal(call, jobArn=arn)
            assert (code, status) == ("ResourceNotFoundException", 404)


def test_an_ended_job_cannot_be_cancelled(lab: Lab) -> None:
    job = lab.run("end", parameters={"code": "0"})
    code, status, text = refusal(lab.client("braket").cancel_job, jobArn=job["jobArn"])
    assert (code, status) == ("ConflictException", 409)
    assert "cannot cancel a job in the COMPLETED status" in text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"outputDataConfig": {"s3Path": "s3://no-bucket/x"}},
            "Caller doesn't have access to no-b",
        ),
        ({"algorithmSpecification": {}}, "scriptModeConfig, containerImage or both"),
        ({"deviceConfig": {"device": "arn:aws:braket:::device/qpu/x/y"}}, "does not exist"),
        ({"deviceConfig": {"device": "anything"}}, "does not exist"),
        ({"checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "/tmp/x"}}, "under /tmp"),
        ({"checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "/opt/ml"}}, "under /opt/ml"),
        ({"checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "/opt/braket/x"}}, "/opt/braket"),
        ({"checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "x"}}, "absolute"),
        ({"checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "/opt/jobs/../ml"}}, "absolute"),
        ({"checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "/opt/./ml"}}, "under /opt/ml"),
        ({"checkpointConfig": {"s3Uri": "s3://b/k", "localPath": "//opt/ml/x"}}, "under /opt/ml"),
        ({"checkpointConfig": {"s3Uri": "s3://no-bucket/k"}}, "access to no-bucket"),
        ({"deviceConfig": {"device": GARNET}}, "does not exist in us-east-1"),
        ({"deviceConfig": {"device": "local:"}}, "local:<provider>/<simulator>"),
        ({"deviceConfig": {"device": "local:a b/c/d"}}, "local:<provider>/<simulator>"),
        ({"associations": RESERVATION}, "Braket Direct is not supported for"),
        (
            {"associations": RESERVATION, "deviceConfig": {"device": FORTE}},
            "Reservation arn is invalid",
        ),
        ({"roleArn": "arn:aws:iam::123456789012:role/x"}, "not a role of the caller's account"),
        (
            {
                "instanceConfig": {
                    "instanceType": "ml.m5.large",
                    "volumeSizeInGb": 1,
                    "instanceCount": 2,
                }
            },
            "on one instance",
        ),
        ({"tags": {"aws:x": "y"}}, "aws:"),
        ({"tags": {f"k{n}": "v" for n in range(51)}}, "at most 50"),
        ({"tags": {"k": "v" * 257}}, "longer than 256"),
    ],
    ids=str,
)
def test_requests_that_make_no_sense_are_refused(
    lab: Lab, change: dict[str, Any], text: str
) -> None:
    code, status, message = refusal(
        lab.client("braket").create_job, **lab.job_request("x", **change)
    )
    assert (code, status) == ("ValidationException", 400)
    assert text in message


def test_the_simulators_take_no_jobs_where_they_are_not(lab: Lab) -> None:
    s3 = lab.client("s3", "eu-north-1")
    s3.create_bucket(
        Bucket="amazon-braket-north",
        CreateBucketConfiguration={"LocationConstraint": "eu-north-1"},
    )
    north = {"s3Path": "s3://amazon-braket-north/x"}
    request = lab.job_request("x", outputDataConfig=north)
    code, _, text = refusal(lab.client("braket", "eu-north-1").create_job, **request)
    assert code == "ValidationException"
    assert "does not exist in eu-north-1" in text


def test_two_input_channels_cannot_have_one_name(lab: Lab) -> None:
    channel = {"channelName": "c", "dataSource": {"s3DataSource": {"s3Uri": "s3://b/k"}}}
    request = lab.job_request("x", inputDataConfig=[channel, channel])
    code, _, _ = refusal(lab.client("braket").create_job, **request)
    assert code == "ValidationException"


def test_offline_and_retired_devices_take_no_jobs(lab: Lab) -> None:
    braket = lab.client("braket")
    retired = lab.job_request("x", deviceConfig={"device": TN1})
    assert refusal(braket.create_job, **retired)[:2] == ("DeviceRetiredException", 410)
    lab.control("POST", "devices", {"deviceArn": FORTE, "status": "OFFLINE"})
    try:
        offline = lab.job_request("x", deviceConfig={"device": FORTE})
        assert refusal(braket.create_job, **offline)[:2] == ("DeviceOfflineException", 424)
    finally:
        lab.control("POST", "devices", {"deviceArn": FORTE, "status": "ONLINE"})


def test_search_lists_newest_first_in_pages(lab: Lab, many: list[str]) -> None:
    braket = lab.client("braket", "us-west-2")
    found: list[str] = []
    for page in braket.get_paginator("search_jobs").paginate(
        filters=[{"name": "jobArn", "operator": "EQUAL", "values": many}],
        PaginationConfig={"PageSize": 2},
    ):
        assert len(page["jobs"]) <= 2
        found += [job["jobArn"] for job in page["jobs"]]
    assert found == many[::-1]


def test_search_sums_jobs_up(lab: Lab, many: list[str]) -> None:
    filters = [{"name": "jobArn", "operator": "EQUAL", "values": many[:1]}]
    (job,) = lab.client("braket", "us-west-2").search_jobs(filters=filters)["jobs"]
    assert job["status"] == "COMPLETED"
    assert job["jobName"] == "many-0"
    assert job["tags"] == {"number": "0"}
    assert job["createdAt"] <= job["startedAt"] <= job["endedAt"]


@pytest.mark.parametrize(
    ("operator", "places", "expected"),
    [
        ("EQUAL", [2], {2}),
        ("LT", [2], {0, 1}),
        ("LTE", [2], {0, 1, 2}),
        ("GT", [2], {3, 4}),
        ("GTE", [2], {2, 3, 4}),
        ("BETWEEN", [1, 3], {1, 2, 3}),
    ],
)
def test_search_by_time(
    lab: Lab, many: list[str], operator: str, places: list[int], expected: set[int]
) -> None:
    braket = lab.client("braket", "us-west-2")
    times = [braket.get_job(jobArn=many[place])["createdAt"].isoformat() for place in places]
    filters = [{"name": "createdAt", "operator": operator, "values": times}]
    found = {job["jobArn"] for job in braket.search_jobs(filters=filters)["jobs"]}
    assert found & set(many) == {many[place] for place in expected}


def test_search_by_a_part_of_the_arn(lab: Lab, many: list[str]) -> None:
    part = many[3].rpartition("/")[2][:13]
    filters = [{"name": "jobArn", "operator": "CONTAINS", "values": [part]}]
    (job,) = lab.client("braket", "us-west-2").search_jobs(filters=filters)["jobs"]
    assert job["jobArn"] == many[3]


def test_search_sees_only_its_own_region(lab: Lab, many: list[str]) -> None:
    found = lab.client("braket").search_jobs(filters=[])["jobs"]
    assert not {job["jobArn"] for job in found} & set(many)


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": [{"name": "status", "operator": "EQUAL", "values": ["RUNNING"]}]},
        {"filters": [{"name": "createdAt", "operator": "LT", "values": ["yesterday"]}]},
        {"filters": [{"name": "createdAt", "operator": "BETWEEN", "values": ["2026-01-01"]}]},
        {"filters": [{"name": "createdAt", "operator": "CONTAINS", "values": ["2026"]}]},
        {"filters": [], "nextToken": "nonsense"},
        {"filters": [], "nextToken": "bm9uc2Vuc2U="},
    ],
    ids=str,
)
def test_searches_that_make_no_sense_are_refused(lab: Lab, arguments: dict[str, Any]) -> None:
    code, status, _ = refusal(lab.client("braket").search_jobs, **arguments)
    assert (code, status) == ("ValidationException", 400)


def test_a_page_token_is_only_good_for_its_own_search(lab: Lab, many: list[str]) -> None:
    braket = lab.client("braket", "us-west-2")
    token = braket.search_jobs(filters=[], maxResults=1)["nextToken"]
    filters = [{"name": "jobArn", "operator": "CONTAINS", "values": ["job"]}]
    assert refusal(braket.search_jobs, filters=filters, nextToken=token)[0] == "ValidationException"


@pytest.mark.parametrize("wrong", [{"maxResults": 101}, {"filters": [{"name": "jobArn"}] * 11}])
def test_search_limits_are_enforced(lab: Lab, wrong: dict[str, Any]) -> None:
    value = {"operator": "EQUAL", "values": ["x"]}
    arguments = {"filters": [], **wrong}
    arguments["filters"] = [{**item, **value} for item in arguments["filters"]]
    assert refusal(lab.client("braket").search_jobs, **arguments)[0] == "BadRequestException"


def test_tags_can_be_added_changed_and_removed(lab: Lab) -> None:
    braket = lab.client("braket")
    arn = lab.run("end", parameters={"code": "0"}, tags={"a": "1", "b": "2"})["jobArn"]
    braket.tag_resource(resourceArn=arn, tags={"b": "3", "c d": "4"})
    braket.untag_resource(resourceArn=arn, tagKeys=["a", "never there"])
    assert braket.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "3", "c d": "4"}
    assert braket.get_job(jobArn=arn)["tags"] == {"b": "3", "c d": "4"}


def test_tags_of_what_does_not_exist_are_not_found(lab: Lab, many: list[str]) -> None:
    braket = lab.client("braket")
    for arn in (NOWHERE, many[0]):
        for call, more in (
            (braket.list_tags_for_resource, {}),
            (braket.tag_resource, {"tags": {"a": "b"}}),
            (braket.untag_resource, {"tagKeys": ["a"]}),
        ):
            assert refusal(call, resourceArn=arn, **more)[:2] == ("ResourceNotFoundException", 404)


def test_spending_limits_answer_a_modelled_error(lab: Lab) -> None:
    braket = lab.client("braket")
    code, status, text = refusal(braket.search_spending_limits)
    assert (code, status) == ("ValidationException", 400)
    assert "not supported by the local Braket" in text


def test_the_quota_refuses_jobs_until_one_has_ended(still_lab: Lab) -> None:
    running = [still_lab.create("sleep") for _ in range(2)]
    request = still_lab.job_request()
    code, status, text = refusal(still_lab.client("braket").create_job, **request)
    assert (code, status) == ("ServiceQuotaExceededException", 402)
    assert "exceeded the service quota" in text
    for arn in running:
        still_lab.wait(arn, "RUNNING")
        still_lab.client("braket").cancel_job(jobArn=arn)
        still_lab.wait(arn, "CANCELLED")
    still_lab.run("end", parameters={"code": "0"})


def test_calls_over_the_services_rate_are_throttled(still_lab: Lab) -> None:
    braket = still_lab.client("braket")
    answers = []
    for _ in range(60):
        try:
            braket.search_jobs(filters=[])
        except braket.exceptions.ThrottlingException as error:
            answers.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
    assert answers
    assert set(answers) == {429}


def test_times_are_in_utc_to_the_millisecond(lab: Lab, many: list[str]) -> None:
    job = lab.client("braket", "us-west-2").get_job(jobArn=many[0])
    assert job["createdAt"].utcoffset() == timedelta(0)
    assert job["createdAt"].microsecond % 1000 == 0
