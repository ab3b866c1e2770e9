"""No secret is found anywhere that a user, a job, a log or AWS's console shows.

A server gets keys of its own in its environment, in a credentials file and of an assumed role, and
passwords of proxies; electrons succeed and fail in several ways; then all that was written is
searched. What botocore itself logs at its level DEBUG is not switched on: it has secrets.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import cloudpickle
import covalent as ct
import pytest
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.support.braket_server import BraketServer
from tests.support.relay import Relay
from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OF_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAENVCANARY2345678",
    "AWS_SECRET_ACCESS_KEY": "EnvSecretCanary/7MDENGbPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "EnvTokenCanary" + "T0ken/" * 20,
}
OF_FILE = {
    "aws_access_key_id": "AKIAFILECANARY234567",
    "aws_secret_access_key": "FileSecretCanary/MDENGbPxRfiCYEXAMPLEKEY",
    "aws_session_token": "FileTokenCanary" + "T0ken/" * 20,
}
PASSWORD = "pr0xy-canary"
PROXY = f"http://somebody:{PASSWORD}@127.0.0.1:9"
ROLE_ACCOUNT, HOME = "666666666666", "000000000000"
DEBUG_LOG = """
import logging, os
ours = logging.getLogger("covalent_braket_plugin")
ours.addHandler(logging.FileHandler({path!r}))
ours.setLevel(logging.DEBUG)
"""


@dataclass(frozen=True)
class ServerWithSecrets(DemoServer):
    """A Covalent server with more in its environment than a demo has."""

    more: Mapping[str, str] = field(default_factory=dict)

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        own: dict[str, str] = super().environment(inherited)
        return {**own, **self.more}


@dataclass(frozen=True)
class Scene:
    """A stage with secrets."""

    stage: Stage
    relay: Relay
    credentials: Path

    def executor(self, **more: Any) -> Any:
        settings = {
            "endpoint_url": self.relay.url,
            "region": "us-east-1",
            "braket_job_execution_role_name": "service-role/AmazonBraketJobsExecutionRole",
            "ecr_image_uri": self.stage.braket.info["image_uri"],
            "give_up_after": 2,
        }
        return ct.executor.BraketExecutor(**{**settings, **more})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "path").mkdir()
    log = str(folder / "stage" / "debug.log")
    (folder / "path/sitecustomize.py").write_text(DEBUG_LOG.format(path=log))
    credentials = folder / "credentials"
    lines = [f"{name} = {value}" for name, value in OF_FILE.items()]
    credentials.write_text("\n".join(["[default]", *lines, ""]))
    proxies = {"HTTPS_PROXY": PROXY, "https_proxy": PROXY}
    more = {**OF_ENVIRONMENT, **proxies, "PYTHONPATH": str(folder / "path")}
    server = ServerWithSecrets(folder / "stage", more)
    braket = BraketServer.started(
        server.local_braket, local_endpoint.worker_command(), local_endpoint.worker_image()
    )
    with Relay.started(braket.endpoint_url) as relay:
        try:
            yield Scene(Stage(server, server.find_or_start(), braket), relay, credentials)
        finally:
            server.stop()
            braket.stop()


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    cloudpickle.register_pickle_by_value(request.module)


def works() -> str:
    print("works")
    return json.dumps(dict(os.environ))


def fails() -> None:
    raise ValueError(json.dumps(dict(os.environ)))


def dispatch(scene: Scene, function: Any, executor: Any) -> str:
    @ct.lattice
    def flow() -> Any:
        return ct.electron(function, executor=executor)()

    return scene.stage.dispatch(flow)


def test_no_secret_is_left_or_shown_anywhere(scene: Scene) -> None:
    role = f"arn:aws:iam::{ROLE_ACCOUNT}:role/Canary"
    executors = {
        "environment": scene.executor(),
        "file": scene.executor(credentials=str(scene.credentials)),
        "role": scene.executor(assume_role_arn=role, external_id="partner-1"),
        "proxy": scene.executor(endpoint_url="https://braket.invalid", s3_bucket_name="nowhere"),
    }
    shown: list[str] = [json.dumps(each.to_dict()) for each in executors.values()]
    dispatches: list[str] = []

    def see(*cases: tuple[Any, str, str]) -> None:
        """Run electrons at the same time: a function, an executor, and what the error says."""
        sent = [dispatch(scene, function, executors[name]) for function, name, _ in cases]
        for dispatch_id, (_, _, error) in zip(sent, cases, strict=True):
            result = scene.stage.result(dispatch_id)
            node = result.get_node_result(0)
            assert (str(result.status) == "COMPLETED") is (not error), node["error"]
            assert error in str(node["error"])
            shown.append(repr(vars(result)) + repr(node) + repr(cloudpickle.dumps(result)))
        dispatches.extend(sent)

    see((works, "environment", ""), (works, "file", ""), (works, "role", ""))
    see((fails, "role", "ValueError"), (works, "proxy", "proxy"))
    scene.relay.echo = 1000
    see(*((works, name, "InvalidSignatureException") for name in ("environment", "role")))
    scene.relay.echo = 0
    for code in ("ExpiredToken", "AccessDenied"):
        wrong = {"kind": "error", "code": code, "status": 403, "times": 0, "caller": "dispatcher"}
        scene.stage.braket.faults({"operation": "s3:PutObject", **wrong})
        see((works, "file", code), (works, "role", code))
    scene.stage.braket.faults()

    shown += outputs(scene)
    shown += in_aws(scene)
    files = written(scene.stage.server.folder)
    everything = "\n".join([*shown, *files.values()])

    assert all(dispatch_id in everything for dispatch_id in dispatches), "what is there is found"
    assert (scene.stage.server.folder / "debug.log").stat().st_size > 0
    used = {key for key, _ in scene.relay.calls}
    assert {OF_ENVIRONMENT["AWS_ACCESS_KEY_ID"], OF_FILE["aws_access_key_id"]} <= used
    assert used & set(scene.relay.issued)
    leaks = [
        (secret[:20], place)
        for secret in secrets(scene)
        for form in forms(secret)
        for place, text in [*enumerate(shown), *files.items()]
        if form in text
    ]
    assert leaks == []


def secrets(scene: Scene) -> list[str]:
    return [*OF_ENVIRONMENT.values(), *OF_FILE.values(), PASSWORD, *scene.relay.issued]


def forms(secret: str) -> set[str]:
    """How it may be written."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], encoded}


