"""What can be run, made into one form: flat OpenQASM 3 for Braket.

The Braket SDK is loaded when there is a program to read, PennyLane when it is one of its own.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.errors import ProgramError

if TYPE_CHECKING:
    from braket.circuits import Circuit

__all__ = ["Program", "program_of"]

LONGEST_PATH = 1024


@dataclass(frozen=True)
class Program:
    """A program as devices get it.

    Attributes:
        source: OpenQASM 3 in Braket's gates, without loops, definitions or parameters.
        verbatim: The same in a verbatim box, to be run as written; empty if it asks for results
            that cannot be had of such a box.
        qubits: Number of its qubits.
        measured: The qubits that are measured, in the order of the bits; none if it asks for
            results instead.
        name: The file's name without its ending, or the function's; may be empty.
    """

    source: str
    verbatim: str
    qubits: int
    measured: tuple[int, ...]
    name: str = ""


def program_of(program: object, inputs: Mapping[str, float] | None = None) -> Program:
    """Read what a user gives to be run.

    Args:
        program: OpenQASM 2 or 3 as text; a file with such text, or one that Classiq's SDK saved;
            a Braket ``Circuit`` or OpenQASM ``Program``; a PennyLane tape, or a QNode without
            arguments (or ``functools.partial`` with them).
        inputs: Values of its parameters, by name.

    Raises:
        ProgramError: It is none of these, or cannot be run; the text says why, and the line.
    """
    _require_sdk()
    if isinstance(program, str) and not program.strip():
        raise ProgramError("The program cannot be run. It is empty.")
    if isinstance(program, os.PathLike) or (isinstance(program, str) and _is_path(program)):
        path = Path(os.fspath(program))
        try:
            return _of_text(_read(path), inputs, path.stem)
        except ProgramError as error:
            raise ProgramError(f"{path} cannot be run. {error}") from error
    if isinstance(program, str):
        try:
            return _of_text(program, inputs, "")
        except ProgramError as error:
            raise ProgramError(f"The program cannot be run. {error}") from error
    return _of_object(program, inputs)


def _require_sdk() -> None:
    """See that Braket's SDK can read programs.

    Raises:
        ProgramError: It is not installed, or broken.
    """
    try:
        import braket.circuits  # noqa: F401
    except ImportError as error:
        raise ProgramError(
            f"Programs are read with Braket's SDK, which cannot be imported ({error}). Install it: "
            'pip install "covalent-braket-plugin[local]"'
        ) from error


def _is_path(text: str) -> bool:
    """Programs have statements, and statements end with semicolons; Classiq's begin as JSON."""
    return not any(mark in text for mark in ";\n{") and len(text) <= LONGEST_PATH


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProgramError("There is no such file, and it is not the text of a program.") from None
    except (OSError, ValueError) as error:
        raise ProgramError(f"It cannot be read as text: {error}.") from error


def _of_text(text: str, inputs: Mapping[str, float] | None, name: str) -> Program:
    from covalent_braket_plugin.execution.openqasm import circuit_of

    source = _of_classiq(text) if text.lstrip()[:1] == "{" else text
    if not source.strip():
        raise ProgramError("It is empty.")
    return _of_circuit(circuit_of(source, inputs), name)


def _of_classiq(text: str) -> str:
    """Find the OpenQASM in what Classiq's SDK saved: ``outputs.qasm``, or ``qasm``."""
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError) as error:  # or it is nested too deeply
        raise ProgramError(f"It begins like Classiq's JSON, and is none: {error}.") from error
    outputs = saved.get("outputs") or {}
    found = (outputs.get("qasm") if isinstance(outputs, dict) else None) or saved.get("qasm")
    if not isinstance(found, str):
        formats = ", ".join(sorted(outputs)) if isinstance(outputs, dict) else ""
        raise ProgramError(
            f"It is JSON without OpenQASM under outputs.qasm (formats there: {formats or 'none'}). "
            "Have Classiq write that: custom preferences with output_format 'qasm'."
        )
    return found


def _of_object(program: Any, inputs: Mapping[str, float] | None) -> Program:
    """Read an object of one of the SDKs; its class's module says whose it is."""
    base = program.func if isinstance(program, functools.partial) else program
    homes = {each.__module__.partition(".")[0] for each in type(base).__mro__}
    if "pennylane" in homes:
        from covalent_braket_plugin.execution import tapes

        return _of_circuit(tapes.circuit_of(program, inputs), getattr(base, "__name__", ""))
    if "braket" in homes and hasattr(program, "source"):
        return _of_text(program.source, {**(program.inputs or {}), **(inputs or {})}, "")
    if "braket" in homes and hasattr(program, "instructions"):
        return _of_circuit(_bound(program, inputs), "")
    raise ProgramError(
        f"{type(program).__name__} cannot be run. Give OpenQASM 2 or 3 (text or a file), a file "
        "that Classiq saved, a Braket Circuit, or a PennyLane tape or QNode."
    )


def _bound(circuit: Circuit, inputs: Mapping[str, float] | None) -> Circuit:
    try:
        return circuit.make_bound_circuit(dict(inputs), strict=True) if inputs else circuit
    except ValueError as error:
        raise ProgramError(f"The values of inputs do not fit the circuit: {error}.") from error


def _of_circuit(circuit: Circuit, name: str) -> Program:

    free = sorted(str(each) for each in circuit.parameters)
    if free:
        raise ProgramError(
            f"It has parameters without a value: {', '.join(free)}. Give them: "
            f"inputs={{{free[0]!r}: 0.5}}."
        )
    if not circuit.qubits:
        raise ProgramError("It has no qubits.")
    measured = () if circuit.result_types else _measured(circuit) or tuple(_all_qubits(circuit))
    return Program(_source(circuit), _verbatim(circuit), circuit.qubit_count, measured, name)


def _measured(circuit: Circuit) -> tuple[int, ...]:
    from braket.circuits.measure import Measure

    found = (each for each in circuit.instructions if isinstance(each.operator, Measure))
    return tuple(int(qubit) for each in found for qubit in each.target)


def _all_qubits(circuit: Circuit) -> list[int]:
    return sorted(int(qubit) for qubit in circuit.qubits)


def _source(circuit: Circuit) -> str:
    from braket.circuits.serialization import IRType

    return str(circuit.to_ir(IRType.OPENQASM).source)


def _verbatim(circuit: Circuit) -> str:
    """Write it in a verbatim box; empty if it asks for results, which boxes do not give."""
    from braket.circuits import Circuit
    from braket.circuits.measure import Measure

    if "braket verbatim" in (source := _source(circuit)):
        return source
    if circuit.result_types:
        return ""
    inside = Circuit()
    for each in circuit.instructions:
        if not isinstance(each.operator, Measure):
            inside.add_instruction(each)
    boxed = Circuit().add_verbatim_box(inside) if inside.instructions else inside
    return _source(boxed.measure(list(_measured(circuit)) or _all_qubits(circuit)))
