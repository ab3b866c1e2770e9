"""Puts the parts together and serves until told to stop."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from logging.handlers import RotatingFileHandler
from typing import Any

from covalent_braket_plugin import __version__
from covalent_braket_plugin.errors import LocalBraketError
from covalent_braket_plugin.local.aws_clients import S3, AwsClients
from covalent_braket_plugin.local.iam import job_role
from covalent_braket_plugin.local.iam.simulation import Simulation
from covalent_braket_plugin.local.jobs import stock_images
from covalent_braket_plugin.local.jobs.containers import Containers
from covalent_braket_plugin.local.jobs.images import Images
from covalent_braket_plugin.local.jobs.isolation import Isolation, best_isolation
from covalent_braket_plugin.local.jobs.launcher import Launcher
from covalent_braket_plugin.local.jobs.operations import Jobs
from covalent_braket_plugin.local.jobs.runner import Runner, RunnerOptions
from covalent_braket_plugin.local.jobs.tags import Tags
from covalent_braket_plugin.local.options import Options
from covalent_braket_plugin.local.quantum.devices import DeviceCatalogue
from covalent_braket_plugin.local.quantum.quantum_tasks import QuantumTasks
from covalent_braket_plugin.local.quotas import PUBLISHED
from covalent_braket_plugin.local.server.app import ControlRoute, LocalAws
from covalent_braket_plugin.local.server.bucket_policies import count_loopback_as_tls
from covalent_braket_plugin.local.server.call_record import CallRecord
from covalent_braket_plugin.local.server.http_server import LoopbackServer
from covalent_braket_plugin.local.server.rates import LOGS_LIMITS, RateLimits
from covalent_braket_plugin.local.server.service_quotas import ServiceQuotas
from covalent_braket_plugin.local.server.wire import BraketWire
from covalent_braket_plugin.local.state import StateDir

__all__ = ["LocalBraket", "serve"]

log = logging.getLogger(__name__)

ACCOUNT_ID = "000000000000"
REGION = "us-east-1"
BUCKET = f"amazon-braket-{REGION}-{ACCOUNT_ID}"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:role{job_role.PATH}{job_role.NAME}"
ACCESS_LOG_BYTES = 20 * 1024 * 1024
SHUTDOWN_MARGIN_SECONDS = 5.0


class LocalBraket:
    """A local Braket, ready to serve.

    Args:
        options: How it serves.
        access_log: Receives one line per request.
    """

    def __init__(self, options: Options, access_log: Callable[[str], None]) -> None:
        self._options = options
        self._quotas = options.enforced_quotas()
        self._jobs_that_leave_tasks: set[str] = set()
        self._server = _listening(options.port, access_log)
        self.endpoint_url = f"http://127.0.0.1:{self._server.port}"
        self._state = StateDir(options.state_dir)
        self._clients = AwsClients(self.endpoint_url)
        self._s3 = S3(self._clients)
        probe = str(self._state.path / "probe")
        self._isolation = best_isolation(probe) if options.namespaces else Isolation.NONE
        self._devices = DeviceCatalogue()
        self._runner = self._make_runner()
        self._jobs = Jobs(
            self._runner,
            self._s3,
            self._devices.in_region,
            slots=options.running_jobs,
            quotas=self._quotas,
            cancel_tasks=self._cancel_tasks,
        )
        self._devices.report_queue("JOBS_QUEUE", None, self._jobs.waiting)
        self._tasks = QuantumTasks(self._s3, self._devices, self._jobs.job_of_token)
        self._server.app = self._application()

    def info(self) -> dict[str, Any]:
        """What goes into ``endpoint.json``."""
        image = self._options.worker_image
        return {
            "endpoint_url": self.endpoint_url,
            "port": self._server.port,
            "pid": os.getpid(),
            "region": REGION,
            "account_id": ACCOUNT_ID,
            "role_arn": ROLE_ARN,
            "image_uri": f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/{image}",
            "bucket": BUCKET,
            "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "version": __version__,
        }

    def start(self) -> None:
        """Serve in the background, with the default bucket in place."""
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        self._s3.create_bucket(REGION, BUCKET)

    def warm_up(self) -> None:
        """Load what the first quantum task would have to wait for."""
        self._tasks.warm_up()

    def close(self) -> None:
        """Stop jobs and simulators, then the server."""
        self._jobs.close(self._options.grace_seconds + SHUTDOWN_MARGIN_SECONDS)
        # Whatever a job's thread still waits for: its processes end, and its directory goes.
        self._runner.close()
        self._tasks.close()
        self._server.shutdown()
        self._server.server_close()

    def _make_runner(self) -> Runner:
        options = RunnerOptions(
            self._state.jobs, self._options.grace_seconds, self._options.keep_job_dirs
        )
        images = Images(self._options.worker_image, self._options.worker)
        containers = None
        if self._options.runner == "docker":
            containers = Containers(self._state.path)
            containers.sweep()
        launcher = Launcher(self.endpoint_url, images, self._isolation, containers)
        return Runner(options, launcher, self._clients, self._cancel_tasks)

    def _cancel_tasks(self, job_arn: str) -> None:
        if job_arn not in self._jobs_that_leave_tasks:
            self._tasks.cancel_for_job(job_arn)

    def _application(self) -> LocalAws:
        operations = {
            **self._jobs.operations(),
            **self._tasks.operations(),
            **self._devices.operations(),
            **Tags([self._jobs.tags_of, self._tasks.tags_of]).operations(),
        }
        image = self._options.worker_image
        routes: dict[str, ControlRoute] = {
            "health": self._health,
            "devices": lambda method, body: self._devices.control(method, body or {}),
        }
        return LocalAws(
            BraketWire(operations),
            ServiceQuotas(self._quotas.listed(), PUBLISHED.listed()),
            Simulation(self._clients),
            _moto(),
            ACCOUNT_ID,
            rates=_rates() if self._quotas.rates else {},
            leave_tasks=self._jobs_that_leave_tasks.add,
            routes=routes,
            furnish={
                "ecr": partial(stock_images.publish, self._clients, image),
                "iam": partial(job_role.make, self._clients),
            },
            record=CallRecord.asked_for(os.environ),
        )

    def _health(self, method: str, body: Any) -> Any:
        return {
            "status": "ok",
            "pid": os.getpid(),
            "version": __version__,
            "namespaces": self._isolation is not Isolation.NONE,
            "isolation": self._isolation.value,
            "runner": self._options.runner,
            "quotas": {
                "concurrent_jobs": self._quotas.concurrent_jobs,
                "instances": bool(self._quotas.instances),
                "rates": self._quotas.rates,
            },
            "jobs": self._jobs.counts(),
        }


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        LockTaken: Another server serves this state directory.
        LocalBraketError: The port is taken, or the state directory cannot be written to.
    """
    began = time.monotonic()
    state = StateDir(options.state_dir)
    state.serve()
    if not options.keep_job_dirs:
        shutil.rmtree(state.jobs, ignore_errors=True)
    wait_for_signal = _stop_signals()
    braket = LocalBraket(options, _access_log(state))
    braket.start()
    state.write(braket.info())
    log.info("ready at %s after %.2f s", braket.endpoint_url, time.monotonic() - began)
    braket.warm_up()
    wait_for_signal()
    log.info("stopping")
    state.remove()
    braket.close()
    log.info("stopped")


