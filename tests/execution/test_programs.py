"""What can be run, and the one form that it is made into."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pennylane as qml
import pytest
from braket.circuits import Circuit, FreeParameter, Observable
from braket.ir.openqasm import Program as OpenQasm

from covalent_braket_plugin.errors import ProgramError
from covalent_braket_plugin.execution.electron import runner
from covalent_braket_plugin.execution.programs import Program, program_of

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[0];\ncx q[0],q[1];\n'
CLASSIQ = Path(__file__).with_name("classiq.qprog")
SHOTS = 200


@qml.qnode(qml.device("default.qubit"))
def bell(angle: float) -> Any:
    qml.RY(angle, "a")
    qml.CNOT(["a", "b"])
    return qml.counts(wires=["b", "a"])


@qml.qnode(qml.device("default.qubit"))
def correlation(angle: float) -> Any:
    qml.RY(angle, 0)
    qml.CNOT([0, 1])
    return qml.expval(qml.Z(0) @ qml.Z(1)), qml.var(qml.X(1)), qml.probs(wires=[1])


def answer(program: Program, shots: int = SHOTS) -> dict[str, Any]:
    """What the electron returns, here on Braket's simulator in this process."""
    found: dict[str, Any] = runner("local", program, shots, True)(program.source)
    return found


RIGHT_ANGLE = 1.5707963267948966

BELLS: dict[str, Any] = {
    "text": BELL,
    "OpenQASM 3": "OPENQASM 3.0; qubit[2] q; h q[0]; cnot q[0], q[1];",
    "a file of Classiq's": CLASSIQ,
    "a path as text": str(CLASSIQ),
    "a circuit of Braket": Circuit().h(0).cnot(0, 1),
    "a program of Braket": OpenQasm(
        source="OPENQASM 3.0; input float t; qubit[2] q; ry(t) q[0]; cnot q[0], q[1];",
        inputs={"t": RIGHT_ANGLE},
    ),
    "a tape of PennyLane": qml.tape.QuantumScript([qml.H(0), qml.CNOT([0, 1])], [qml.sample()]),
    "a QNode with its argument": functools.partial(bell, RIGHT_ANGLE),
}


@pytest.mark.parametrize("what", BELLS)
def test_every_kind_of_program_runs_and_measures_its_bits(what: str) -> None:
    program = program_of(BELLS[what])
    assert (program.qubits, len(program.measured)) == (2, 2)
    told = answer(program)
    assert set(told["counts"]) == {"00", "11"}
    assert sum(told["counts"].values()) == SHOTS


def test_counts_come_in_the_order_of_the_bits() -> None:
    text = "OPENQASM 3.0; qubit[3] q; bit[2] c; x q[0]; c[1] = measure q[0]; c[0] = measure q[2];"
    assert answer(program_of(text))["counts"] == {"01": SHOTS}


def test_inputs_are_arguments_of_a_qnode_and_parameters_of_a_circuit() -> None:
    pi = 2 * RIGHT_ANGLE
    circuit = Circuit().rx(0, FreeParameter("turn"))
    assert answer(program_of(circuit, {"turn": pi}))["counts"] == {"1": SHOTS}
    assert answer(program_of(bell, {"angle": pi}))["counts"] == {"11": SHOTS}


def test_results_that_a_program_asks_for_are_exact_without_shots() -> None:
    program = program_of(functools.partial(correlation, 0.7))
    wanted = [float(each) for each in correlation(0.7)[:2]]
    told = answer(program, shots=0)
    names, values = zip(*told["values"], strict=True)
    assert names == ("expectation z@z(0,1)", "variance x(1)", "probability (1)")
    assert values[:2] == pytest.approx(wanted)
    assert values[2] == pytest.approx([float(each) for each in correlation(0.7)[2]])
    assert told["counts"] == {}


def test_an_untouched_wire_of_a_tape_is_there_all_the_same() -> None:
    tape = qml.tape.QuantumScript([qml.X(1)], [qml.expval(qml.Z(0)), qml.expval(qml.Z(1))])
    values = [value for _, value in answer(program_of(tape), shots=0)["values"]]
    assert values == pytest.approx([1.0, -1.0])


def test_a_program_as_written_stands_in_a_verbatim_box_with_its_measurements_behind() -> None:
    program = program_of("OPENQASM 3.0; qubit[2] q; bit c; h q[1]; c = measure q[1];")
    box = "#pragma braket verbatim\nbox{\nh $1;\n}\nb[0] = measure $1;"
    assert program.verbatim.endswith(box)
    assert program_of(program.verbatim).source == program_of(program.verbatim).verbatim


def test_a_program_is_named_by_its_file_or_function(tmp_path: Path) -> None:
    path = tmp_path / "my bell.qasm"
    path.write_text(BELL)
    assert program_of(path).name == "my bell"
    assert program_of(functools.partial(bell, 0.1)).name == "bell"
    assert program_of(BELL).name == ""


@qml.qnode(qml.device("default.qubit"))
def in_the_middle() -> Any:
    qml.H(0)
    qml.cond(qml.measure(0), qml.X)(1)
    return qml.probs(wires=[0, 1])


REFUSED: dict[str, tuple[Any, str]] = {
    "a file that is not there": ("no/such.qasm", r"no/such.qasm cannot be run. There is no such"),
    "nothing at all": ("", "The program cannot be run. It is empty."),
    "an object of another kind": (3, "int cannot be run. Give OpenQASM 2 or 3"),
    "nothing": (" \n", "It is empty"),
    "JSON without end": ('{"a":' * 100_000, "begins like Classiq's JSON"),
    "broken JSON": ("{\n", "begins like Classiq's JSON"),
    "JSON without OpenQASM": (
        json.dumps({"outputs": {"qsharp": "namespace X {}"}}),
        r"under outputs.qasm \(formats there: qsharp\)",
    ),
    "a parameter without a value": (
        Circuit().rx(0, FreeParameter("alpha")),
        "parameters without a value: alpha",
    ),
    "an empty circuit": (Circuit(), "It has no qubits"),
    "a QNode without its argument": (bell, "Bind its arguments"),
    "a measurement in the middle": (in_the_middle, "measures in its middle"),
    "a sum of observables": (
        qml.tape.QuantumScript([], [qml.expval(qml.Z(0) + qml.X(1))]),
        "not one Pauli word",
    ),
    "a state": (qml.tape.QuantumScript([qml.H(0)], [qml.state()]), "not to be had of devices"),
    "bits and values": (
        qml.tape.QuantumScript([qml.H(0)], [qml.counts(), qml.expval(qml.Z(0))]),
        "Braket does one or the other",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_run_is_refused(why: str) -> None:
    program, words = REFUSED[why]
    with pytest.raises(ProgramError, match=words):
        program_of(program)


def test_an_error_in_a_file_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.qasm"
    path.write_text("OPENQASM 3.0;\nqubit q;\nwrong q;\n")
    with pytest.raises(ProgramError, match=r"wrong.qasm cannot be run. Line 3: Gate wrong"):
        program_of(path)


def test_results_that_a_circuit_asks_for_are_not_to_be_had_as_written() -> None:
    program = program_of(Circuit().h(0).expectation(Observable.Z(), 0))
    assert (program.measured, program.verbatim) == ((), "")
