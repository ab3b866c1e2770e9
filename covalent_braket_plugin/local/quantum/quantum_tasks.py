"""CreateQuantumTask, GetQuantumTask, SearchQuantumTasks and CancelQuantumTask."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from datetime import UTC, datetime
from functools import partial

from covalent_braket_plugin.local.quantum import task_requests
from covalent_braket_plugin.local.quantum.devices import Device, DeviceCatalogue
from covalent_braket_plugin.local.quantum.simulators import Reply
from covalent_braket_plugin.local.quantum.task_state import TERMINAL, QuantumTask
from covalent_braket_plugin.local.server import search
from covalent_braket_plugin.local.service import (
    Caller,
    ObjectStore,
    Operation,
    Params,
    ServiceError,
)

__all__ = ["QuantumTasks"]

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.5
"""How long GetQuantumTask waits for a task that runs, or is next, before it says that it does.

Clients sleep a second between two looks (PennyLane's plugin does whatever the device suggests),
but most circuits here take milliseconds: a loop of a hundred circuits would take minutes.
"""

LONGEST_SHOWN_QUEUE = 2000
"""The SDK documents that a longer one is shown as ">2000"."""

SEARCHABLE = ("quantumTaskArn", "deviceArn", "jobArn", "status", "createdAt")


class QuantumTasks:
    """The quantum tasks of all regions. Safe to share among threads.

    Args:
        store: Takes the results.
        devices: The devices, with the simulators that they run on.
        job_of_token: Tells the job's ARN from a job token; None if no job has it.
        patience_seconds: How long GetQuantumTask waits for an open task to end.
        clock: The time.
    """

    def __init__(
        self,
        store: ObjectStore,
        devices: DeviceCatalogue,
        job_of_token: Callable[[str], str | None],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._devices = devices
        self._job_of_token = job_of_token
        self._patience = patience_seconds
        self._clock = clock
        self._lock = threading.RLock()
        self._tasks: dict[str, QuantumTask] = {}
        self._open: dict[str, QuantumTask] = {}
        self._tokens: dict[tuple[str, str, str], tuple[str, str]] = {}
        for priority in ("Normal", "Priority"):
            length = partial(self._queue_length, priority)
            devices.report_queue("QUANTUM_TASKS_QUEUE", priority, length)

    def operations(self) -> dict[str, Operation]:
        """The operations by name."""
        return {
            "CreateQuantumTask": self._create,
            "GetQuantumTask": self._get,
            "SearchQuantumTasks": self._search,
            "CancelQuantumTask": self._cancel,
        }

    def warm_up(self) -> None:
        """Start a simulator in the background, so that the first task need not wait for it."""
        self._devices.simulators.warm_up()

    def close(self) -> None:
        """End the simulators; open tasks stay as they are."""
        self._devices.simulators.close()

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of a task, to be read and changed in place; None if there is no such task."""
        task = self._tasks.get(arn)
        return None if task is None else task.tags

    def cancel_for_job(self, job_arn: str) -> None:
        """Cancel what a job has left open."""
        with self._lock:
            tasks = [task for task in self._open.values() if task.job_arn == job_arn]
        for task in tasks:
            self._stop(task)

    def _create(self, caller: Caller, params: Params) -> Params:
        known = self._repeated(caller, params)
        if known:
            return {"quantumTaskArn": known}
        # The checks may take a while, so they do not hold the others up.
        device = self._checked_device(caller, params)
        action = task_requests.check(params, device)
        task = self._new_task(caller, params, action)
        with self._lock:
            known = self._repeated(caller, params)
            if known:
                return {"quantumTaskArn": known}
            self._tokens[*caller.place, params["clientToken"]] = (task.arn, _digest(params))
            self._tasks[task.arn] = self._open[task.arn] = task
            task.move("QUEUED", self._clock())
            future = self._submit(task, device, params["action"])
        future.add_done_callback(partial(self._finished, caller.region, task))
        return {"quantumTaskArn": task.arn}

    def _repeated(self, caller: Caller, params: Params) -> str | None:
        """The task that the same request made before."""
        arn, digest = self._tokens.get((*caller.place, params["clientToken"]), (None, ""))
        if arn is not None and digest != _digest(params):
            text = "The clientToken was used before with other parameters"
            raise task_requests.invalid(text)
        return arn

    def _checked_device(self, caller: Caller, params: Params) -> Device:
        arn = params["deviceArn"]
        device = self._devices.in_region(arn, caller.region)
        if device is None:
            raise task_requests.invalid(f"Device {arn} does not exist in {caller.region}")
        self._devices.check_available(device)
        bucket = params["outputS3Bucket"]
        if not self._store.bucket_exists(caller.region, bucket):
            raise task_requests.invalid(f"Caller doesn't have access to {bucket}")
        return device

    def _new_task(
        self, caller: Caller, params: Params, action: task_requests.Action
    ) -> QuantumTask:
        key = str(uuid.uuid4())
        return QuantumTask(
            arn=f"arn:aws:braket:{caller.region}:{caller.account_id}:quantum-task/{key}",
            device_arn=params["deviceArn"],
            shots=params["shots"],
            bucket=params["outputS3Bucket"],
            directory=f"{params['outputS3KeyPrefix'].rstrip('/')}/{key}",
            device_parameters=params.get("deviceParameters") or "{}",
            created_at=self._clock(),
            action_type=action.type,
            program_count=action.program_count,
            executable_count=action.executable_count,
            job_arn=self._job_of(params.get("jobToken")),
            tags=dict(params.get("tags") or {}),
            experimental=params.get("experimentalCapabilities"),
        )

    def _job_of(self, token: str | None) -> str:
        if not token:
            return ""
        job_arn = self._job_of_token(token)
        if job_arn is None:
            raise task_requests.invalid("The jobToken is not valid")
        return job_arn

    def _submit(self, task: QuantumTask, device: Device, action: str) -> Future[Reply]:
        created = task.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
        request = {
            "do": "run",
            "simulator": device.simulator,
            "is_qpu": device.is_qpu,
            "qubits": device.qubits,
            "shots": task.shots,
            "action": action,
            "metadata": {
                "id": task.arn,
                "deviceId": task.device_arn,
                "createdAt": created.replace("+00:00", "Z"),
            },
        }
        task.future = self._devices.simulators.submit(request, partial(self._started, task))
        return task.future

    def _started(self, task: QuantumTask) -> None:
        with self._lock:
            if task.status == "QUEUED":
                task.move("RUNNING", self._clock())

    def _finished(self, region: str, task: QuantumTask, future: Future[Reply]) -> None:
        try:
            reply = future.result()
            if reply.body and task.status == "RUNNING":
                self._store.put(region, task.bucket, task.key, reply.body)
            self._close(task, reply.error, reply.successful_shots)
        except CancelledError:
            self._close(task, "The task was cancelled", 0)
        except Exception as error:
            log.info("%s: %s", task.arn, error)
            self._close(task, str(error), 0)

    def _close(self, task: QuantumTask, error: str | None, shots: int) -> None:
        with self._lock:
            self._open.pop(task.arn, None)
            # The future holds the whole result, which is in the store by now.
            task.future = None
            if task.status in TERMINAL:
                return
            if task.status == "CANCELLING":
                task.move("CANCELLED", self._clock())
                return
            task.successful_shots = shots
            task.failure_reason = error or ""
            task.move("FAILED" if error else "COMPLETED", self._clock())

    def _get(self, caller: Caller, params: Params) -> Params:
        task = self._find(caller, params)
        if self._ends_soon(task):
            task.ended.wait(self._patience)
        with self._lock:
            answer = task.description()
            if "QueueInfo" in (params.get("additionalAttributeNames") or ()):
                answer["queueInfo"] = self._queue_info(task)
            return answer

    def _ends_soon(self, task: QuantumTask) -> bool:
        """Whether it may pay to wait: the task runs, or is the next to run."""
        with self._lock:
            waiting = (other for other in self._open.values() if other.status == "QUEUED")
            return task.status != "QUEUED" or next(waiting, task) is task

    def _search(self, caller: Caller, params: Params) -> Params:
        filters = params["filters"]
        search.check(SEARCHABLE, filters)
        with self._lock:
            found = [
                (number, task)
                for number, task in search.newest_first(self._tasks)
                if _place(task.arn) == caller.place and search.matches(_fields(task), filters)
            ]
            shown, token = search.page(found, params)
            return {"quantumTasks": [task.summary() for task in shown], "nextToken": token}

    def _cancel(self, caller: Caller, params: Params) -> Params:
        task = self._find(caller, params)
        with self._lock:
            if task.status in TERMINAL:
                text = f"Amazon Braket cannot cancel a quantum task in the {task.status} status"
                raise ServiceError("ConflictException", text)
            self._stop(task)
            return {"quantumTaskArn": task.arn, "cancellationStatus": task.status}

    def _stop(self, task: QuantumTask) -> None:
        with self._lock:
            if task.status == "QUEUED":
                task.move("CANCELLED", self._clock())
                self._open.pop(task.arn, None)
            elif task.status == "RUNNING":
                task.move("CANCELLING", self._clock())
            future = task.future
        if future is not None:
            self._devices.simulators.stop(future)

    def _find(self, caller: Caller, params: Params) -> QuantumTask:
        arn = params["quantumTaskArn"]
        task = self._tasks.get(arn)
        if task is None or _place(arn) != caller.place:
            raise ServiceError("ResourceNotFoundException", f"Quantum task {arn} not found")
        return task

    def _queue_length(self, priority: str, device_arn: str) -> int:
        with self._lock:
            return len(self._queue(device_arn, priority))

    def _queue(self, device_arn: str, priority: str) -> list[QuantumTask]:
        return [
            task
            for task in self._open.values()
            if task.status == "QUEUED"
            and task.device_arn == device_arn
            and task.priority == priority
        ]

    def _queue_info(self, task: QuantumTask) -> Params:
        info = {"queue": "QUANTUM_TASKS_QUEUE", "queuePriority": task.priority}
        if task.status != "QUEUED":
            text = f"Task is in {task.status} status. "
            text += "AmazonBraket does not show queue position for this status."
            return info | {"position": "None", "message": text}
        place = self._queue(task.device_arn, task.priority).index(task) + 1
        shown = str(place) if place <= LONGEST_SHOWN_QUEUE else f">{LONGEST_SHOWN_QUEUE}"
        return info | {"position": shown}


def _place(arn: str) -> tuple[str, ...]:
    """Region and account."""
    return tuple(arn.split(":")[3:5])


def _fields(task: QuantumTask) -> dict[str, object]:
    return {
        "quantumTaskArn": task.arn,
        "deviceArn": task.device_arn,
        "jobArn": task.job_arn or None,
        "status": task.status,
        "createdAt": task.created_at,
    }


def _digest(params: Params) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
