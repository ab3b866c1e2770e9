"""PennyLane's tapes and QNodes as Braket circuits: through OpenQASM, and what they measure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.errors import ProgramError
from covalent_braket_plugin.execution import openqasm

if TYPE_CHECKING:
    from braket.circuits import Circuit

__all__ = ["circuit_of"]


def circuit_of(program: Any, inputs: Mapping[str, float] | None = None) -> Circuit:
    """Write a tape, a QNode without arguments or a ``partial`` of a QNode as a circuit.

    Args:
        program: The tape or QNode.
        inputs: Keyword arguments of the QNode.

    Raises:
        ProgramError: It measures what Braket does not, or in its middle.
    """
    import pennylane as qml

    tape = _tape(program, inputs)
    if any(isinstance(each, qml.measurements.MidMeasureMP) for each in tape.operations):
        raise ProgramError(
            "It measures in its middle, which is not sent to devices here: measure at the end."
        )
    wires = list(tape.wires)
    if not wires:
        raise ProgramError("It has no wires.")
    try:
        text = qml.to_openqasm(tape, wires=wires, rotations=False, measure_all=False)
    except Exception as error:  # of any kind, for what has no decomposition
        raise ProgramError(f"PennyLane cannot write it as OpenQASM: {error}.") from error
    gates = "\n".join(line for line in text.splitlines() if not line.startswith("measure"))
    return _measuring(gates, tape.measurements, wires)


def _tape(program: Any, inputs: Mapping[str, float] | None) -> Any:
    import pennylane as qml

    if isinstance(program, qml.tape.QuantumScript):
        if inputs:
            raise ProgramError("A tape has its values already: inputs are for QNodes and circuits.")
        return program
    node, args, named = program, (), dict(inputs or {})
    if isinstance(program, functools.partial):
        node, args, named = program.func, program.args, {**program.keywords, **named}
    if not isinstance(node, qml.QNode):
        raise ProgramError(f"{type(node).__name__} cannot be run: give a tape or a QNode.")
    try:
        return qml.workflow.construct_tape(node)(*args, **named)
    except TypeError as error:
        raise ProgramError(
            f"The QNode cannot be called: {error}. Bind its arguments: functools.partial(qnode, "
            "0.5), or inputs={'theta': 0.5}."
        ) from error


def _measuring(gates: str, measurements: Sequence[Any], wires: list[Any]) -> Circuit:
    """Add what the tape measures: bits, or values that Braket computes from them."""
    import pennylane as qml

    number = {wire: each for each, wire in enumerate(wires)}
    samples = qml.measurements.SampleMP, qml.measurements.CountsMP
    bits = [each for each in measurements if isinstance(each, samples) and each.obs is None]
    if bits and len(measurements) > 1:
        raise ProgramError("It measures bits and something else: Braket does one or the other.")
    if bits or not measurements:
        measured = [number[wire] for wire in (bits[0].wires if bits else ())] or range(len(wires))
        lines = [f"bits[{place}] = measure q[{qubit}];" for place, qubit in enumerate(measured)]
        return openqasm.circuit_of("\n".join([gates, f"bit[{len(lines)}] bits;", *lines]))
    circuit = _without_measurements(gates, len(wires))
    for each in measurements:
        circuit.add_result_type(_result_type(each, number))
    return circuit


def _without_measurements(gates: str, wires: int) -> Circuit:
    """Read gates alone; wires that no gate touches keep an identity, for Braket counts those."""
    from braket.circuits import Circuit
    from braket.circuits.measure import Measure

    made = Circuit()
    for each in openqasm.circuit_of(gates).instructions:
        if not isinstance(each.operator, Measure):
            made.add_instruction(each)
    for wire in set(range(wires)) - {int(qubit) for qubit in made.qubits}:
        made.i(wire)
    return made


def _result_type(measurement: Any, number: Mapping[Any, int]) -> Any:
    import pennylane as qml
    from braket.circuits import ResultType

    kinds = {
        qml.measurements.ExpectationMP: ResultType.Expectation,
        qml.measurements.VarianceMP: ResultType.Variance,
    }
    if isinstance(measurement, qml.measurements.ProbabilityMP) and measurement.obs is None:
        return ResultType.Probability([number[wire] for wire in measurement.wires] or None)
    kind = kinds.get(type(measurement))
    if kind is None or measurement.obs is None:
        raise ProgramError(
            f"It measures {measurement}, which is not to be had of devices: expval and var of "
            "Pauli words, probs, counts and sample are."
        )
    observable, targets = _pauli_word(measurement.obs, number)
    return kind(observable, targets)


def _pauli_word(observable: Any, number: Mapping[Any, int]) -> tuple[Any, list[int]]:
    import pennylane as qml
    from braket.circuits.observables import TensorProduct, X, Y, Z

    sentence = qml.pauli.pauli_sentence(observable)
    words = [(word, factor) for word, factor in sentence.items() if len(word)]
    if len(words) != 1 or len(sentence) != 1 or words[0][1] != 1:
        raise ProgramError(
            f"It measures {observable}, which is not one Pauli word such as Z(0) @ X(1): measure "
            "the words of a sum one by one."
        )
    word = words[0][0]
    factors = [{"X": X, "Y": Y, "Z": Z}[letter]() for letter in word.values()]
    whole = factors[0] if len(factors) == 1 else TensorProduct(factors)
    return whole, [number[wire] for wire in word]
