"""OpenQASM 2 and 3: what they mean is what devices get; what devices cannot do is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from braket.circuits import Circuit

from covalent_braket_plugin.errors import ProgramError
from covalent_braket_plugin.execution.gates import DEFINITIONS
from covalent_braket_plugin.execution.openqasm import circuit_of
from tests.execution.simulating import measured_by, probabilities

A, B, C, D = 0.3, 1.1, -0.7, 0.45


def on_one(operation: Any) -> Any:
    """Controlled by qubit 0, on qubit 1."""
    return qml.ctrl(operation, control=0)


MEANT: Mapping[str, tuple[tuple[float, ...], Any]] = {
    "U": ((A, B, C), qml.U3(A, B, C, 0)),
    "u": ((A, B, C), qml.U3(A, B, C, 0)),
    "u2": ((B, C), qml.U2(B, C, 0)),
    "u3": ((A, B, C), qml.U3(A, B, C, 0)),
    "id": ((), qml.Identity(0)),
    "u0": ((A,), qml.Identity(0)),
    "sdg": ((), qml.adjoint(qml.S(0))),
    "tdg": ((), qml.adjoint(qml.T(0))),
    "sx": ((), qml.SX(0)),
    "sxdg": ((), qml.adjoint(qml.SX(0))),
    "p": ((A,), qml.PhaseShift(A, 0)),
    "phase": ((A,), qml.PhaseShift(A, 0)),
    "u1": ((A,), qml.U1(A, 0)),
    "CX": ((), qml.CNOT([0, 1])),
    "cx": ((), qml.CNOT([0, 1])),
    "ch": ((), qml.CH([0, 1])),
    "cp": ((A,), qml.ControlledPhaseShift(A, [0, 1])),
    "cphase": ((A,), qml.ControlledPhaseShift(A, [0, 1])),
    "cu1": ((A,), qml.ControlledPhaseShift(A, [0, 1])),
    "cs": ((), on_one(qml.S(1))),
    "csdg": ((), on_one(qml.adjoint(qml.S(1)))),
    "csx": ((), on_one(qml.SX(1))),
    "crx": ((A,), qml.CRX(A, [0, 1])),
    "cry": ((A,), qml.CRY(A, [0, 1])),
    "crz": ((A,), qml.CRZ(A, [0, 1])),
    "cu3": ((A, B, C), on_one(qml.U3(A, B, C, 1))),
    "cu": ((A, B, C, D), qml.prod(on_one(qml.U3(A, B, C, 1)), qml.PhaseShift(D, 0))),
    "rxx": ((A,), qml.IsingXX(A, [0, 1])),
    "ryy": ((A,), qml.IsingYY(A, [0, 1])),
    "rzz": ((A,), qml.IsingZZ(A, [0, 1])),
    "ccx": ((), qml.Toffoli([0, 1, 2])),
    "ccz": ((), qml.CCZ([0, 1, 2])),
    "c3x": ((), qml.MultiControlledX([0, 1, 2, 3])),
}


def unitary_of(name: str, numbers: tuple[float, ...], qubits: int) -> Any:
    arguments = f"({', '.join(map(str, numbers))})" if numbers else ""
    wires = ", ".join(f"q[{each}]" for each in range(qubits))
    built = circuit_of(f"OPENQASM 3.0; qubit[{qubits}] q; {name}{arguments} {wires};")
    gates = [each for each in built.instructions if each.operator.name != "Measure"]
    return Circuit(gates).to_unitary()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_gate_of_the_standard_libraries_is_what_it_is_elsewhere_up_to_phase(name: str) -> None:
    numbers, meant = MEANT[name]
    wanted = qml.matrix(meant, wire_order=range(len(meant.wires)))
    found = unitary_of(name, numbers, len(meant.wires))
    overlap = abs(np.trace(wanted.conj().T @ found)) / len(wanted)
    assert overlap == pytest.approx(1.0, abs=1e-9)


def test_what_pennylane_writes_as_openqasm_2_gives_pennylanes_own_probabilities() -> None:
    operations = [
        qml.RY(0.4, 0),
        qml.U3(0.3, 0.2, -1.1, 1),
        qml.CRot(0.5, 0.6, 0.7, [0, 2]),
        qml.QFT([0, 1, 2]),
        qml.CSWAP([2, 0, 1]),
    ]
    tape = qml.tape.QuantumScript(operations, [qml.probs(wires=[0, 1, 2])])
    (wanted,) = qml.execute([tape], qml.device("default.qubit"))
    text = qml.to_openqasm(tape)
    assert "OPENQASM 2.0" in text
    assert probabilities(circuit_of(text)) == pytest.approx(list(wanted), abs=1e-9)


ADDER = """OPENQASM 2.0;
include "qelib1.inc";
// a majority, as in ripple-carry adders
gate majority a,b,c { cx c,b; cx c,a; ccx a,b,c; }
/* it is
   not used */
