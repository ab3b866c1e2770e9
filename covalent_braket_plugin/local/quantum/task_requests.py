"""What CreateQuantumTask demands of a request beyond the service model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from covalent_braket_plugin.local.quantum.capabilities import OPENQASM, PROGRAM_SET
from covalent_braket_plugin.local.quantum.fleet import Device
from covalent_braket_plugin.local.reservations import check_reservation
from covalent_braket_plugin.local.service import Params, ServiceError

__all__ = ["MAX_ACTION_BYTES", "Action", "check"]

MAX_ACTION_BYTES = 5 * 1024 * 1024
"""The developer guide's quota for the size of a task's action."""

MAX_EXECUTABLES = 100
MAX_SET_SHOTS = 200_000
"""As the default simulators' capabilities state them."""


@dataclass(frozen=True)
class Action:
    """What is known of an action before it runs.

    Attributes:
        type: Name of its schema.
        program_count: Programs of a program set, else None.
        executable_count: Executables of a program set, else None.
    """

    type: str
    program_count: int | None = None
    executable_count: int | None = None


def check(params: Params, device: Device) -> Action:
    """Check action, shots and reservation against the device.

    Raises:
        ServiceError: ``ValidationException`` naming what is wrong.
    """
    check_reservation(params, device.arn, is_qpu=device.is_qpu)
    text = params["action"]
    if len(text.encode()) > MAX_ACTION_BYTES:
        raise invalid(f"The action is larger than {MAX_ACTION_BYTES} bytes")
    document = _object("action", text)
    if params.get("deviceParameters"):
        _object("deviceParameters", params["deviceParameters"])
    kind = _type(document)
    supported = (OPENQASM, PROGRAM_SET) if device.is_qpu else (OPENQASM,)
    if kind not in supported:
        raise invalid(f"Device {device.arn} does not support the action {kind!r}")
    if kind == PROGRAM_SET:
        return _check_program_set(document, params["shots"], device)
    _check_shots(params["shots"], device)
    if not isinstance(document.get("source"), str):
        raise invalid("The action has no OpenQASM source")
    return Action(kind)


def invalid(text: str, **members: Any) -> ServiceError:
    """A ValidationException."""
    return ServiceError("ValidationException", text, **members)


def _object(member: str, text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        raise invalid(f"{member} is not valid JSON") from None
    if not isinstance(document, dict):
        raise invalid(f"{member} must be a JSON object")
    return document


def _type(document: Mapping[str, Any]) -> str:
    header = document.get("braketSchemaHeader")
    name = header.get("name") if isinstance(header, dict) else None
    if not isinstance(name, str):
        raise invalid("The action has no braketSchemaHeader with a name")
    return name


def _check_shots(shots: int, device: Device, executables: int = 1) -> None:
    low, high = device.shots
    if device.is_qpu and shots == 0:
        raise invalid(f"Device {device.arn} requires shots to be greater than 0")
    if not low * executables <= shots <= high * executables:
        raise invalid(
            f"Shots must be between {low * executables} and {high * executables} "
            f"for device {device.arn}, not {shots}"
        )


def _check_program_set(document: Mapping[str, Any], shots: int, device: Device) -> Action:
    programs = document.get("programs")
    if not isinstance(programs, list) or not programs:
        raise invalid("A program set must have at least one program")
    counts = [_executables(index, program) for index, program in enumerate(programs)]
    total = sum(counts)
    if total > MAX_EXECUTABLES:
        raise invalid(f"A program set has at most {MAX_EXECUTABLES} executables, not {total}")
    if shots > MAX_SET_SHOTS:
        raise invalid(f"A program set has at most {MAX_SET_SHOTS} shots in all, not {shots}")
    if shots % total:
        raise invalid(f"{shots} shots cannot be shared evenly by {total} executables")
    _check_shots(shots, device, total)
    return Action(PROGRAM_SET, len(programs), total)


def _executables(index: int, program: Any) -> int:
    """Count a program's executables: one per value of its inputs."""
    if not isinstance(program, dict) or not isinstance(program.get("source"), str):
        raise _invalid_program(index, "The program has no OpenQASM source")
    inputs = program.get("inputs") or {}
    if not all(isinstance(values, list) and values for values in inputs.values()):
        raise _invalid_program(index, "Each input must have a list of values")
    lengths = {len(values) for values in inputs.values()}
    if len(lengths) > 1:
        raise _invalid_program(index, "All inputs must have the same number of values")
    return lengths.pop() if lengths else 1


def _invalid_program(index: int, error: str) -> ServiceError:
    return invalid(
        "The program set is invalid.",
        reason="ProgramSetValidationFailed",
        programSetValidationFailures=[{"programIndex": index, "errors": [error]}],
    )
