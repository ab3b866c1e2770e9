"""A real local Braket for tests: its own process, port and state directory."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import boto3
from botocore.config import Config

from covalent_braket_plugin.local import daemon

SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
T = TypeVar("T")
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED"}


def eventually(question: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Ask until the answer is true, at most so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


class BraketServer:
    """A running local Braket."""

    def __init__(self, state_dir: Path, info: dict[str, Any]) -> None:
        self.state_dir = state_dir
        self.info = info
        self.endpoint_url: str = info["endpoint_url"]
        self._clients: dict[str, Any] = {}

    @classmethod
    def started(
        cls, state_dir: Path, worker: Sequence[str], worker_image: str, **options: Any
    ) -> Self:
        info = daemon.start(state_dir, worker=worker, worker_image=worker_image, **options)
        return cls(state_dir, info)

    def stop(self) -> None:
        daemon.stop(self.state_dir)

    def client(
        self, service: str, region: str | None = None, *, access_key: str = "test", **config: Any
    ) -> Any:
        """A boto3 client with dummy credentials; retries are off unless asked for.

        The digits of an account are a key of that account.
        """
        region = region or self.info["region"]
        key = f"{service} {region} {access_key} {config}"
        if key not in self._clients:
            settings = Config(**{"retries": {"total_max_attempts": 1}, **config})
            self._clients[key] = boto3.session.Session().client(
                service,
                region_name=region,
                endpoint_url=self.endpoint_url,
                aws_access_key_id=access_key,
                aws_secret_access_key="test",
                config=settings,
            )
        return self._clients[key]

    def environment(self) -> dict[str, str]:
        """Variables with which any AWS program uses this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.info["region"],
            "AWS_DEFAULT_REGION": self.info["region"],
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def control(self, method: str, name: str, body: Any = None) -> Any:
        """Call a control route under ``/_local/``."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.endpoint_url}/_local/{name}"
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def faults(self, *rules: dict[str, Any]) -> None:
        """Replace the fault rules by these; none clears them."""
        self.control("DELETE", "faults")
        if rules:
            self.control("POST", "faults", list(rules))

    def calls(self) -> dict[str, dict[str, int]]:
        """Calls so far, by class of caller and ``service:Operation``."""
        counts: dict[str, dict[str, int]] = self.control("GET", "calls")
        return counts

    def reset_calls(self) -> None:
        self.control("DELETE", "calls")

    def job_request(self, name: str = "test", **changes: Any) -> dict[str, Any]:
        """A legal CreateJob request for the worker image."""
        request = {
            "jobName": name,
            "algorithmSpecification": {"containerImage": {"uri": self.info["image_uri"]}},
            "outputDataConfig": {"s3Path": f"s3://{self.info['bucket']}/out/{name}"},
            "roleArn": self.info["role_arn"],
            "instanceConfig": {"instanceType": "ml.m5.large", "volumeSizeInGb": 1},
            "deviceConfig": {"device": SV1},
        }
        return {**request, **changes}

    def wait(self, arn: str, *statuses: str, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until a job is in one of the statuses (terminal ones if none is named)."""
        # Where the service's rates are kept, a slow job is asked about more often than they allow.
        patient = {"mode": "adaptive", "total_max_attempts": 10}
        braket = self.client("braket", arn.split(":")[3], retries=patient)
        wanted = set(statuses) or TERMINAL

        def look() -> dict[str, Any] | None:
            job: dict[str, Any] = braket.get_job(jobArn=arn)
            if job["status"] in TERMINAL - wanted:
                raise AssertionError(f"job ended {job['status']}: {job.get('failureReason')}")
            return job if job["status"] in wanted else None

        return eventually(look, seconds)

    def log_lines(self, job_name: str) -> list[str]:
        """What is in CloudWatch Logs of the jobs of that name."""
        logs, group = self.client("logs"), "/aws/braket/jobs"
        try:
            streams = logs.describe_log_streams(
                logGroupName=group, logStreamNamePrefix=f"{job_name}/"
            )["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]
