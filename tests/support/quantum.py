"""What tests of quantum tasks need: an S3 in memory, circuits, and a local Braket without HTTP."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from covalent_braket_plugin.local.quantum.devices import DeviceCatalogue
from covalent_braket_plugin.local.quantum.quantum_tasks import QuantumTasks
from covalent_braket_plugin.local.quantum.simulators import Simulators
from covalent_braket_plugin.local.service import Caller

SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
DM1 = "arn:aws:braket:::device/quantum-simulator/amazon/dm1"
TN1 = "arn:aws:braket:::device/quantum-simulator/amazon/tn1"
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"

BUCKET = "amazon-braket-test"
JOB = "arn:aws:braket:us-east-1:000000000000:job/0b1f3a60-0000-4000-8000-000000000000"
VIRGINIA = Caller("us-east-1", "000000000000")
STOCKHOLM = Caller("eu-north-1", "000000000000")

HADAMARD = """OPENQASM 3.0;
qubit[1] q;
h q[0];
#pragma braket result expectation z(q[0])
"""
BELL = """OPENQASM 3.0;
qubit[2] q;
h q[0];
cnot q[0], q[1];
"""
# Nothing but parsing makes it long, so it ends when it is stopped and needs no memory.
LONG = "OPENQASM 3.0;\nqubit[1] q;\n" + "h q[0];\n" * 40_000 + "#pragma braket result probability"


class MemoryStore:
    """An object store in memory."""

    def __init__(self, *buckets: str) -> None:
        self.buckets = set(buckets)
        self.objects: dict[tuple[str, str, str], bytes] = {}
        self._lock = threading.Lock()

    def put(self, region: str, bucket: str, key: str, body: bytes) -> None:
        with self._lock:
            self.objects[region, bucket, key] = body

    def bucket_exists(self, region: str, bucket: str) -> bool:
        return bucket in self.buckets


class FullStore(MemoryStore):
    """An object store that takes nothing."""

    def put(self, region: str, bucket: str, key: str, body: bytes) -> None:
        raise OSError("the bucket is gone")


class SteppingClock:
    """Each look is one second later than the one before."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def __call__(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self._ticks))


def program(source: str, **inputs: float) -> str:
    """The action for an OpenQASM program."""
    header = {"name": "braket.ir.openqasm.program", "version": "1"}
    return json.dumps({"braketSchemaHeader": header, "source": source, "inputs": inputs})


def program_set(*programs: tuple[str, dict[str, list[float]]]) -> str:
    """The action for a program set."""
    header = {"name": "braket.ir.openqasm.program_set", "version": "1"}
    items = [{**json.loads(program(source)), "inputs": inputs} for source, inputs in programs]
    return json.dumps({"braketSchemaHeader": header, "programs": items})


class QuantumBraket:
    """Devices and quantum tasks, called as the server calls them."""

    def __init__(
        self,
        simulators: Simulators,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        patience_seconds: float = 30,
        store: MemoryStore | None = None,
    ) -> None:
        self.store = store or MemoryStore(BUCKET)
        self.devices = DeviceCatalogue(simulators)
        self.tasks = QuantumTasks(
            self.store,
            self.devices,
            {"token-of-the-job": JOB}.get,
            patience_seconds=patience_seconds,
            clock=clock,
        )
        self.operations = self.devices.operations() | self.tasks.operations()
        self._tokens = itertools.count()
        self._patience = patience_seconds

    def call(self, operation: str, caller: Caller = VIRGINIA, **params: Any) -> dict[str, Any]:
        return self.operations[operation](caller, params)

    def create(
        self, action: str = "", shots: int = 0, caller: Caller = VIRGINIA, **params: Any
    ) -> str:
        """Create a task; returns its ARN."""
        request = {
            "clientToken": f"token-{next(self._tokens)}",
            "deviceArn": SV1,
            "outputS3Bucket": BUCKET,
            "outputS3KeyPrefix": "tasks",
            "shots": shots,
            "action": action or program(HADAMARD),
        }
        answer = self.call("CreateQuantumTask", caller, **(request | params))
        return str(answer["quantumTaskArn"])

    def get(self, arn: str, caller: Caller = VIRGINIA) -> dict[str, Any]:
        """Wait for a task's end if there is patience; returns what GetQuantumTask says."""
        request = {"quantumTaskArn": arn, "additionalAttributeNames": ["QueueInfo"]}
        while True:
            task = self.call("GetQuantumTask", caller, **request)
            if task["status"] != "QUEUED" or not self._patience:
                return task
            time.sleep(0.01)

    def run(self, *args: Any, **params: Any) -> dict[str, Any]:
        """Create a task and wait for its end."""
        arn = self.create(*args, **params)
        return self.get(arn, params.get("caller", VIRGINIA))

    def result(self, task: dict[str, Any]) -> bytes:
        """The task's results.json."""
        region = task["quantumTaskArn"].split(":")[3]
        key = f"{task['outputS3Directory']}/results.json"
        return self.store.objects[region, task["outputS3Bucket"], key]

    def status(self, arn: str) -> str:
        """A task's status now, without waiting."""
        found = self.call(
            "SearchQuantumTasks",
            filters=[{"name": "quantumTaskArn", "operator": "EQUAL", "values": [arn]}],
        )
        return str(found["quantumTasks"][0]["status"])
