"""Faults on demand and call counts, over real sockets."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from covalent_braket_plugin.local.server.calls import Call
from covalent_braket_plugin.local.server.faults import Fault, Faults
from covalent_braket_plugin.local.server.s3_operations import s3_operation
from tests.local.conftest import Lab

NOWHERE = "arn:aws:braket:us-east-1:000000000000:job/nowhere"


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


def test_a_hanging_call_is_neither_answered_nor_closed(lab: Lab) -> None:
    lab.faults({"operation": "SearchJobs", "kind": "hang"})
    impatient = lab.client("braket", read_timeout=0.5)
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        impatient.search_jobs(filters=[])
    assert time.monotonic() - began >= 0.5
    lab.client("braket").search_jobs(filters=[])


def test_a_hanging_connection_is_closed_when_its_time_is_up(lab: Lab) -> None:
    lab.faults({"operation": "s3:PutObject", "kind": "hang", "seconds": 0.3})
    with pytest.raises(ConnectionClosedError):
        lab.put("hanging", "x" * (3 << 20))


def test_a_call_can_be_carried_out_and_then_hang(lab: Lab) -> None:
    lab.faults({"operation": "s3:PutObject", "kind": "hang", "seconds": 0.1, "after": True})
    with pytest.raises(ConnectionClosedError):
        lab.put("carried-out", "x")
    assert lab.get("carried-out") == b"x"


def test_a_truncated_download_breaks_off_in_the_middle(lab: Lab) -> None:
    lab.put("whole", "x" * 1000)
    lab.faults({"operation": "s3:GetObject", "kind": "truncate"})
    answer = lab.client("s3").get_object(Bucket=lab.info["bucket"], Key="whole")
    assert answer["ContentLength"] == 1000
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        answer["Body"].read()
    assert lab.get("whole") == b"x" * 1000


def test_botocore_takes_a_truncated_answer_of_braket_for_one_without_members(lab: Lab) -> None:
    # botocore makes a text of JSON that it cannot read, and does not mind short bodies. Who calls
    # has to look whether what must be there is there.
    lab.faults({"operation": "SearchJobs", "kind": "truncate"})
    assert "jobs" not in lab.client("braket").search_jobs(filters=[])
    assert "jobs" in lab.client("braket").search_jobs(filters=[])


def test_a_flipped_download_has_one_wrong_byte_and_is_right_when_read_again(lab: Lab) -> None:
    lab.put("text", b"abcde")
    lab.faults({"operation": "s3:GetObject", "kind": "flip"})
    trusting = lab.client("s3", response_checksum_validation="when_required")
    answer = trusting.get_object(Bucket=lab.info["bucket"], Key="text")
    assert (answer["Body"].read(), answer["ContentLength"]) == (b"abbde", 5)
    assert lab.get("text") == b"abcde"


def test_a_flipped_upload_is_stored_wrong(lab: Lab) -> None:
    lab.faults({"operation": "s3:PutObject", "kind": "flip", "where": "request"})
    lab.put("stored-wrong", b"abcde")
    trusting = lab.client("s3", response_checksum_validation="when_required")
    answer = trusting.get_object(Bucket=lab.info["bucket"], Key="stored-wrong")
    assert answer["Body"].read() == b"abbde"


def test_a_rule_of_no_number_holds_until_it_is_cleared(lab: Lab) -> None:
    lab.faults({"operation": "SearchJobs", "kind": "throttle", "times": 0})
    braket = lab.client("braket")
    for _ in range(5):
        with pytest.raises(ClientError):
            braket.search_jobs(filters=[])
    lab.faults()
    braket.search_jobs(filters=[])


def test_chance_hits_its_share_of_the_calls_and_the_same_ones_with_the_same_seed() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults()
        faults.add(Fault("GetJob", "drop", times=0, probability=0.2, seed=seed))
        call = Call("braket", "GetJob", "r", "other")
        return [faults.take(call) is not None for _ in range(1000)]

    assert 150 < sum(struck(7)) < 250
    assert struck(7) == struck(7) != struck(8)


def test_a_rule_that_chance_lets_pass_leaves_the_call_to_the_next() -> None:
    faults = Faults()
    faults.add(Fault("GetJob", "drop", times=0, probability=0.0))
    faults.add(Fault("*", "slow"))
    taken = faults.take(Call("braket", "GetJob", "r", "other"))
    assert taken is not None
    assert taken.kind == "slow"


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
    with pytest.raises(ClientError):
        lab.client("braket").get_job(jobArn=NOWHERE)
    (rule,) = lab.control("GET", "faults")["faults"]
    assert (rule["operation"], rule["times"], rule["used"]) == ("GetJob", 2, 1)
    lab.control("POST", "faults", {key: rule[key] for key in rule if key != "used"})
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
        ({"operation": "x", "kind": "drop", "times": "2"}, "until it is cleared, not '2'"),
        ({"operation": "x", "kind": "drop", "times": -1}, "until it is cleared, not -1"),
        ({"operation": "x", "kind": "drop", "times": True}, "until it is cleared, not True"),
        ({"operation": "x", "kind": "drop", "probability": 2}, "a number from 0 to 1, not 2"),
        ({"operation": "x", "kind": "drop", "seed": "a"}, "seed must be a whole number"),
        ({"operation": "x", "kind": "flip", "where": "here"}, "'answer' or 'request', not 'here'"),
        ({"operation": "GetJob", "kind": "leave_tasks"}, "for operation CancelJob, not for 'Get"),
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
        s3.head_bucket(Bucket=lab.info["bucket"])
        lab.client("sts", user_agent_extra=agent).get_caller_identity()
    expected = {
        "braket:SearchJobs": 1,
        "s3:PutObject": 1,
        "s3:GetObject": 1,
        "s3:ListObjectsV2": 1,
        "s3:HeadBucket": 1,
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
