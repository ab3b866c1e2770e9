"""Faults on demand and call counts, over real sockets."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from covalent_braket_plugin.local.server.calls import Call
from covalent_braket_plugin.local.server.faults import Fault
from covalent_braket_plugin.local.server.s3_operations import s3_operation
from tests.local.conftest import Lab


@pytest.mark.parametrize(
    ("rule", "code", "status"),
    [
        ({"kind": "throttle"}, "ThrottlingException", 429),
        ({"kind": "error"}, "InternalServiceException", 500),
        ({"kind": "quota"}, "ServiceQuotaExceededException", 402),
        ({"kind": "not_found"}, "ResourceNotFoundException", 404),
        ({"kind": "error", "code": "AccessDeniedException", "status": 403}, "AccessDenied", 403),
        ({"kind": "error", "code": "DeviceOfflineException", "status": 424}, "DeviceOff", 424),
    ],
    ids=str,
)
def test_each_kind_answers_its_code_once_and_then_the_call_works(
    lab: Lab, rule: dict[str, Any], code: str, status: int
) -> None:
    braket = lab.client("braket")
    lab.faults({"operation": "SearchJobs", **rule})
    with pytest.raises(ClientError) as caught:
        braket.search_jobs(filters=[])
    assert caught.value.response["Error"]["Code"].startswith(code)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    braket.search_jobs(filters=[])


def test_answers_are_counted_by_their_status(lab: Lab) -> None:
    lab.control("DELETE", "answers")
    lab.faults({"operation": "SearchJobs", "kind": "throttle", "times": 2})
    patient = lab.client("braket", retries={"mode": "standard", "total_max_attempts": 3})
    patient.search_jobs(filters=[])
    counted = lab.control("GET", "answers")["other"]
    assert counted == {"braket:SearchJobs 429": 2, "braket:SearchJobs 200": 1}


def test_a_client_that_retries_gets_through_throttling(lab: Lab) -> None:
    lab.faults({"operation": "SearchJobs", "kind": "throttle", "times": 2})
    patient = lab.client("braket", retries={"mode": "standard", "total_max_attempts": 3})
    assert patient.search_jobs(filters=[])["ResponseMetadata"]["RetryAttempts"] == 2


def test_a_dropped_connection_has_no_answer(lab: Lab) -> None:
    lab.faults({"operation": "SearchJobs", "kind": "drop"})
    with pytest.raises(ConnectionClosedError):
        lab.client("braket").search_jobs(filters=[])


def test_a_job_made_before_the_answer_was_lost_is_found_again_by_its_token(lab: Lab) -> None:
    braket = lab.client("braket")
    request = lab.job_request(
        "lost", clientToken=uuid.uuid4().hex, hyperParameters={"do": "end", "code": "0"}
    )
    lab.faults({"operation": "CreateJob", "kind": "drop", "after": True})
    with pytest.raises(ConnectionClosedError):
        braket.create_job(**request)
    arn = braket.create_job(**request)["jobArn"]
    lab.wait(arn)
    same = [job for job in braket.search_jobs(filters=[])["jobs"] if job["jobName"] == "lost"]
    assert [job["jobArn"] for job in same] == [arn]


def test_slow_answers_come_late(lab: Lab) -> None:
    lab.faults({"operation": "*", "kind": "slow", "seconds": 0.3})
    began = time.monotonic()
    lab.client("braket").search_jobs(filters=[])
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("kind", "code"),
    [("throttle", "SlowDown"), ("error", "InternalError"), ("not_found", "NoSuchKey")],
)
def test_s3_fails_in_its_own_words(lab: Lab, kind: str, code: str) -> None:
    lab.put("faulty", "x")
    lab.faults({"operation": "s3:GetObject", "kind": kind})
    with pytest.raises(ClientError) as caught:
        lab.get("faulty")
    assert caught.value.response["Error"]["Code"] == code
    assert lab.get("faulty") == b"x"


def test_an_upload_can_be_dropped_after_it_was_stored(lab: Lab) -> None:
    lab.faults({"operation": "s3:Put*", "kind": "drop", "after": True})
    with pytest.raises(ConnectionClosedError):
        lab.put("stored", "x")
    assert lab.get("stored") == b"x"


@pytest.mark.parametrize("service", ["sts", "logs"])
def test_other_services_fail_in_their_own_format(lab: Lab, service: str) -> None:
    lab.faults({"operation": f"{service}:*", "kind": "throttle"})
    client = lab.client(service)
    call = client.get_caller_identity if service == "sts" else client.describe_log_groups
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    call()


def test_rules_are_listed_and_cleared(lab: Lab) -> None:
    lab.faults({"operation": "GetJob", "kind": "throttle", "times": 2})
    (rule,) = lab.control("GET", "faults")["faults"]
    assert (rule["operation"], rule["times"]) == ("GetJob", 2)
    lab.faults()
    assert lab.control("GET", "faults") == {"faults": []}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"operation": "GetJob"}, "kind is required: one of throttle"),
        ({"kind": "drop"}, "operation is required"),
        ({"operation": "x", "kind": "odd"}, "kind must be one of throttle, error, quota"),
        ({"operation": "x", "kind": ["drop"]}, "kind must be"),
        ({"operation": 5, "kind": "drop"}, "operation must be the name of an operation, such"),
        ({"operation": "x", "kind": "drop", "times": "2"}, "at least 1, not '2'"),
        ({"operation": "x", "kind": "drop", "times": 0}, "at least 1, not 0"),
        ({"operation": "x", "kind": "drop", "times": True}, "at least 1, not True"),
        ({"operation": "x", "kind": "error", "status": 200}, "status must be an HTTP status"),
        ({"operation": "x", "kind": "error", "code": 1}, "code must be text, not 1"),
        ({"operation": "x", "kind": "slow", "seconds": -1}, "seconds must be a number"),
        ({"operation": "x", "kind": "drop", "after": "no"}, "after must be true or false"),
        ({"operation": "x", "kind": "drop", "caller": "me"}, "caller must be 'dispatcher'"),
        ({"operation": "x", "kind": "drop", "often": 1}, "no field 'often'"),
        (7, "must be a JSON object, not 7"),
    ],
    ids=str,
)
def test_rules_that_make_no_sense_are_refused(lab: Lab, body: Any, text: str) -> None:
    from urllib.error import HTTPError

    with pytest.raises(HTTPError) as caught:
        lab.control("POST", "faults", [{"operation": "GetJob", "kind": "drop"}, body])
    assert caught.value.code == 400
    assert text in json.load(caught.value)["message"]
    assert lab.control("GET", "faults") == {"faults": []}


@pytest.mark.parametrize(
    ("rule", "call", "hit"),
    [
        (Fault("GetJob", "drop"), Call("braket", "GetJob", "r", "other"), True),
        (Fault("GetJob", "drop"), Call("s3", "GetJob", "r", "other"), False),
        (Fault("*", "drop"), Call("s3", "GetObject", "r", "job"), True),
        (Fault("*", "drop"), Call("s3", "GetObject", "r", "service"), False),
        (Fault("*", "drop", caller="dispatcher"), Call("s3", "GetObject", "r", "job"), False),
        (Fault("s3:Get*", "drop", caller="job"), Call("s3", "GetObject", "r", "job"), True),
    ],
)
def test_a_rule_hits_the_calls_that_it_names_and_never_our_own(
    rule: Fault, call: Call, hit: bool
) -> None:
    assert rule.hits(call) is hit


def test_calls_are_counted_by_caller_and_operation(lab: Lab) -> None:
    agents = {"dispatcher": "covalent-braket-plugin/1", "job": "covalent-braket-worker/1"}
    lab.reset_calls()
    for agent in [*agents.values(), "mine"]:
        lab.client("braket", user_agent_extra=agent).search_jobs(filters=[])
        s3 = lab.client("s3", user_agent_extra=agent)
        s3.put_object(Bucket=lab.info["bucket"], Key="c", Body=b"x")
        s3.get_object(Bucket=lab.info["bucket"], Key="c")
        s3.list_objects_v2(Bucket=lab.info["bucket"])
        s3.list_buckets()
        lab.client("sts", user_agent_extra=agent).get_caller_identity()
    expected = {
        "braket:SearchJobs": 1,
        "s3:PutObject": 1,
        "s3:GetObject": 1,
        "s3:ListObjectsV2": 1,
        "s3:ListBuckets": 1,
        "sts:GetCallerIdentity": 1,
    }
    counts = lab.calls()
    for caller in ("dispatcher", "job", "other"):
        assert counts[caller] == expected
    lab.reset_calls()
    assert lab.calls() == {}


@pytest.mark.parametrize(
    ("request_line", "operation"),
    [
        ("GET /", "ListBuckets"),
        ("PUT /b", "CreateBucket"),
        ("PUT /b?tagging", "PutBucketTagging"),
        ("PUT /b/?publicAccessBlock", "PutPublicAccessBlock"),
        ("PUT /b?lifecycle", "PutBucketLifecycleConfiguration"),
        ("DELETE /b?lifecycle", "DeleteBucketLifecycle"),
        ("GET /b", "ListObjects"),
        ("GET /b?list-type=2&prefix=x", "ListObjectsV2"),
        ("GET /b?location", "GetBucketLocation"),
        ("GET /b?versioning", "GetBucketVersioning"),
        ("GET /b?policy", "GetBucketPolicy"),
        ("GET /b?acl", "GetBucketAcl"),
        ("GET /b?uploads", "ListMultipartUploads"),
        ("POST /b?delete", "DeleteObjects"),
        ("GET /b/k/tagging", "GetObject"),
        ("GET /b/k?tagging", "GetObjectTagging"),
        ("GET /b/k?versionId=1&x-id=GetObject", "GetObject"),
        ("GET /b/k?uploadId=1", "ListParts"),
        ("POST /b/k?uploads", "CreateMultipartUpload"),
        ("POST /b/k?uploadId=1", "CompleteMultipartUpload"),
        ("PUT /b/k?uploadId=1&partNumber=1", "UploadPart"),
        ("DELETE /b/k?uploadId=1", "AbortMultipartUpload"),
        ("PUT /b/k", "PutObject"),
        ("PATCH /b/k", ""),
    ],
)
def test_s3_operations_have_their_names(request_line: str, operation: str) -> None:
    method, _, address = request_line.partition(" ")
    path, _, query = address.partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    assert s3_operation(environ) == operation


def test_a_copy_is_told_by_its_header() -> None:
    environ = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/b/k", "HTTP_X_AMZ_COPY_SOURCE": "b/other"}
    assert s3_operation(environ) == "CopyObject"
