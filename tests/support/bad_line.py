"""The way from Covalent's server to AWS, on which anything can go wrong at any phase."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import cloudpickle
import covalent as ct

from covalent_braket_plugin import local_endpoint
from tests.support.braket_server import BraketServer, eventually
from tests.support.proxy import Proxy
from tests.support.stage import Stage

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ANSWER = 42
PATIENCE_SECONDS = 60.0
CREDENTIALS = "[default]\naws_access_key_id = test\naws_secret_access_key = test\n"


def answering() -> int:
    """An electron that ends at once."""
    return ANSWER


def waiting(runs: str, release: str) -> int:
    """An electron that notes that it runs and goes on until it is released."""
    import time
    from pathlib import Path

    with Path(runs).open("a") as file:
        file.write("run\n")
    while not Path(release).exists():
        time.sleep(0.02)
    return ANSWER


@dataclass(frozen=True)
class Ended:
    """What became of a workflow of one electron.

    Attributes:
        status: Of its node.
        error: What the node says.
        value: What it returned, if it completed.
        jobs: All jobs that were made for it.
        left: Keys of what is left of it in S3.
        unused: Fault rules that did not strike as often as they should have.
        log: Lines of the server's log that name one of its jobs.
    """

    status: str
    error: str
    value: Any
    jobs: list[dict[str, Any]]
    left: list[str]
    unused: list[dict[str, Any]]
    log: str

    @property
    def job_statuses(self) -> list[str]:
        """How the jobs ended."""
        return [job["status"] for job in self.jobs]


@dataclass(frozen=True)
class BadLine:
    """A Covalent server and a local Braket, and the line between them.

    Args:
        stage: Both servers.
        proxy: The line.
        credentials: A credentials file.
    """

    stage: Stage
    proxy: Proxy
    credentials: Path

    @classmethod
    @contextmanager
    def to(cls, stage: Stage, folder: Path) -> Iterator[Self]:
        """Lay a line to a stage's local Braket, and see that it works."""
        proxy = Proxy(int(stage.braket.endpoint_url.rpartition(":")[2]))
        line = cls(stage, proxy, folder / "credentials")
        line.credentials.write_text(CREDENTIALS)
        try:
            ended = line.ended(line.start(answering))
            assert ended.status == "COMPLETED", ended.error
            yield line
        finally:
            proxy.close()

    @classmethod
    @contextmanager
    def beside(cls, stage: Stage, folder: Path) -> Iterator[Self]:
        """Lay a line from the same Covalent server to another local Braket, started here."""
        braket = BraketServer.started(
            folder,
            local_endpoint.worker_command(),
            local_endpoint.worker_image(),
            grace_seconds=1.0,
        )
        try:
            with cls.to(replace(stage, braket=braket), folder) as line:
                yield line
        finally:
            braket.stop()

    def executor(self, **changes: Any) -> Any:
        """An executor that takes the local Braket for AWS, over the line."""
        info = self.stage.braket.info
        settings: dict[str, Any] = {
            "endpoint_url": self.proxy.url,
            "region": info["region"],
            "credentials": str(self.credentials),
            "ecr_image_uri": info["image_uri"],
            "braket_job_execution_role_name": info["role_arn"],
            "s3_bucket_name": info["bucket"],
            "poll_freq": 0.3,
            "give_up_after": PATIENCE_SECONDS,
        }
        return ct.executor.BraketExecutor(**{**settings, **changes})

    def mend(self) -> None:
        """Take all faults away."""
        self.stage.braket.faults()
        self.proxy.become("pass")

    def start(self, function: Any, *args: Any, **settings: Any) -> str:
        """Start a workflow of one electron."""
        electron = ct.electron(function, executor=self.executor(**settings))

        @ct.lattice
        def flow() -> Any:
            return electron(*args)

        return self.stage.dispatch(flow)

    def start_waiting(self, place: Path, **settings: Any) -> str:
        """Start an electron that waits for `release`; comes back when it runs."""
        args = str(place / "runs"), str(place / "release")
        dispatch_id = self.start(waiting, *args, **settings)
        self.until_it_runs(place)
        return dispatch_id

    def until_it_runs(self, place: Path) -> None:
        """Wait for the mark that the electron leaves."""
        eventually((place / "runs").exists, PATIENCE_SECONDS)

    def ended(self, dispatch_id: str) -> Ended:
        """Wait for a workflow."""
        result = self.stage.result(dispatch_id)
        node = result.get_node_result(0)
        completed = str(node["status"]) == "COMPLETED"
        jobs = self.stage.jobs_of(dispatch_id)
        return Ended(
            str(node["status"]),
            node["error"] or "",
            node["output"].get_deserialized() if completed else None,
            jobs,
            self.stage.objects_of(dispatch_id),
            self.faults_left(),
            self._log_of(jobs),
        )

    def _log_of(self, jobs: list[dict[str, Any]]) -> str:
        lines = self.stage.server.log.read_text().splitlines(keepends=True)
        return "".join(line for line in lines if any(job["jobArn"] in line for job in jobs))

    def faults_left(self) -> list[dict[str, Any]]:
        """Fault rules that have not hit as often as they should."""
        rules: list[dict[str, Any]] = self.stage.braket.control("GET", "faults")["faults"]
        return rules
