"""The adjoint gradient, which SV1 has and the default simulator lacks.

The expectation value of a sum of observables and its exact derivatives by the inputs of the
program, after the adjoint method (Jones and Gacon, https://arxiv.org/abs/2009.02823): one run
forwards, one run backwards, whatever the number of parameters.

The request is a pragma that the simulator's parser does not know::

    #pragma braket result adjoint_gradient expectation(2 * x(q[0]) @ y(q[1]) + z(q[2])) a, b

It is replaced by one expectation per term, which the parser does know; the parameters stay
symbols.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from braket.default_simulator.result_types import from_braket_result_type
from braket.ir.openqasm import Program
from numpy.typing import NDArray

from covalent_braket_plugin.local.quantum.results import Document

__all__ = ["Request", "is_requested", "outcome", "parse_request"]

Array = NDArray[np.complex128]

PRAGMA = re.compile(
    r"^[ \t]*#pragma\s+braket\s+result\s+adjoint_gradient\s+expectation\((?P<sum>.*)\)"
    r"[ \t]*(?P<names>[^()\n]*)$",
    re.MULTILINE,
)
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
COEFFICIENT = re.compile(rf"\s*(?P<sign>[+-]?)\s*(?:(?P<number>{NUMBER})\s*\*)?")
QUBIT = re.compile(r"\(\s*(?:\$\d+|\w+\[\d+\])\s*\)")
ANGLES = ("_angle", "_angle_1", "_angle_2")
STEP = 1e-3


@dataclass(frozen=True)
class Request:
    """What a pragma asks for.

    Attributes:
        text: The sum of observables, in OpenQASM.
        terms: Coefficient and OpenQASM text of each observable of the sum.
        names: Inputs to differentiate by; empty: all.
    """

    text: str
    terms: tuple[tuple[float, str], ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Gate:
    """One gate on contiguous qubits, and the derivatives of its matrix by the parameters."""

    matrix: Array
    controls: tuple[int, ...]
    control_state: tuple[int, ...]
    targets: tuple[int, ...]
    derivatives: Mapping[str, Array]


def is_requested(source: str) -> bool:
    """Whether the program asks for an adjoint gradient."""
    return "adjoint_gradient" in source and PRAGMA.search(source) is not None


def parse_request(source: str) -> Request:
    """Read the pragma.

    Raises:
        ValueError: There is more than one, or another result type beside it.
    """
    if (
        len(PRAGMA.findall(source)) != 1
        or len(re.findall(r"#pragma\s+braket\s+result", source)) > 1
    ):
        raise ValueError("adjoint_gradient must be the only result type of the program")
    match = PRAGMA.search(source)
    assert match is not None
    names = tuple(name for name in re.split(r"[,\s]+", match["names"]) if name)
    terms = tuple(_coefficient(term) for term in _top_level_terms(match["sum"]))
    return Request(match["sum"], terms, () if names == ("all",) else names)


def outcome(simulator: Any, program: Program) -> Document:
    """Compute expectation and gradient.

    Args:
        simulator: The state vector simulator.
        program: An OpenQASM program with the pragma.

    Returns:
        The members ``measuredQubits`` and ``resultTypes`` of the task's result.

    Raises:
        ValueError: The request is malformed, or a parameter is not an input.
    """
    request = parse_request(program.source)
    inputs = dict(program.inputs or {})
    names = request.names or tuple(name for name, value in inputs.items() if np.isscalar(value))
    if missing := [name for name in names if name not in inputs]:
        raise ValueError(f"No value for the parameters {', '.join(missing)}")
    circuit = _symbolic_circuit(simulator, program, request, names)
    places = {qubit: place for place, qubit in enumerate(sorted(circuit.qubit_set))}
    gates = [
        _bound(gate, places, {name: inputs[name] for name in names})
        for gate in circuit.instructions
    ]
    observables = _observables(circuit, places, request)
    # Checks the size, too.
    simulator.initialize_simulation(qubit_count=len(places), shots=0, batch_size=1)
    value, slopes = _adjoint(gates, observables, len(places), names)
    described = _described(request, circuit, names)
    result = {"type": described, "value": {"expectation": value, "gradient": slopes}}
    return {"measuredQubits": sorted(circuit.qubit_set), "resultTypes": [result]}


def _coefficient(term: str) -> tuple[float, str]:
    match = COEFFICIENT.match(term)
    assert match is not None
    sign = -1.0 if match["sign"] == "-" else 1.0
    return sign * float(match["number"] or 1.0), term[match.end() :].strip()


def _top_level_terms(text: str) -> Iterable[str]:
    """Split a sum at the signs outside of all brackets (a Hermitian's matrix has some inside)."""
    depth, start = 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        # "2 * -1" and "1e-5" are not sums: a sum's sign follows a closing bracket.
        if depth == 0 and letter in "+-" and text[:place].rstrip().endswith((")", "]")):
            yield text[start:place]
            start = place
    yield text[start:]


def _symbolic_circuit(
    simulator: Any, program: Program, request: Request, names: Sequence[str]
) -> Any:
    pragmas = "\n".join(f"#pragma braket result expectation {term}" for _, term in request.terms)
    source = PRAGMA.sub(lambda _match: pragmas, program.source)
    fixed = {key: value for key, value in (program.inputs or {}).items() if key not in names}
    circuit = simulator.parse_program(Program(source=source, inputs=fixed)).circuit
    for result in circuit.results:
        circuit.qubit_set |= set(result.targets or ())
    return circuit


def _bound(gate: Any, places: Mapping[int, int], values: Mapping[str, float]) -> _Gate:
    symbols = {
        str(symbol): symbol
        for angle in ANGLES
        for symbol in getattr(getattr(gate, angle, None), "free_symbols", ())
    }
    if unknown := sorted(set(symbols) - set(values)):
        raise NameError(f"Missing input variable '{unknown[0]}'.")
    targets = tuple(places[qubit] for qubit in gate.targets)
    controls = len(gate.control_state)
    derivatives = {name: _derivative(gate, symbols, values, name) for name in symbols}
    return _Gate(
        _matrix(gate, symbols, values),
        targets[:controls],
        tuple(gate.control_state),
        targets[controls:],
        derivatives,
    )


def _matrix(gate: Any, symbols: Mapping[str, Any], values: Mapping[str, float]) -> Array:
    if not symbols:
        return np.asarray(gate.matrix, dtype=complex)
    numbers = {symbol: values[name] for name, symbol in symbols.items()}
    fixed = copy(gate)
    for angle in ANGLES:
        expression = getattr(gate, angle, None)
        if expression is not None and hasattr(expression, "free_symbols"):
            setattr(fixed, angle, float(expression.subs(numbers)))
    return np.asarray(fixed.matrix, dtype=complex)


def _derivative(
    gate: Any, symbols: Mapping[str, Any], values: Mapping[str, float], name: str
) -> Array:
    """The matrix's derivative by one parameter, by the central difference of fourth order.

    Matrices are trigonometric polynomials of their angles, so that its error is of the order
    STEP**4 / 30, as small as rounding, for every gate, power and expression alike.
    """

    def at(steps: int) -> Array:
        return _matrix(gate, symbols, {**values, name: values[name] + steps * STEP})

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP)