opaque nothing(x) a;
qreg a[1];
qreg b[2];
creg high[1]; creg low[2];
x a[0]; x b[0];
majority a[0],b[0],b[1];
barrier a,b;
measure b[1] -> high[0];
measure a[0] -> low[1]; measure b[0] -> low[0];
"""


def test_openqasm_2_with_gates_of_its_own_comments_and_registers() -> None:
    built = circuit_of(ADDER)
    assert measured_by(built) == [2, 1, 0]  # high[0], low[0], low[1]
    assert probabilities(built) == pytest.approx([0, 0, 0, 0, 0, 0, 0, 1])


def test_bits_come_by_register_and_index_however_they_are_measured() -> None:
    text = "OPENQASM 3.0; qubit[2] q; bit[2] c; x q[0]; c[1] = measure q[0]; c[0] = measure q[1];"
    assert probabilities(circuit_of(text)) == pytest.approx([0, 1, 0, 0])


def test_powers_and_logarithms_of_openqasm_2_are_those_of_openqasm_2() -> None:
    text = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; rx(2^3*ln(2)) q[0];'
    wanted = np.sin(4 * np.log(2)) ** 2
    assert probabilities(circuit_of(text)) == pytest.approx([1 - wanted, wanted])


def test_a_gate_that_a_program_defines_itself_is_the_programs() -> None:
    text = "OPENQASM 3.0; gate zz(t) a, b { x b; } gate cx a, b { x a; } qubit[2] q; "
    built = circuit_of(text + "zz(0.1) q[0], q[1]; cx q[0], q[1];")
    assert probabilities(built) == pytest.approx([0, 0, 0, 1])


def test_loops_modifiers_and_inputs_of_openqasm_3() -> None:
    text = """OPENQASM 3;
    include "stdgates.inc";
    input float theta;
    qubit[3] q;
    rx(theta) q[0];
    for int i in [0:1] { cx q[i], q[i + 1]; }
    inv @ u3(0, 0, 0.2) q[2];
    """
    wanted = np.sin(0.5) ** 2
    found = probabilities(circuit_of(text, {"theta": 1.0}))
    assert found == pytest.approx([1 - wanted, 0, 0, 0, 0, 0, 0, wanted])


def test_pragmas_are_brakets_also_in_the_first_line() -> None:
    built = circuit_of("#pragma braket verbatim\nbox { x $2; }\nbit c; c = measure $2;")
    assert built.instructions[0].operator.name == "StartVerbatimBox"
    assert measured_by(built) == [2]


def test_a_program_that_measures_nothing_is_measured_on_all_its_qubits() -> None:
    built = circuit_of("OPENQASM 3.0; qubit[3] q; x q[1];")
    assert probabilities(built) == pytest.approx([0, 0, 1, 0, 0, 0, 0, 0])


REFUSED = {
    "a gate that nobody knows": ("qubit q;\nfoo q;", "Line 3: Gate foo is not defined."),
    "a semicolon is missing": ("qubit q;\nh q\nx q;", "Line 4, column 1: 'x' is not OpenQASM"),
    "it ends too early": ("qubit q;\nh q", "the end is not OpenQASM"),
    "a qubit that is not there": ("qubit[2] q;\nh q[2];", "Line 3: qubit register index"),
    "a condition on a measured bit": (
        "qubit[2] q; bit c = 0;\nc = measure q[0];\nif (c) { x q[1]; }",
        "Line 4: what follows depends on c, which was measured",
    ),
    "a gate after a measurement": (
        "qubit q; bit c;\nc = measure q;\nh q;",
        "Line 4: a gate on a qubit that was measured",
    ),
    "a bit that is measured twice": (
        "qubit[2] q; bit c;\nc = measure q[0];\nc = measure q[1];",
        r"Line 4: bit c\[0\] is measured into a second time",
    ),
    "a reset": ("qubit q;\nreset q;", "Line 3: `reset`"),
    "a file that it includes": ('include "mine.inc";', "Line 2: it includes 'mine.inc'"),
    "a character that is none of it": ("qubit q;\n?h q;", r"Line 3: '\?' is not OpenQASM"),
    "a phase that is left out": ("qubit[2] q; ctrl @ u3(1, 2, 3) q[0], q[1];", "`ctrl @ u3`"),
    "an input that it has not": ("qubit q; h q;", "It has no input alpha"),
    "qubits without end": ("qubit[2] q;\nqubit[100000000] r;", "Line 3: .* more than 1000 qubits"),
    "a loop without end": (
        "qubit q;\nfor int i in [0:100000000] { h q; }",
        "Line 3: it has more than 1000000 steps",
    ),
    "no qubits": ("int i = 1;", "It has no qubits"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_run_is_refused_with_its_line(why: str) -> None:
    text, words = REFUSED[why]
    inputs = {"alpha": 1.0} if "an input" in why else None
    with pytest.raises(ProgramError, match=words):
        circuit_of(f"OPENQASM 3.0;\n{text}", inputs)


def test_a_condition_of_openqasm_2_is_refused_with_its_line() -> None:
    text = "OPENQASM 2.0;\nqreg q[1];\ncreg c[1];\nmeasure q -> c;\nif (c==1) x q[0];"
    with pytest.raises(ProgramError, match="Line 5: what follows depends on c"):
        circuit_of(text)


def test_other_versions_are_refused() -> None:
    with pytest.raises(ProgramError, match="versions 2 and 3"):
        circuit_of("OPENQASM 4.0; qubit q;")
