"""The adjoint gradient of SV1, against gradients that are known or found in another way."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from braket.default_simulator import StateVectorSimulator
from braket.ir.openqasm import Program

from covalent_braket_plugin.local.quantum import gradient

EXACT = 1e-9
STEP = 1e-5

# One gate of each kind that takes an angle, an expression, a power, and controls of both signs.
GATES = """OPENQASM 3.0;
input float a;
input float b;
input float fixed;
qubit[3] q;
h q;
rx(a) q[0];
ry(2 * a + b) q[1];
rz(b / 2) q[2];
phaseshift(a * b) q[0];
gpi(a) q[1];
gpi2(b) q[2];
prx(a, b) q[0];
xx(a) q[0], q[1];
yy(b) q[1], q[2];
zz(a) q[0], q[2];
xy(b) q[0], q[1];
cphaseshift(a) q[2], q[0];
pswap(b) q[0], q[2];
ms(a, b, 0.3) q[0], q[1];
ctrl @ rx(a) q[2], q[1];
negctrl @ ry(b) q[0], q[2];
ctrl @ negctrl @ rz(a) q[2], q[0], q[1];
pow(2) @ rx(b) q[0];
inv @ rx(a) q[1];
pow(0.5) @ rz(a) q[2];
rx(fixed) q[0];
"""
OBSERVABLE = "2 * x(q[0]) @ y(q[1]) + z(q[2]) - 0.5 * h(q[1]) + 1e-1 * i(q[0])"
TERMS = {"x(q[0]) @ y(q[1])": 2.0, "z(q[2])": 1.0, "h(q[1])": -0.5, "i(q[0])": 0.1}


@pytest.fixture(scope="module")
def simulator() -> StateVectorSimulator:
    return StateVectorSimulator()


def differentiate(
    simulator: StateVectorSimulator, source: str, request: str, inputs: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    pragma = f"#pragma braket result adjoint_gradient {request}\n"
    outcome = gradient.outcome(simulator, Program(source=source + pragma, inputs=inputs))
    value = outcome["resultTypes"][0]["value"]
    return value["expectation"], value["gradient"]


def expectation(
    simulator: StateVectorSimulator,
    source: str,
    terms: Mapping[str, float],
    inputs: Mapping[str, float],
) -> float:
    total = 0.0
    for term, factor in terms.items():
        pragma = f"#pragma braket result expectation {term}\n"
        result = simulator.run(Program(source=source + pragma, inputs=inputs), shots=0)
        total += factor * result.resultTypes[0].value
    return total


def test_a_rotation_has_the_gradient_of_its_cosine(simulator: StateVectorSimulator) -> None:
    source = "OPENQASM 3.0;\ninput float t;\nqubit[1] q;\nrx(t) q[0];\n"
    value, slopes = differentiate(simulator, source, "expectation(z(q[0])) t", {"t": 0.7})
    assert value == pytest.approx(math.cos(0.7), abs=EXACT)
    assert slopes == pytest.approx({"t": -math.sin(0.7)}, abs=EXACT)


def test_all_gates_agree_with_a_difference_of_expectations(
    simulator: StateVectorSimulator,
) -> None:
    inputs = {"a": 0.4, "b": -1.3, "fixed": 0.2}
    value, slopes = differentiate(simulator, GATES, f"expectation({OBSERVABLE}) a, b", inputs)
    assert value == pytest.approx(expectation(simulator, GATES, TERMS, inputs), abs=EXACT)
    assert list(slopes) == ["a", "b"]
    for name, slope in slopes.items():
        above, below = (
            expectation(simulator, GATES, TERMS, {**inputs, name: inputs[name] + step})
            for step in (STEP, -STEP)
        )
        assert slope == pytest.approx((above - below) / (2 * STEP), abs=1e-6)


def test_all_means_every_input(simulator: StateVectorSimulator) -> None:
    inputs = {"a": 0.4, "b": -1.3, "fixed": 0.2}
    _, slopes = differentiate(simulator, GATES, "expectation(z(q[0])) all", inputs)
    assert list(slopes) == ["a", "b", "fixed"]


def test_an_unused_parameter_has_no_slope(simulator: StateVectorSimulator) -> None:
    source = "OPENQASM 3.0;\ninput float t;\nqubit[1] q;\nh q[0];\n"
    _, slopes = differentiate(simulator, source, "expectation(x(q[0])) t", {"t": 0.7})
    assert slopes == {"t": 0}


def test_hermitian_matrices_are_observables(simulator: StateVectorSimulator) -> None:
    source = "OPENQASM 3.0;\ninput float t;\nqubit[1] q;\nry(t) q[0];\n"
    observable = "3 * hermitian([[1+0im, 0-1im], [0+1im, -1+0im]]) q[0]"
    value, slopes = differentiate(simulator, source, f"expectation({observable}) t", {"t": 0.7})
    assert value == pytest.approx(3 * math.cos(0.7), abs=EXACT)
    assert slopes["t"] == pytest.approx(-3 * math.sin(0.7), abs=EXACT)


def test_physical_and_scattered_qubits_are_found(simulator: StateVectorSimulator) -> None:
    source = "OPENQASM 3.0;\ninput float t;\nrx(t) $7;\nh $2;\n"
    value, _ = differentiate(simulator, source, "expectation(z($7)) t", {"t": 0.7})
    assert value == pytest.approx(math.cos(0.7), abs=EXACT)


@pytest.mark.parametrize(
    ("sum_", "described", "value", "slope"),
    [
        (
            "-6 * y(q[0]) @ i(q[1]) + 0.75 * y(q[2]) @ z(q[3])",
            "-6 * y @ i + 0.75 * y @ z",
            1.1920159847703675,
            5.880399467047451,
        ),
        ("2 * x(q[0]) + 3 * y(q[1]) - 1 * z(q[2])", "2 * x + 3 * y - 1 * z", -1.0, 0.0),
        ("6 * y(q[0]) @ i(q[1])", "6 * y @ i", -1.1920159847703675, -5.880399467047451),
        (
            "-6 * y(q[0]) @ i(q[1]) + 0.75 * y(q[0]) @ z(q[1])",
            "-6 * y @ i + 0.75 * y @ z",
            1.0430139866740715,
            5.145349533666519,
        ),
    ],
)
def test_the_answers_are_those_of_the_real_sv1(
    simulator: StateVectorSimulator, sum_: str, described: str, value: float, slope: float
) -> None:
    """The figures that the SDK's own integration tests expect of AWS."""
    source = (
        "OPENQASM 3.0;\ninput float theta;\nqubit[4] q;\nrx(theta) q[0];\n"
        f"#pragma braket result adjoint_gradient expectation({sum_}) theta\n"
    )
    outcome = gradient.outcome(simulator, Program(source=source, inputs={"theta": 0.2}))
    found = outcome["resultTypes"][0]
    assert found["type"]["observable"] == described
    assert found["value"]["expectation"] == pytest.approx(value, abs=EXACT)
    assert found["value"]["gradient"] == pytest.approx({"theta": slope}, abs=EXACT)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("z(q[0])", [(1.0, "z(q[0])")]),
        ("-z(q[0])", [(-1.0, "z(q[0])")]),
        ("2 * x(q[0]) + -3 * y(q[1])", [(2.0, "x(q[0])"), (-3.0, "y(q[1])")]),
        ("1e-05 * x(q[0]) @ z(q[1]) - y(q[0])", [(1e-5, "x(q[0]) @ z(q[1])"), (-1.0, "y(q[0])")]),
        ("hermitian([[1, -1im], [1im, 0]]) q[0]", [(1.0, "hermitian([[1, -1im], [1im, 0]]) q[0]")]),
        (
            "hermitian([[1, 0], [0, 0]]) q[0] + z(q[1])",
            [(1.0, "hermitian([[1, 0], [0, 0]]) q[0]"), (1.0, "z(q[1])")],
        ),
    ],
)
def test_sums_are_split_into_terms(text: str, terms: list[tuple[float, str]]) -> None:
    request = gradient.parse_request(
        f"#pragma braket result adjoint_gradient expectation({text}) all"
    )
    assert list(request.terms) == terms
    assert request.names == ()


@pytest.mark.parametrize(
    ("extra", "inputs", "text"),
    [
        ("#pragma braket result probability\n", {"t": 1.0}, "only result type"),
        ("", {}, "No value for the parameters t"),
    ],
)
def test_a_wrong_request_is_refused(
    simulator: StateVectorSimulator, extra: str, inputs: dict[str, float], text: str
) -> None:
    source = f"OPENQASM 3.0;\ninput float t;\nqubit[1] q;\nrx(t) q[0];\n{extra}"
    with pytest.raises(ValueError, match=text):
        differentiate(simulator, source, "expectation(z(q[0])) t", inputs)


def test_an_input_that_is_neither_given_nor_differentiated_is_named(
    simulator: StateVectorSimulator,
) -> None:
    source = "OPENQASM 3.0;\ninput float t;\ninput float u;\nqubit[1] q;\nrx(t + u) q[0];\n"
    with pytest.raises(NameError, match="'u'"):
        differentiate(simulator, source, "expectation(z(q[0])) t", {"t": 1.0})
