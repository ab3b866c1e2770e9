"""The job operations: create, get, search, cancel, and the tags of all resources."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from covalent_braket_plugin.local.jobs.job import Job, describe, summarize
from covalent_braket_plugin.local.jobs.job_checks import DeviceLookup, check_job
from covalent_braket_plugin.local.jobs.job_state import JobState, Status
from covalent_braket_plugin.local.jobs.slots import Slots
from covalent_braket_plugin.local.quota_table import JOBS, code_of, instances_name
from covalent_braket_plugin.local.quotas import Quotas
from covalent_braket_plugin.local.server import search
from covalent_braket_plugin.local.service import (
    Caller,
    ObjectStore,
    Operation,
    Params,
    ServiceError,
)

__all__ = ["JobRunner", "Jobs"]

log = logging.getLogger(__name__)

SEARCHABLE = ("jobArn", "createdAt")


class JobRunner(Protocol):
    """Runs one job to its end; the job's state is in its hands from then on."""

    def run(self, job: Job, lock: threading.RLock) -> None:
        """Run the job; every change of its state happens under the lock."""


@dataclass
class _Tokens:
    """Client tokens that were seen: which request they came with and which job they made."""

    seen: dict[tuple[str, str, str], tuple[str, Job]] = field(default_factory=dict)

    def replay(self, caller: Caller, params: Params) -> Job | None:
        """The job that the same request made before.

        Raises:
            ServiceError: ``ConflictException`` if the token came with another request.
        """
        digest, job = self.seen.get((*caller.place, params["clientToken"]), ("", None))
        if job is not None and digest != _digest(params):
            text = "The clientToken was used before with a different request"
            raise ServiceError("ConflictException", text)
        return job

    def remember(self, caller: Caller, params: Params, job: Job) -> None:
        self.seen[*caller.place, params["clientToken"]] = (_digest(params), job)


