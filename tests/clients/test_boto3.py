"""boto3's Braket client: quantum tasks, devices, tags, and the errors as they come off the wire."""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.braket_server import BraketServer, eventually
from tests.support.quantum import BELL, DM1, FORTE, GARNET, HADAMARD, LONG, SV1, TN1, program


@pytest.fixture
def braket(aws: BraketServer) -> Any:
    return boto3.client("braket")


def request(aws: BraketServer, **changes: Any) -> dict[str, Any]:
    made = {
        "deviceArn": SV1,
        "outputS3Bucket": aws.info["bucket"],
        "outputS3KeyPrefix": "tasks/boto3",
        "shots": 0,
        "action": program(HADAMARD),
    }
    return made | changes


def wait(braket: Any, arn: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        task: dict[str, Any] = braket.get_quantum_task(quantumTaskArn=arn)
        return task if task["status"] in ("COMPLETED", "FAILED", "CANCELLED") else None

    return eventually(look)


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_task_runs_and_leaves_its_results_in_the_bucket(aws: BraketServer, braket: Any) -> None:
    arn = braket.create_quantum_task(**request(aws, tags={"a": "1"}))["quantumTaskArn"]
    task = wait(braket, arn)
    assert task["status"] == "COMPLETED"
    assert task["createdAt"] <= task["endedAt"]
    key = f"{task['outputS3Directory']}/results.json"
    body = boto3.client("s3").get_object(Bucket=task["outputS3Bucket"], Key=key)["Body"].read()
    assert json.loads(body)["resultTypes"][0]["value"] == pytest.approx(0, abs=1e-15)


def test_tasks_can_be_tagged(aws: BraketServer, braket: Any) -> None:
    arn = braket.create_quantum_task(**request(aws, tags={"a": "1"}))["quantumTaskArn"]
    braket.tag_resource(resourceArn=arn, tags={"b": "2"})
    braket.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert braket.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}


def test_search_walks_through_all_pages(aws: BraketServer, braket: Any) -> None:
    made = [
        braket.create_quantum_task(**request(aws, deviceArn=DM1))["quantumTaskArn"]
        for _ in range(5)
    ]
    pages = braket.get_paginator("search_quantum_tasks").paginate(
        filters=[{"name": "deviceArn", "operator": "EQUAL", "values": [DM1]}],
        PaginationConfig={"PageSize": 2},
    )
    found = [task["quantumTaskArn"] for page in pages for task in page["quantumTasks"]]
    assert found[:5] == made[::-1]


def test_a_waiting_or_running_task_can_be_cancelled(aws: BraketServer, braket: Any) -> None:
    arn = braket.create_quantum_task(**request(aws, action=program(LONG)))["quantumTaskArn"]
    answer = braket.cancel_quantum_task(quantumTaskArn=arn)
    assert answer["cancellationStatus"] in ("CANCELLING", "CANCELLED")
    assert wait(braket, arn)["status"] == "CANCELLED"
    assert refusal(braket.cancel_quantum_task, quantumTaskArn=arn) == ("ConflictException", 409)


def test_devices_are_found_by_region(aws: BraketServer) -> None:
    names = {
        region: {
            device["deviceName"]
            for device in boto3.client("braket", region).search_devices(filters=[])["devices"]
        }
        for region in ("us-east-1", "eu-north-1", "us-west-1")
    }
    assert {"SV1", "DM1", "TN1"} <= names["us-east-1"]
    assert names["eu-north-1"] == {"Garnet", "Emerald", "Ibex Q1"}
    assert "Cepheus-1-108Q" in names["us-west-1"]


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"deviceArn": TN1}, "DeviceRetiredException", 410),
        ({"outputS3Bucket": "amazon-braket-nobody"}, "ValidationException", 400),
        ({"shots": 50_001}, "ValidationException", 400),
        ({"deviceArn": GARNET, "shots": 10}, "ValidationException", 400),
        ({"outputS3KeyPrefix": "x" * 1025}, "BadRequestException", 400),
        ({"jobToken": "t" * 129}, "BadRequestException", 400),
        ({"outputS3Bucket": "b" * 64}, "BadRequestException", 400),
        ({"deviceArn": "d" * 257}, "BadRequestException", 400),
    ],
)
def test_refusals_have_the_codes_of_the_service(
    aws: BraketServer, braket: Any, changes: dict[str, Any], code: str, status: int
) -> None:
    assert refusal(braket.create_quantum_task, **request(aws, **changes)) == (code, status)


def test_an_offline_device_answers_424(
    aws: BraketServer, braket: Any, set_status: Callable[[str, str], Any]
) -> None:
    set_status(FORTE, "OFFLINE")
    changes = {"deviceArn": FORTE, "shots": 100, "action": program(BELL)}
    answer = refusal(braket.create_quantum_task, **request(aws, **changes))
    assert answer == ("DeviceOfflineException", 424)
    assert braket.get_device(deviceArn=FORTE)["deviceStatus"] == "OFFLINE"


def test_what_is_not_there_answers_404(aws: BraketServer, braket: Any) -> None:
    arn = f"arn:aws:braket:us-east-1:000000000000:quantum-task/{uuid.uuid4()}"
    missing = ("ResourceNotFoundException", 404)
    assert refusal(braket.get_quantum_task, quantumTaskArn=arn) == missing
    assert refusal(braket.cancel_quantum_task, quantumTaskArn=arn) == missing
    assert refusal(braket.get_device, deviceArn=SV1 + "x") == missing
    assert refusal(boto3.client("braket", "eu-north-1").get_device, deviceArn=SV1) == missing


def test_a_task_of_another_region_is_not_found(aws: BraketServer, braket: Any) -> None:
    arn = braket.create_quantum_task(**request(aws))["quantumTaskArn"]
    elsewhere = boto3.client("braket", "us-west-2")
    answer = refusal(elsewhere.get_quantum_task, quantumTaskArn=arn)
    assert answer == ("ResourceNotFoundException", 404)


def test_a_repeated_request_makes_one_task(aws: BraketServer, braket: Any) -> None:
    same = request(aws, clientToken=str(uuid.uuid4()))
    first = braket.create_quantum_task(**same)["quantumTaskArn"]
    assert braket.create_quantum_task(**same)["quantumTaskArn"] == first


def test_a_hundred_circuits_take_seconds_not_minutes(aws: BraketServer, braket: Any) -> None:
    wait(braket, braket.create_quantum_task(**request(aws))["quantumTaskArn"])
    times = []
    for _ in range(21):
        began = time.monotonic()
        wait(braket, braket.create_quantum_task(**request(aws))["quantumTaskArn"])
        times.append(time.monotonic() - began)
    # The middle one: on a busy machine a few may have to wait for their turn.
    assert statistics.median(times) < 0.2


def test_other_calls_are_answered_while_long_circuits_run(aws: BraketServer, braket: Any) -> None:
    long = request(aws, action=program(LONG))
    running = [braket.create_quantum_task(**long)["quantumTaskArn"] for _ in range(2)]
    began = time.monotonic()
    for _ in range(5):
        braket.get_device(deviceArn=SV1)
    assert time.monotonic() - began < 2
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda arn: braket.cancel_quantum_task(quantumTaskArn=arn), running))