def _observables(
    circuit: Any, places: Mapping[int, int], request: Request
) -> list[tuple[float, Any]]:
    found = []
    for (coefficient, term), result in zip(request.terms, circuit.results, strict=True):
        if result.targets is None:
            raise ValueError(f"The observable {term} needs targets")
        moved = result.copy(update={"targets": [places[qubit] for qubit in result.targets]})
        found.append((coefficient, from_braket_result_type(moved).observable))
    return found


def _adjoint(
    gates: Sequence[_Gate],
    observables: Sequence[tuple[float, Any]],
    qubits: int,
    names: Sequence[str],
) -> tuple[float, dict[str, float]]:
    ket = np.zeros([2] * qubits, dtype=complex)
    ket[(0,) * qubits] = 1
    for gate in gates:
        ket = _applied(gate, gate.matrix, ket)
    bra = sum((factor * item.apply(ket) for factor, item in observables), np.zeros_like(ket))
    value = float(np.vdot(ket, bra).real)
    slopes = dict.fromkeys(names, 0.0)
    for gate in reversed(gates):
        inverse = gate.matrix.conj().T
        ket = _applied(gate, inverse, ket)
        for name, derivative in gate.derivatives.items():
            changed = _applied(gate, derivative, ket, derivative=True)
            slopes[name] += 2 * float(np.vdot(bra, changed).real)
        bra = _applied(gate, inverse, bra)
    return value, slopes


def _applied(gate: _Gate, matrix: Array, state: Array, *, derivative: bool = False) -> Array:
    """Apply a matrix to the targets where the controls are in their state.

    Elsewhere the gate is the identity, and the derivative of that is zero.
    """
    result = np.zeros_like(state) if derivative else state.copy()
    where: list[Any] = [slice(None)] * state.ndim
    for control, wanted in zip(gate.controls, gate.control_state, strict=True):
        where[control] = wanted
    # With the controls fixed, their axes are gone.
    axes = [target - sum(control < target for control in gate.controls) for target in gate.targets]
    part = state[tuple(where)]
    count = len(axes)
    tensor = matrix.reshape([2] * (2 * count))
    moved = np.tensordot(tensor, part, axes=(range(count, 2 * count), axes))
    result[tuple(where)] = np.moveaxis(moved, range(count), axes)
    return result


def _described(request: Request, circuit: Any, names: Sequence[str]) -> Document:
    """The result type as SV1 describes it: ``2 * x @ y - 1 * z``, with the targets apart.

    How it does is seen in the SDK's ``test/integ_tests/test_adjoint_gradient.py``.
    """
    return {
        "type": "adjoint_gradient",
        "observable": QUBIT.sub("", request.text),
        "targets": [list(result.targets) for result in circuit.results],
        "parameters": list(names),
    }