class Jobs:
    """All hybrid jobs, in memory.

    Args:
        runner: Runs a job.
        store: Where buckets are looked up.
        find_device: Finds a device by ARN and region, None if it cannot be reached from there.
        slots: Number of jobs that run at once.
        quotas: What CreateJob allows.
        cancel_tasks: Called with the ARN of a job that is cancelled.
    """

    def __init__(
        self,
        runner: JobRunner,
        store: ObjectStore,
        find_device: DeviceLookup,
        *,
        slots: int,
        quotas: Quotas,
        cancel_tasks: Callable[[str], None] = lambda arn: None,
    ) -> None:
        self._runner = runner
        self._store = store
        self._find_device = find_device
        self._quotas = quotas
        self._cancel_tasks = cancel_tasks
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._tokens = _Tokens()
        self._slots = Slots(slots, self._run, _is_qpu)

    def operations(self) -> dict[str, Operation]:
        """The operations of this room, by name."""
        return {
            "CreateJob": self.create,
            "GetJob": self.get,
            "SearchJobs": self.search,
            "CancelJob": self.cancel,
        }

    def create(self, caller: Caller, params: Params) -> Params:
        """CreateJob: idempotent by ``clientToken``."""
        with self._lock:
            known = self._tokens.replay(caller, params)
        if known is None:
            check_job(caller, params, self._store, self._find_device)
            known = self._insert(caller, params)
        return {"jobArn": known.arn}

    def get(self, caller: Caller, params: Params) -> Params:
        """GetJob."""
        job = self._find(caller, params["jobArn"])
        wanted = "QueueInfo" in params.get("additionalAttributeNames", ())
        position = self._slots.position(job) if wanted else None
        with self._lock:
            return describe(job, position, with_queue=wanted)

    def search(self, caller: Caller, params: Params) -> Params:
        """SearchJobs: newest first, 100 to a page unless asked otherwise."""
        filters = params["filters"]
        search.check(SEARCHABLE, filters)
        with self._lock:
            found = [
                (number, job)
                for number, job in search.newest_first(self._jobs)
                if job.place == caller.place and search.matches(_fields(job), filters)
            ]
            shown, token = search.page(found, params)
            return {"jobs": [summarize(job) for job in shown], "nextToken": token}

    def cancel(self, caller: Caller, params: Params) -> Params:
        """CancelJob: at once for a waiting job, else the job is stopped in the background."""
        job = self._find(caller, params["jobArn"])
        with self._lock:
            self._cancel(job)
            status = job.state.status.value
        self._cancel_tasks(job.arn)
        return {"jobArn": job.arn, "cancellationStatus": status}

    def job_of_token(self, token: str) -> str | None:
        """ARN of the job that was given this job token."""
        with self._lock:
            return next((job.arn for job in self._jobs.values() if job.token == token), None)

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The live tags of a job, None if there is no such job."""
        with self._lock:
            job = self._jobs.get(arn)
        return None if job is None else job.tags

    def counts(self) -> dict[str, int]:
        """Number of jobs in each status that occurs."""
        with self._lock:
            statuses = [job.state.status.value for job in self._jobs.values()]
        return {status: statuses.count(status) for status in sorted(set(statuses))}

    def waiting(self, device: str) -> int:
        """How many jobs wait that were made for a device."""
        return self._slots.waiting(device)

    def close(self, timeout: float) -> None:
        """Stop all running jobs and start no more; waits at most so many seconds per job."""
        with self._lock:
            running = [job for job in self._jobs.values() if not job.state.terminal]
            for job in running:
                job.cancel.set()
        self._slots.close(timeout)

    def _find(self, caller: Caller, arn: str) -> Job:
        with self._lock:
            job = self._jobs.get(arn)
        if job is None or job.place != caller.place:
            raise ServiceError("ResourceNotFoundException", f"Job {arn} does not exist")
        return job

    def _insert(self, caller: Caller, params: Params) -> Job:
        with self._lock:
            known = self._tokens.replay(caller, params)
            if known is not None:
                return known
            self._check_quotas(caller, params["instanceConfig"]["instanceType"])
            job = _new_job(caller, params)
            self._jobs[job.arn] = job
            self._tokens.remember(caller, params, job)
        self._slots.submit(job)
        return job

    def _check_quotas(self, caller: Caller, type: str) -> None:
        here = [
            job
            for job in self._jobs.values()
            if job.place == caller.place and not job.state.terminal
        ]
        same = sum(job.instance_type == type for job in here)
        for name, limit, used in (
            (instances_name(type), self._quotas.instances.get(type), same),
            (JOBS, self._quotas.concurrent_jobs, len(here)),
        ):
            if limit is not None and used >= limit:
                raise _exceeded(name, limit, caller.region)

    def _cancel(self, job: Job) -> None:
        status = job.state.status
        if job.state.terminal:
            text = f"Amazon Braket cannot cancel a job in the {status.value} status"
            raise ServiceError("ConflictException", text)
        if self._slots.withdraw(job):
            job.state.cancelled()
        elif status is not Status.CANCELLING:
            job.state.request_cancel()
            job.cancel.set()

    def _run(self, job: Job) -> None:
        try:
            self._runner.run(job, self._lock)
        except Exception as error:
            log.exception("job %s broke its runner", job.arn)
            self._settle(job, f"InternalServerError: {type(error).__name__}: {error}")

    def _settle(self, job: Job, reason: str) -> None:
        with self._lock:
            if job.state.status is Status.CANCELLING:
                job.state.cancelled()
            elif not job.state.terminal:
                job.state.fail(reason)


def _is_qpu(device: str) -> bool:
    """Whether a device that CreateJob let pass is a QPU, which runs one job at a time."""
    return ":device/qpu/" in device


def _new_job(caller: Caller, params: Params) -> Job:
    name = f"arn:aws:braket:{caller.region}:{caller.account_id}:job/{uuid.uuid4()}"
    tags = dict(params.get("tags") or {})
    return Job(name, caller.region, caller.account_id, params, JobState(), tags)


def _exceeded(name: str, limit: int, region: str) -> ServiceError:
    way_out = "Wait for a job to end, or ask" if limit else "Ask"
    text = f"You have exceeded the service quota of '{name}' ({code_of(name)}) in {region}: {limit}"
    return ServiceError("ServiceQuotaExceededException", f"{text}. {way_out} for a higher quota.")


def _fields(job: Job) -> dict[str, object]:
    return {"jobArn": job.arn, "createdAt": job.state.created_at}


def _digest(params: Params) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
