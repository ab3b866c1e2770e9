"""PennyLane's ``braket.aws.qubit`` device, unmodified."""

from __future__ import annotations

import math
import time
from typing import Any

import pennylane as qml
import pytest
from pennylane import numpy as np

from tests.support.braket_server import BraketServer
from tests.support.quantum import DM1, GARNET, SV1


def device(arn: str = SV1, wires: int = 2, **options: Any) -> Any:
    return qml.device("braket.aws.qubit", wires=wires, device_arn=arn, **options)


def turned(t: Any) -> Any:
    qml.RX(t[0], wires=0)
    qml.RY(t[1], wires=1)
    qml.CNOT(wires=[0, 1])
    return qml.expval(qml.PauliZ(1))


def slopes(t: Any) -> list[float]:
    """Gradient of ``turned``, which is cos(t0) cos(t1)."""
    return [
        -math.sin(t[0]) * math.cos(t[1]),
        -math.cos(t[0]) * math.sin(t[1]),
    ]


POINT = np.array([0.3, -0.8], requires_grad=True)


def test_a_hadamard_has_no_expectation_of_z(aws: BraketServer) -> None:
    @qml.qnode(device(shots=None))
    def circuit() -> Any:
        qml.Hadamard(0)
        return qml.expval(qml.PauliZ(0))

    assert circuit() == pytest.approx(0, abs=1e-15)


def test_shots_are_sampled(aws: BraketServer) -> None:
    @qml.qnode(device(shots=500))
    def circuit() -> Any:
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        return qml.counts(), qml.expval(qml.PauliZ(0) @ qml.PauliZ(1))

    counts, correlation = circuit()
    assert sum(counts.values()) == 500
    assert set(counts) == {"00", "11"}
    assert correlation == 1


@pytest.mark.parametrize("method", ["device", "adjoint", "parameter-shift", "best"])
def test_gradients_are_exact(aws: BraketServer, method: str) -> None:
    circuit = qml.QNode(turned, device(shots=None), diff_method=method)
    assert circuit(POINT) == pytest.approx(math.cos(0.3) * math.cos(0.8))
    assert list(qml.grad(circuit)(POINT)) == pytest.approx(slopes(POINT), abs=1e-6)


def test_gradients_of_a_hamiltonian_are_exact(aws: BraketServer) -> None:
    energy = qml.Hamiltonian([0.5, -1.5, 2.0], [qml.Z(0), qml.X(0) @ qml.X(1), qml.Z(0) @ qml.Z(1)])

    def build(t: Any) -> Any:
        qml.RX(t[0], wires=0)
        qml.RY(t[1], wires=1)
        qml.CNOT(wires=[0, 1])
        qml.RY(t[0] * t[1], wires=0)
        return qml.expval(energy)

    ours = qml.QNode(build, device(shots=None), diff_method="device")
    exact = qml.QNode(build, qml.device("default.qubit", wires=2))
    assert ours(POINT) == pytest.approx(exact(POINT))
    assert list(qml.grad(ours)(POINT)) == pytest.approx(list(qml.grad(exact)(POINT)), abs=1e-6)


def test_gradients_run_in_parallel(aws: BraketServer) -> None:
    circuit = qml.QNode(
        turned, device(shots=None, parallel=True, max_parallel=4), diff_method="parameter-shift"
    )
    assert list(qml.grad(circuit)(POINT)) == pytest.approx(slopes(POINT), abs=1e-6)


def test_gradients_with_shots_are_close(aws: BraketServer) -> None:
    circuit = qml.QNode(turned, device(shots=4000), diff_method="parameter-shift")
    assert list(qml.grad(circuit)(POINT)) == pytest.approx(slopes(POINT), abs=0.1)


def test_a_qpu_runs_program_sets(aws: BraketServer) -> None:
    aws.reset_calls()
    circuit = qml.QNode(turned, device(GARNET, shots=2000), diff_method="parameter-shift")
    assert list(qml.grad(circuit)(POINT)) == pytest.approx(slopes(POINT), abs=0.15)
    # The value is one task; the four shifted circuits are one program set.
    assert aws.calls()["other"]["braket:CreateQuantumTask"] == 2


def test_noise_runs_on_dm1(aws: BraketServer) -> None:
    @qml.qnode(device(DM1, shots=None))
    def circuit() -> Any:
        qml.PauliX(0)
        qml.BitFlip(0.25, wires=0)
        return qml.expval(qml.PauliZ(0))

    assert circuit() == pytest.approx(-0.5)


def test_a_variational_loop_is_quick_and_finds_the_ground_state(aws: BraketServer) -> None:
    circuit = qml.QNode(turned, device(shots=None), diff_method="device")
    optimizer, t = qml.GradientDescentOptimizer(0.6), POINT
    began = time.monotonic()
    for _ in range(25):
        t = optimizer.step(circuit, t)
    assert circuit(t) == pytest.approx(-1, abs=0.01)
    # About fifty tasks; PennyLane would wait a second for each that is not there at once.
    assert time.monotonic() - began < 12
