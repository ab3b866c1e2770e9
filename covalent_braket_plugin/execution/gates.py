"""The gates of OpenQASM's standard libraries in Braket's own, which all its devices know.

Braket's OpenQASM has neither ``qelib1.inc`` (OpenQASM 2) nor ``stdgates.inc`` (OpenQASM 3). Each
gate here is defined by Braket's gates alone, without modifiers, which only simulators take.
Global phases are left out: no measurement sees them. So the definitions are exact for gates as
they stand, and for ``ctrl @`` of those in `PHASED` they are not: these are refused, but for ``U``,
which Braket's simulators have themselves.

Source: https://docs.aws.amazon.com/braket/latest/developerguide/braket-openqasm-supported-features.html
"""

from __future__ import annotations

__all__ = ["DEFINITIONS", "PHASED"]

_U = "rz({2}) q; ry({0}) q; rz({1}) q;"

_PHASED = {
    "U": "U(a, b, c) q {" + _U.format("a", "b", "c") + "}",
    "u": "u(a, b, c) q {" + _U.format("a", "b", "c") + "}",
    "u2": "u2(b, c) q {" + _U.format("pi/2", "b", "c") + "}",
    "u3": "u3(a, b, c) q {" + _U.format("a", "b", "c") + "}",
}

_ONE_QUBIT = {
    "id": "id q { i q; }",
    "u0": "u0(a) q { i q; }",
    "sdg": "sdg q { si q; }",
    "tdg": "tdg q { ti q; }",
    "sx": "sx q { v q; }",
    "sxdg": "sxdg q { vi q; }",
    "p": "p(a) q { phaseshift(a) q; }",
    "phase": "phase(a) q { phaseshift(a) q; }",
    "u1": "u1(a) q { phaseshift(a) q; }",
}

_CU3 = (
    "phaseshift((b + c)/2) q; rz((c - b)/2) r; cnot q, r; rz(-(b + c)/2) r; ry(-a/2) r; "
    "cnot q, r; ry(a/2) r; rz(b) r;"
)

_TWO_QUBITS = {
    "CX": "CX q, r { cnot q, r; }",
    "cx": "cx q, r { cnot q, r; }",
    "ch": "ch q, r { ry(-pi/4) r; cz q, r; ry(pi/4) r; }",
    "cp": "cp(a) q, r { cphaseshift(a) q, r; }",
    "cphase": "cphase(a) q, r { cphaseshift(a) q, r; }",
    "cu1": "cu1(a) q, r { cphaseshift(a) q, r; }",
    "cs": "cs q, r { cphaseshift(pi/2) q, r; }",
    "csdg": "csdg q, r { cphaseshift(-pi/2) q, r; }",
    "csx": "csx q, r { h r; cphaseshift(pi/2) q, r; h r; }",
    "crx": "crx(a) q, r { h r; rz(a/2) r; cnot q, r; rz(-a/2) r; cnot q, r; h r; }",
    "cry": "cry(a) q, r { ry(a/2) r; cnot q, r; ry(-a/2) r; cnot q, r; }",
    "crz": "crz(a) q, r { rz(a/2) r; cnot q, r; rz(-a/2) r; cnot q, r; }",
    "cu3": "cu3(a, b, c) q, r { " + _CU3 + " }",
    "cu": "cu(a, b, c, d) q, r { phaseshift(d) q; " + _CU3 + " }",
    "rxx": "rxx(a) q, r { xx(a) q, r; }",
    "ryy": "ryy(a) q, r { yy(a) q, r; }",
    "rzz": "rzz(a) q, r { zz(a) q, r; }",
}

_C3Z = (
    "cphaseshift(pi/4) q, t; cnot q, r; cphaseshift(-pi/4) r, t; cnot q, r; "
    "cphaseshift(pi/4) r, t; cnot r, s; cphaseshift(-pi/4) s, t; cnot q, s; "
    "cphaseshift(pi/4) s, t; cnot r, s; cphaseshift(-pi/4) s, t; cnot q, s; "
    "cphaseshift(pi/4) s, t;"
)

_MORE_QUBITS = {
    "ccx": "ccx q, r, s { ccnot q, r, s; }",
    "ccz": "ccz q, r, s { h s; ccnot q, r, s; h s; }",
    "c3x": "c3x q, r, s, t { h t; " + _C3Z + " h t; }",
}

DEFINITIONS = {
    name: f"gate {text}"
    for name, text in (_PHASED | _ONE_QUBIT | _TWO_QUBITS | _MORE_QUBITS).items()
}
"""By name, the definition of each gate in one line of OpenQASM 3."""

PHASED = frozenset(_PHASED)
"""Gates that are defined up to a phase."""
