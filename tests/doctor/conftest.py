"""A set-up to be examined: whole, until a test breaks one thing."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.doctor import CHECKS, TRIAL, Check, Exam, Finding, examine
from covalent_braket_plugin.settings import resolve
from tests.support.braket_server import BraketServer

Keys = Mapping[str, str]
SECRET = "wJalrXUtnFEMIthisNeverShows"
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "braket.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Patient:
    """A set-up on a local Braket, and what the doctor finds of it."""

    def __init__(self, server: BraketServer, directory: Path, anybody: Path) -> None:
        self.server = server
        self._directory = directory
        self._anybody = anybody

    def settings(self, keys: Keys | None = None, **changes: Any) -> dict[str, Any]:
        """Settings with which all is well, as an AWS user gives them."""
        info = self.server.info
        whole = {
            "endpoint_url": self.server.endpoint_url,
            "region": info["region"],
            "braket_job_execution_role_name": info["role_arn"],
            "ecr_image_uri": info["image_uri"],
            "credentials": str(self._anybody if keys is None else self.credentials(keys)),
        }
        return {**whole, **changes}

    def credentials(self, keys: Keys) -> Path:
        """A credentials file."""
        names = {
            "AccessKeyId": "aws_access_key_id",
            "SecretAccessKey": "aws_secret_access_key",
            "SessionToken": "aws_session_token",
        }
        lines = [f"{name} = {keys[key]}" for key, name in names.items() if key in keys]
        path = self._directory / f"credentials-{uuid.uuid4().hex}"
        path.write_text("\n".join(["[default]", *lines]))
        return path

    def look(
        self,
        *names: str,
        keys: Keys | None = None,
        now: datetime | None = None,
        python: str = "",
        **changes: Any,
    ) -> dict[str, Finding]:
        """What the named checks find, and those that they build on."""
        given = self.settings(keys, **changes)
        exam = Exam(lambda: resolve(given, {}, {}), given)
        exam.python = python or exam.python
        if now:
            exam.now = lambda: now
        return {each.check: each for each in examine(exam, with_needs(names))}

    def see(self, name: str, **asked: Any) -> Finding:
        """What one check finds."""
        return self.look(name, **asked)[name]

    def role(self, *statements: Mapping[str, Any], trust: Mapping[str, Any] = TRUST) -> str:
        """Make a role that may do this; its ARN."""
        iam, name = self.server.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
        document = _document(trust)
        made = iam.create_role(RoleName=name, Path="/teams/", AssumeRolePolicyDocument=document)
        document = _document(*statements or but("*"))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
        arn: str = made["Role"]["Arn"]
        return arn

    def user(self, *statements: Mapping[str, Any]) -> Keys:
        """Make a user that may do this; its keys."""
        iam, name = self.server.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=_document(*statements))
        keys: Keys = iam.create_access_key(UserName=name)["AccessKey"]
        return keys


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def with_needs(names: tuple[str, ...]) -> list[Check]:
    """The named checks (or all but the trial) and what they need, in their order."""
    known = {check.name: check for check in (*CHECKS, TRIAL)}
    wanted, seen = list(names or [check.name for check in CHECKS]), set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        wanted += known[name].needs
    return [check for check in known.values() if check.name in seen]


def but(*actions: str) -> list[dict[str, Any]]:
    """Statements that allow everything but these actions."""
    return [{"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}]


@pytest.fixture(scope="session")
def anybody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Credentials that may do everything; one file, so that clients are made once."""
    path = tmp_path_factory.mktemp("anybody") / "credentials"
    path.write_text(f"[default]\naws_access_key_id = anybody\naws_secret_access_key = {SECRET}\n")
    return path


@pytest.fixture
def patient(local_braket: BraketServer, tmp_path: Path, anybody: Path) -> Patient:
    """A set-up in which all is well."""
    return Patient(local_braket, tmp_path, anybody)


@pytest.fixture(scope="module")
def sleepers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BraketServer]:
    """A new account, with its quotas, whose jobs sleep."""
    server = BraketServer.started(
        tmp_path_factory.mktemp("sleepers"),
        [sys.executable, "-c", "import time; time.sleep(600)"],
        local_endpoint.worker_image(),
        quotas="default",
        grace_seconds=0.2,
    )
    yield server
    server.stop()


@pytest.fixture
def newcomer(sleepers: BraketServer, tmp_path: Path, anybody: Path) -> Patient:
    """A set-up in a new account, with its quotas."""
    return Patient(sleepers, tmp_path, anybody)


@pytest.fixture
def new_bucket(local_braket: BraketServer) -> Callable[..., str]:
    """Makes a bucket."""

    def make(prefix: str = "amazon-braket-", region: str = "us-east-1") -> str:
        name = f"{prefix}{uuid.uuid4().hex[:12]}"
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        local_braket.client("s3", region).create_bucket(
            Bucket=name, **({"CreateBucketConfiguration": place} if place else {})
        )
        return name

    return make
