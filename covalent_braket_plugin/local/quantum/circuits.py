"""Runs one task's action on a default simulator and writes its ``results.json``.

Only the simulators' processes import this; it pulls in the Braket SDK, which takes seconds.
"""

from __future__ import annotations

import json
import time
from functools import cache, cached_property
from typing import Any

from braket.default_simulator import DensityMatrixSimulator, StateVectorSimulator
from braket.default_simulator.openqasm.parser.openqasm_ast import Include
from braket.default_simulator.openqasm.parser.openqasm_parser import parse
from braket.ir.openqasm import Program, ProgramSet
from braket.schema_common import BraketSchemaBase
from braket.tasks import GateModelQuantumTaskResult

from covalent_braket_plugin.local.quantum import gradient, program_sets
from covalent_braket_plugin.local.quantum.capabilities import EXACT_QUBITS_NOTE
from covalent_braket_plugin.local.quantum.results import Answer, Document, header, timestamp

__all__ = ["run", "simulator"]

STANDARD_LIBRARY = "stdgates.inc"


class _Limited:
    """Refuses circuits that no device has the qubits for, or that would fill the memory.

    It keeps the capabilities, too, which take long.
    """

    device_qubits: int | None = None
    """Qubits of the device that the next circuit is for; None for no limit of that kind."""

    @cached_property
    def properties(self) -> Any:
        return super().properties  # type: ignore[misc]

    def initialize_simulation(self, **kwargs: Any) -> Any:
        qubits, limit = kwargs["qubit_count"], self.properties.paradigm.qubitCount
        if self.device_qubits is not None and qubits > self.device_qubits:
            raise ValueError(f"The circuit has {qubits} qubits; the device {self.device_qubits}")
        if qubits > limit:
            note = EXACT_QUBITS_NOTE.format(limit=limit)
            raise ValueError(f"The circuit has {qubits} qubits; {note}")
        return super().initialize_simulation(**kwargs)  # type: ignore[misc]


class _StateVector(_Limited, StateVectorSimulator):  # type: ignore[misc]
    pass


class _DensityMatrix(_Limited, DensityMatrixSimulator):  # type: ignore[misc]
    pass


@cache
def simulator(name: str) -> Any:
    """The default simulator of that name: ``braket_sv`` or ``braket_dm``."""
    return {"braket_sv": _StateVector, "braket_dm": _DensityMatrix}[name]()


def run(request: Document) -> Answer:
    """Run a task's action.

    Args:
        request: ``simulator``, ``action`` (JSON text), ``shots``, ``is_qpu``, ``qubits`` of the
            device, and ``metadata``: the task's ``id``, ``deviceId`` and ``createdAt``.

    Returns:
        Why it failed (or None), the shots that have a result, and the content of results.json.
    """
    action = BraketSchemaBase.parse_raw_schema(request["action"])
    chosen = simulator(request["simulator"])
    chosen.device_qubits = request.get("qubits")
    if isinstance(action, ProgramSet):
        for program in action.programs:
            _check_source(program.source)
        return program_sets.run(chosen, action, request)
    return None, request["shots"], result_document(action, request)


def result_document(program: Program, request: Document) -> bytes:
    """Run one OpenQASM program and write its GateModelTaskResult."""
    _check_source(program.source)
    began = time.perf_counter()
    members = _outcome(program, request)
    seconds = time.perf_counter() - began
    document = {
        "braketSchemaHeader": header("task_result.gate_model_task_result"),
        **members,
        "taskMetadata": {
            "braketSchemaHeader": header("task_result.task_metadata"),
            **request["metadata"],
            "shots": request["shots"],
            "endedAt": timestamp(),
            "status": "COMPLETED",
        },
        "additionalMetadata": {
            "action": json.loads(program.json(exclude_none=True)),
            **({} if request["is_qpu"] else _simulator_metadata(seconds)),
        },
    }
    return json.dumps(document, default=_plain).encode()


def _check_source(source: str) -> None:
    """Refuse what would make the interpreter read files of this machine."""
    if source.endswith(".qasm"):
        raise ValueError("The OpenQASM program has to be given itself, not the name of a file")
    if "include" not in source:
        return
    for statement in parse(source).statements:
        if isinstance(statement, Include) and statement.filename != STANDARD_LIBRARY:
            text = f"include {statement.filename!r} is not supported"
            raise ValueError(f"{text}: a program can include {STANDARD_LIBRARY} only")


def _outcome(program: Program, request: Document) -> Document:
    chosen, shots = simulator(request["simulator"]), request["shots"]
    if gradient.is_requested(program.source):
        if shots or request["is_qpu"] or request["simulator"] != "braket_sv":
            raise ValueError("adjoint_gradient is available on SV1 with shots=0 only")
        return gradient.outcome(chosen, program)
    raw = chosen.run(program, shots=shots)
    # Never an empty list of measurements: the SDK's schema wants at least one.
    sampled = {"measurements": [[int(bit) for bit in row] for row in raw.measurements or ()]}
    return {
        **(sampled if shots else {}),
        "measuredQubits": raw.measuredQubits,
        "resultTypes": _result_types(raw, shots),
    }


def _result_types(raw: Any, shots: int) -> list[Document]:
    # With shots the simulator names the result types only; their values follow from the samples.
    computed = raw.resultTypes
    if shots and computed:
        computed = GateModelQuantumTaskResult.from_object(raw).result_types
    return [
        {"type": json.loads(item.type.json(exclude_none=True)), "value": item.value}
        for item in computed or ()
    ]


def _simulator_metadata(seconds: float) -> Document:
    return {
        "simulatorMetadata": {
            "braketSchemaHeader": header("task_result.simulator_metadata"),
            "executionDuration": max(1, round(seconds * 1000)),
        }
    }


def _plain(value: Any) -> Any:
    """JSON for NumPy's types; a complex number becomes [real, imaginary]."""
    if isinstance(value, complex):
        return [value.real, value.imag]
    return value.tolist()
