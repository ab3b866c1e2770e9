"""Hundreds of jobs in the queue: what an answer costs does not grow out of hand."""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.operations import Jobs
from covalent_braket_plugin.local.quotas import Quotas
from covalent_braket_plugin.local.server.wire import BraketWire, Match
from covalent_braket_plugin.local.service import Caller

CALLER = Caller("us-east-1", "000000000000")
JOBS = 1000
ALLOWED_SECONDS = 0.02
"""Of processor time: that of the wall depends on what else this machine does."""

REQUEST: dict[str, Any] = {
    "jobName": "one-of-many",
    "algorithmSpecification": {
        "containerImage": {"uri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/x:y"}
    },
    "outputDataConfig": {"s3Path": "s3://amazon-braket-x/y"},
    "roleArn": "arn:aws:iam::000000000000:role/x",
    "instanceConfig": {"instanceType": "ml.m5.large", "volumeSizeInGb": 1},
    "deviceConfig": {"device": "local:none/none"},
    "tags": {"covalent:dispatch_id": "d" * 36, "covalent:node_id": "7"},
}


class Bucket:
    """Has every bucket, keeps nothing."""

    def put(self, region: str, bucket: str, key: str, body: bytes) -> None:
        raise AssertionError("nothing is stored here")

    def bucket_exists(self, region: str, bucket: str) -> bool:
        return True


class Endless:
    """Runs jobs that do not end by themselves."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def run(self, job: Job, lock: threading.RLock) -> None:
        with lock:
            job.state.start()
        self.over.wait(60)


@dataclass
class Crowd:
    """Many jobs, of which two run, and the ARN of each, oldest first."""

    wire: BraketWire
    arns: list[str]

    def cost(self, operation: str, body: Any = None, query: str = "", **members: str) -> float:
        """Processor time of one call, in seconds; the least of a few.

        Args:
            operation: What is called.
            body: JSON body; a ``clientToken`` is added to each call.
            query: Query of the URL.
            **members: Members that stand in its path.
        """
        return min(self._once(operation, body, query, members) for _ in range(5))

    def _once(self, operation: str, body: Any, query: str, members: dict[str, str]) -> float:
        data = b"" if body is None else json.dumps(body | {"clientToken": _token()}).encode()
        environ = {"wsgi.input": io.BytesIO(data), "QUERY_STRING": query}
        began = time.thread_time()
        answer = self.wire.answer(environ, CALLER, Match(operation, members))
        assert answer.status < 300, answer.body
        return time.thread_time() - began


def _token() -> str:
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    runner = Endless()
    jobs = Jobs(runner, Bucket(), lambda *_: None, slots=2, quotas=Quotas())
    requests = [{**REQUEST, "clientToken": _token()} for _ in range(JOBS)]
    arns = [jobs.create(CALLER, request)["jobArn"] for request in requests]
    yield Crowd(BraketWire(jobs.operations()), arns)
    # What waits must not begin when what runs is over.
    jobs.close(0)
    runner.over.set()


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [{"name": "createdAt", "operator": "GTE", "values": ["2020-01-01T00:00:00Z"]}],
        [{"name": "jobArn", "operator": "CONTAINS", "values": ["job/"]}],
    ],
    ids=["all", "by time", "by part of the ARN"],
)
def test_a_page_of_a_hundred_out_of_a_thousand_jobs_is_cheap(crowd: Crowd, filters: Any) -> None:
    assert crowd.cost("SearchJobs", {"filters": filters, "maxResults": 100}) < ALLOWED_SECONDS


def test_the_place_in_a_long_queue_is_cheap_to_tell(crowd: Crowd) -> None:
    query = "additionalAttributeNames=QueueInfo"
    assert crowd.cost("GetJob", query=query, jobArn=crowd.arns[-1]) < ALLOWED_SECONDS


def test_one_more_job_in_a_long_queue_is_cheap(crowd: Crowd) -> None:
    assert crowd.cost("CreateJob", REQUEST) < ALLOWED_SECONDS
