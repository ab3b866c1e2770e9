"""A workflow that runs two electrons as Amazon Braket Hybrid Jobs and a third one at home.

    python examples/quickstart.py        (with a Covalent server running: covalent start)

`local=True` sends the jobs to the built-in local Braket: no AWS account, no Docker. Against AWS
the electrons stay as they are; only the executor's settings change (see the README).
"""

from __future__ import annotations

import math
import os
from typing import Any

import covalent as ct

from covalent_braket_plugin.braket import BraketExecutor

braket = BraketExecutor(local=True)

# The electronic Hamiltonian of H2 at its bond length, 0.7414 angstrom, in the STO-3G basis, in
# hartree, nuclear repulsion included. In the parity mapping two of the four qubits are constant,
# since the numbers of spin-up and spin-down electrons are. Integrals from PennyLane's qchem.
H2 = {"II": -0.33995362, "ZI": 0.39398368, "IZ": -0.39398368, "ZZ": -0.01123659, "XX": 0.18128881}

# Between |10> (the Hartree-Fock state) and |01>, H2 is a 2 x 2 matrix. Its lower eigenvalue is
# the exact ground state energy.
EXACT = H2["II"] - H2["ZZ"] - math.hypot(H2["ZI"] - H2["IZ"], H2["XX"])


def job_device(wires: int) -> Any:
    """Make the PennyLane device that the job was started for."""
    import pennylane as qml

    bucket = os.environ["AMZN_BRAKET_OUT_S3_BUCKET"]
    results = os.environ["AMZN_BRAKET_TASK_RESULTS_S3_URI"].removeprefix(f"s3://{bucket}/")
    return qml.device(
        "braket.aws.qubit",
        device_arn=os.environ["AMZN_BRAKET_DEVICE_ARN"],
        s3_destination_folder=(bucket, results),
        wires=wires,
    )


@ct.electron(executor=braket)
def fair_coin() -> float:
    """Expectation of Pauli Z after a Hadamard: heads and tails weigh the same."""
    import pennylane as qml

    @qml.qnode(job_device(wires=1))
    def circuit() -> Any:
        qml.Hadamard(wires=0)
        return qml.expval(qml.PauliZ(0))

    return float(circuit())


@ct.electron(executor=braket)
def ground_state_energy(iterations: int, step: float = 0.8) -> list[float]:
    """Find the ground state of H2 by gradient descent; returns the energy after each iteration."""
    import pennylane as qml
    from braket.jobs.metrics import log_metric
    from pennylane import numpy as np

    from covalent_braket_plugin.job import update_status

    words = [qml.pauli.string_to_pauli_word(word) for word in H2]
    hamiltonian = qml.dot(list(H2.values()), words)

    @qml.qnode(job_device(wires=2), diff_method="parameter-shift")
    def energy(angle: Any) -> Any:
        qml.PauliX(wires=0)
        qml.RY(angle, wires=1)  # how much of |01> is mixed in
        qml.CNOT(wires=[1, 0])
        return qml.expval(hamiltonian)

    optimizer = qml.GradientDescentOptimizer(step)
    angle, energies = np.array(0.0, requires_grad=True), []
    for iteration in range(iterations):
        update_status(f"step {iteration + 1} of {iterations}")
        angle, value = optimizer.step_and_cost(energy, angle)
        energies.append(float(value))
        log_metric(metric_name="energy", value=float(value), iteration_number=iteration)
    return energies


@ct.electron(executor="local")
def report(coin: float, energies: list[float]) -> dict[str, float]:
    """Bring both results together, on the machine where Covalent runs."""
    return {"coin": coin, "energy": energies[-1], "error": abs(energies[-1] - EXACT)}


@ct.lattice
def quickstart(iterations: int = 8) -> Any:
    """Two jobs side by side, and an electron that waits for both."""
    return report(fair_coin(), ground_state_energy(iterations))


def main() -> None:
    """Dispatch the workflow, wait for it and check what came out."""
    dispatch_id = ct.dispatch(quickstart)()
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error

    coin, energy = result.result["coin"], result.result["energy"]
    print(f"|<Z>| after a Hadamard   {abs(coin):9.6f}    exact  0")
    print(f"Ground state of H2       {energy:9.6f} Ha exact {EXACT:9.6f} Ha")
    assert abs(coin) < 1e-9
    assert result.result["error"] < 1e-5


if __name__ == "__main__":
    main()
