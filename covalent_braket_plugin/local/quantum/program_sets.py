"""Runs program sets: many executables in one task, each with a result or a failure of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from braket.ir.openqasm import Program, ProgramSet
from braket.task_result.additional_metadata import AdditionalMetadata
from braket.task_result.program_result_v1 import ProgramResult
from braket.task_result.program_set_executable_failure_v1 import (
    ProgramSetExecutableFailure,
    ProgramSetExecutableFailureMetadata,
)
from braket.task_result.program_set_executable_result_v1 import (
    ProgramSetExecutableResult,
    ProgramSetExecutableResultMetadata,
)
from braket.task_result.program_set_task_metadata_v1 import ProgramMetadata, ProgramSetTaskMetadata
from braket.task_result.program_set_task_result_v1 import ProgramSetTaskResult

from covalent_braket_plugin.local.quantum.results import Answer, Document, failure_text, timestamp

__all__ = ["run"]

Entry = Any  # ProgramSetExecutableResult | ProgramSetExecutableFailure


def run(simulator: Any, programs: ProgramSet, request: Document) -> Answer:
    """Run a program set.

    Args:
        simulator: A default simulator.
        programs: The set; its size and the shots were checked when the task was created.
        request: As of `covalent_braket_plugin.local.quantum.circuits.run`.

    Returns:
        A failure if no executable worked, else None; the shots that have a result; and a
        ProgramSetTaskResult, also if it failed: the SDK reads it in either case.
    """
    shots = request["shots"] // programs.num_executables
    results = [
        [_execute(simulator, program, index, shots) for index, program in _executables(program)]
        for program in programs.programs
    ]
    failures = [entry for entries in results for entry in entries if _failed(entry)]
    succeeded = (programs.num_executables - len(failures)) * shots
    document = ProgramSetTaskResult(
        programResults=[
            ProgramResult(
                executableResults=entries,
                source=program,
                additionalMetadata=AdditionalMetadata(),
            )
            for program, entries in zip(programs.programs, results, strict=True)
        ],
        taskMetadata=ProgramSetTaskMetadata(
            **request["metadata"],
            requestedShots=request["shots"],
            successfulShots=succeeded,
            programMetadata=[
                ProgramMetadata(executables=[_note(entry) for entry in item]) for item in results
            ],
            endedAt=timestamp(),
            status="COMPLETED" if succeeded else "FAILED",
            totalFailedExecutables=len(failures),
        ),
    )
    error = None if succeeded else f"All executables failed: {_reason(failures[0])}"
    return error, succeeded, document.json(exclude_none=True).encode()


def _executables(program: Program) -> Iterator[tuple[int, Program]]:
    """Unpack lists of inputs: {"a": [1, 2]} is two executables."""
    if not program.inputs:
        yield 0, Program(source=program.source)
        return
    names = list(program.inputs)
    for index, values in enumerate(zip(*program.inputs.values(), strict=True)):
        inputs = dict(zip(names, values, strict=True))
        yield index, Program(source=program.source, inputs=inputs)


def _execute(simulator: Any, program: Program, index: int, shots: int) -> Entry:
    try:
        raw = simulator.run(program, shots=shots)
    except Exception as error:
        failure = ProgramSetExecutableFailureMetadata(
            failureReason=failure_text(error), retryable=False, category="COMPILATION"
        )
        return ProgramSetExecutableFailure(inputsIndex=index, failureMetadata=failure)
    return ProgramSetExecutableResult(
        inputsIndex=index, measurements=raw.measurements, measuredQubits=raw.measuredQubits
    )


def _failed(entry: Entry) -> bool:
    return isinstance(entry, ProgramSetExecutableFailure)


def _reason(entry: Entry) -> str:
    return str(entry.failureMetadata.failureReason)


def _note(entry: Entry) -> Any:
    return entry.failureMetadata if _failed(entry) else ProgramSetExecutableResultMetadata()
