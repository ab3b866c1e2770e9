"""An account of its own on a real local Braket, in which electrons run as jobs."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.history import History, HybridJob
from tests.support.braket_server import BraketServer, eventually

REGION = "us-west-2"
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
"""Runs one job at a time: the others never start before they are cancelled."""


@dataclass
class Account:
    """The keys of an account that nobody else uses, and what is done with them."""

    server: BraketServer
    folder: Path
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))
    region: str = REGION
    number: str = field(default_factory=lambda: str(uuid.uuid4().int)[:12])

    def __post_init__(self) -> None:
        keys = self.folder / f"credentials-{self.number}"
        text = f"[default]\naws_access_key_id = {self.number}\naws_secret_access_key = any\n"
        keys.write_text(text)
        self.settings: dict[str, Any] = {
            "endpoint_url": self.server.endpoint_url,
            "region": self.region,
            "credentials": str(keys),
        }
        self.options = [f"--set={name}={value}" for name, value in self.settings.items()]

    @property
    def history(self) -> History:
        return History(**self.settings)

    def owner(self, service: str) -> Any:
        """A client of the account's owner, who looks at what came of things."""
        return self.server.client(service, self.region, access_key=self.number)

    def executor(self, **more: Any) -> BraketExecutor:
        options = {"keep_payload": True, "poll_freq": 0.3, **self.settings, **more}
        return BraketExecutor(cache_dir=str(self.folder / "cache"), **options)

    def start(
        self, function: Callable[..., Any], *args: Any, **more: Any
    ) -> tuple[str, Future[Any]]:
        """Run an electron as a job, in another thread; the dispatch's id, and what comes of it."""
        dispatch_id = str(uuid.uuid4())
        task = {"dispatch_id": dispatch_id, "node_id": more.pop("node_id", 0)}
        run = self.executor(**more).run(function, list(args), {}, task)
        return dispatch_id, self.pool.submit(asyncio.run, run)

    def job_of(self, function: Callable[..., Any], *args: Any, **more: Any) -> HybridJob:
        """Run an electron as a job to its end, and find the job."""
        dispatch_id, running = self.start(function, *args, **more)
        running.exception()
        return self.history.job((dispatch_id, more.get("node_id", 0)))

    def running(self, function: Callable[..., Any], *args: Any) -> HybridJob:
        """Run an electron as a job, and find the job as soon as it runs."""
        dispatch_id, _ = self.start(function, *args)

        def found() -> HybridJob | None:
            jobs = self.history.jobs(dispatch_id=dispatch_id)
            return jobs[0] if jobs and jobs[0].status == "RUNNING" else None

        return eventually(found)

    def make(self, name: str = "made-up-0-1", *, hyperparameters: Any = None, **tags: str) -> str:
        """Make a job that is cancelled at once."""
        braket = self.owner("braket")
        bucket = f"amazon-braket-{self.region}-{self.number}"
        place = {"LocationConstraint": self.region}
        s3 = self.owner("s3")
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        # Tags of ours say which dispatch and node it is of.
        role = f"arn:aws:iam::{self.number}:role/service-role/AmazonBraketJobsExecutionRole"
        request = self.server.job_request(
            name,
            tags={f"covalent:{key}": value for key, value in tags.items()},
            outputDataConfig={"s3Path": f"s3://{bucket}/out"},
            roleArn=role,
            hyperParameters=hyperparameters or {},
            **({"deviceConfig": {"device": GARNET}} if self.region in GARNET else {}),
        )
        arn = str(braket.create_job(**request)["jobArn"])
        with contextlib.suppress(braket.exceptions.ConflictException):  # it was faster
            braket.cancel_job(jobArn=arn)
        return arn


@pytest.fixture(scope="module")
def account(local_braket: BraketServer, tmp_path_factory: pytest.TempPathFactory) -> Account:
    return Account(local_braket, tmp_path_factory.mktemp("account"))


@pytest.fixture
def new_account_of_its_own(local_braket: BraketServer, tmp_path: Path) -> Account:
    return Account(local_braket, tmp_path)


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    """The jobs cannot import the tests."""
    cloudpickle.register_pickle_by_value(request.module)