def written(folder: Path) -> dict[str, str]:
    """All files below a folder: database, results, logs, caches, jobs."""
    return {
        str(path): path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def in_aws(scene: Scene) -> Iterator[str]:
    """Jobs with their tags and hyperparameters, objects, and logs, of both accounts."""
    for account in (HOME, ROLE_ACCOUNT):
        session = boto3.Session(account, "secret", region_name="us-east-1")
        braket, s3, logs = (
            session.client(name, endpoint_url=scene.stage.braket.endpoint_url)
            for name in ("braket", "s3", "logs")
        )
        jobs = braket.search_jobs(filters=[])["jobs"]
        assert jobs
        yield from (repr(braket.get_job(jobArn=job["jobArn"])) for job in jobs)
        for bucket in s3.list_buckets()["Buckets"]:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
                for each in page.get("Contents", []):
                    yield repr(each)
                    body = s3.get_object(Bucket=bucket["Name"], Key=each["Key"])["Body"].read()
                    yield body.decode("latin-1")
        group = "/aws/braket/jobs"
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
            events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
            yield repr(events["events"])


def outputs(scene: Scene) -> Iterator[str]:
    """What the command prints."""
    environment = scene.stage.server.environment(os.environ) | {"AWS_ENDPOINT_URL": scene.relay.url}
    where = ["--set", "region=us-east-1", "--set", f"endpoint_url={scene.relay.url}"]
    role = ["--set", f"assume_role_arn=arn:aws:iam::{ROLE_ACCOUNT}:role/Canary"]
    file = ["--set", f"credentials={scene.credentials}"]
    key = OF_FILE["aws_access_key_id"]
    for code, arguments in (
        (0, ["settings", *where, *file]),
        (0, ["render", "--json", *where, *role]),
        (0, ["jobs", "orphans", *where, *role]),
        (1, ["--traceback", "settings", "--set", f"tags.owner={key}"]),
        (
            1,
            [
                "--traceback",
                "jobs",
                "orphans",
                *where[:2],
                "--set",
                "endpoint_url=https://x.invalid",
            ],
        ),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "covalent_braket_plugin.cli", *arguments],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        yield done.stdout + done.stderr
