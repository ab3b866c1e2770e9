"""The Braket SDK's devices and quantum tasks, unmodified."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from braket.aws import AwsDevice, AwsQuantumTask
from braket.circuits import Circuit, FreeParameter, Observable
from braket.program_sets import CircuitBinding, ProgramSet
from braket.tracking import Tracker

from tests.support.braket_server import BraketServer
from tests.support.quantum import DM1, FORTE, GARNET

CEPHEUS = "arn:aws:braket:us-west-1::device/qpu/rigetti/Cepheus-1-108Q"
IBEX = "arn:aws:braket:eu-north-1::device/qpu/aqt/Ibex-Q1"


def bell() -> Circuit:
    return Circuit().h(0).cnot(0, 1)


def test_a_circuit_runs_with_shots(sv1: AwsDevice) -> None:
    result = sv1.run(bell(), shots=100).result()
    assert set(result.measurement_counts) == {"00", "11"}
    assert len(result.measurements) == 100


def test_a_circuit_runs_without_shots(sv1: AwsDevice) -> None:
    circuit = Circuit().h(0).expectation(Observable.Z(), target=0).state_vector()
    result = sv1.run(circuit, shots=0).result()
    assert result.values[0] == pytest.approx(0, abs=1e-15)
    assert result.values[1] == pytest.approx([0.5**0.5] * 2)


def test_parameters_are_bound_at_run_time(sv1: AwsDevice) -> None:
    circuit = Circuit().rx(0, FreeParameter("t")).expectation(Observable.Z(), target=0)
    result = sv1.run(circuit, shots=0, inputs={"t": 0.3}).result()
    assert result.values == pytest.approx([math.cos(0.3)])


def test_the_adjoint_gradient_is_exact(sv1: AwsDevice) -> None:
    circuit = Circuit().rx(0, FreeParameter("t")).cnot(0, 1)
    circuit.adjoint_gradient(2 * Observable.Z(0) @ Observable.Z(1) + Observable.Z(1), None, ["t"])
    value = sv1.run(circuit, shots=0, inputs={"t": 0.3}).result().values[0]
    assert value["expectation"] == pytest.approx(2 + math.cos(0.3))
    assert value["gradient"] == pytest.approx({"t": -math.sin(0.3)})


def test_noise_runs_on_dm1(aws: BraketServer) -> None:
    circuit = Circuit().x(0).bit_flip(0, 0.25).expectation(Observable.Z(), target=0)
    assert AwsDevice(DM1).run(circuit, shots=0).result().values == pytest.approx([-0.5])


def test_a_batch_runs_in_parallel(sv1: AwsDevice) -> None:
    circuits = [Circuit().rx(0, t / 10).expectation(Observable.Z(), 0) for t in range(12)]
    results = sv1.run_batch(circuits, shots=0, max_parallel=6).results()
    values = [result.values[0] for result in results]
    assert values == pytest.approx([math.cos(t / 10) for t in range(12)])


def test_a_task_is_found_again_by_its_arn(sv1: AwsDevice) -> None:
    task = sv1.run(bell(), shots=10, tags={"who": "me"})
    again = AwsQuantumTask(task.id)
    assert again.result().measurement_counts == task.result().measurement_counts
    assert again.state() == "COMPLETED"
    assert again.metadata()["tags"] == {"who": "me"}
    assert "does not show queue position" in again.queue_position().message


def test_a_failed_task_has_no_result_but_a_reason(sv1: AwsDevice) -> None:
    task = sv1.run(Circuit().bit_flip(0, 0.1).probability(), shots=0)
    assert task.result() is None
    assert task.state() == "FAILED"
    assert "Noise instructions" in task.metadata()["failureReason"]


def test_a_task_can_be_cancelled(sv1: AwsDevice) -> None:
    circuit = Circuit().h(0)
    for _ in range(13):
        circuit.add_circuit(circuit.copy())
    task = sv1.run(circuit.probability(), shots=0)
    task.cancel()
    assert task.result() is None
    assert task.state() == "CANCELLED"


def test_the_tracker_counts_tasks_and_simulated_time(sv1: AwsDevice) -> None:
    with Tracker() as tracker:
        sv1.run(bell(), shots=10).result()
    statistics = tracker.quantum_tasks_statistics()[sv1.arn]
    assert statistics["tasks"] == {"COMPLETED": 1}
    assert statistics["execution_duration"].total_seconds() > 0


def test_the_depth_of_the_queues_is_shown(sv1: AwsDevice) -> None:
    depth = sv1.queue_depth()
    assert set(depth.quantum_tasks.values()) == {"0"}
    assert depth.jobs == "0"


def test_devices_are_found_in_all_regions(aws: BraketServer) -> None:
    found = {device.arn: device for device in AwsDevice.get_devices()}
    assert {DM1, GARNET, FORTE, CEPHEUS, IBEX} <= set(found)
    assert not any(device.status == "RETIRED" for device in found.values())


@pytest.mark.parametrize("arn", [FORTE, CEPHEUS, IBEX, GARNET])
def test_qpus_run_circuits_with_shots(aws: BraketServer, arn: str) -> None:
    device = AwsDevice(arn)
    assert device.is_available is not None
    assert device.topology_graph.number_of_nodes() == device.properties.paradigm.qubitCount
    result = device.run(bell(), shots=100).result()
    assert set(result.measurement_counts) == {"00", "11"}


def test_a_qpu_runs_what_it_is_given_verbatim(aws: BraketServer) -> None:
    circuit = Circuit().add_verbatim_box(Circuit().prx(3, math.pi, 0).cz(3, 5)).measure(3)
    result = AwsDevice(GARNET).run(circuit, shots=10, disable_qubit_rewiring=True).result()
    assert result.measurement_counts == {"1": 10}


def test_a_qpu_refuses_exact_results(aws: BraketServer) -> None:
    circuit = Circuit().h(0).expectation(Observable.Z(), target=0)
    with pytest.raises(ClientError, match="greater than 0"):
        AwsDevice(FORTE).run(circuit, shots=0)


def test_a_qpu_that_is_offline_says_so(
    aws: BraketServer, set_status: Callable[[str, str], Any]
) -> None:
    set_status(GARNET, "OFFLINE")
    device = AwsDevice(GARNET)
    assert device.status == "OFFLINE"
    assert not device.is_available
    with pytest.raises(ClientError, match="DeviceOfflineException"):
        device.run(bell(), shots=10)


def test_program_sets_run_on_qpus(aws: BraketServer) -> None:
    turned = Circuit().rx(0, FreeParameter("t"))
    binding = CircuitBinding(
        turned,
        input_sets={"t": [0, math.pi]},
        observables=[Observable.Z(0)],
    )
    programs = ProgramSet([binding, bell()])
    result = AwsDevice(GARNET).run(programs, shots=30).result()
    assert [entry.expectation for entry in result[0]] == [1, -1]
    assert set(result[1][0].counts) <= {"00", "11"}
    assert result.num_executables == 3


def test_simulators_refuse_program_sets(sv1: AwsDevice) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        sv1.run(ProgramSet([bell(), bell()]), shots=20)