def _listening(port: int, access_log: Callable[[str], None]) -> LoopbackServer:
    try:
        return LoopbackServer(port, None, access_log)
    except (OSError, OverflowError) as error:
        raise LocalBraketError(f"Cannot listen on port {port}: {error}") from error


def _stop_signals() -> Callable[[], object]:
    """Have SIGTERM and SIGINT noted; returns what waits for the first of them."""
    # Python runs handlers in the main thread only, and nothing wakes it if the kernel gives the
    # signal to another; the wake-up pipe is written to by whichever thread it hits.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return lambda: os.read(reading, 1)


def _access_log(state: StateDir) -> Callable[[str], None]:
    """One line per request, in a file of its own that cannot grow without end."""
    handler = RotatingFileHandler(state.access_log, maxBytes=ACCESS_LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    access = logging.getLogger(f"{__name__}.access")
    access.propagate = False
    access.addHandler(handler)
    return access.info


def _rates() -> Mapping[str, RateLimits]:
    unlimited = (1e6, 1e6)  # CloudWatch Logs limits each operation, not all together
    logs = RateLimits(limits=LOGS_LIMITS, together=unlimited)
    return {"braket": RateLimits(), "logs": logs}


def _moto() -> Any:
    """The other services: moto's own WSGI application, which loads each service when first used."""
    # It would give every caller this one account; each request says whose it is instead.
    os.environ.pop("MOTO_ACCOUNT_ID", None)
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    count_loopback_as_tls()
    return DomainDispatcherApplication(create_backend_app)
