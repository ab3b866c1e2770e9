"""The ground state of H2 with VQE, against the exact diagonalisation of the same Hamiltonian.

    python examples/vqe_h2.py       (with a Covalent server running: covalent start)
    python examples/vqe_h2.py --picture docs/images/vqe.svg      and its curve

Two energies are easily confused: the electrons' alone, which is what the Hamiltonian's eigenvalues
are, and the molecule's, to which the repulsion of the nuclei belongs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import covalent as ct

from covalent_braket_plugin import job
from covalent_braket_plugin.braket import BraketExecutor

# The electrons of H2 at a distance of 0.735 angstrom in the STO-3G basis, in hartree. Parity
# mapping; two of four qubits are constant and left out. Integrals as of PennyLane's qchem.
ELECTRONS = {"II": -1.05237325, "IZ": 0.39793742, "ZI": -0.39793742, "ZZ": -0.01128010}
ELECTRONS["XX"] = 0.18093120
ANGSTROM = 1.8897261246  # in atomic units of length
REPULSION = 1 / (0.735 * ANGSTROM)  # of two charges of one, in hartree

braket = BraketExecutor(
    local=True, job_name="vqe-h2", hyperparameters={"steps": 16, "rate": 0.8, "shots": 2000}
)


def expectation(shots: int | None) -> Any:
    """Make the function from four angles to the electrons' energy, on the job's device."""
    import pennylane as qml

    words = [qml.pauli.string_to_pauli_word(word) for word in ELECTRONS]
    hamiltonian = qml.dot(list(ELECTRONS.values()), words)

    # Exact: SV1 gives the energy with its gradient, in one quantum task. With shots, PennyLane
    # measures the terms in as few bases as they need: here Z on both qubits, and X on both.
    @qml.qnode(job.pennylane_device(2, shots), diff_method="best" if shots else "device")
    def energy(angles: Any) -> Any:
        qml.PauliX(wires=1)  # with all angles zero this is the Hartree-Fock state
        qml.RY(angles[0], wires=0)
        qml.RY(angles[1], wires=1)
        qml.CNOT(wires=[0, 1])
        qml.RY(angles[2], wires=0)
        qml.RY(angles[3], wires=1)
        return qml.expval(hamiltonian)

    return energy


@ct.electron(executor=braket)
def ground_state() -> dict[str, Any]:
    """Descend to the ground state, then measure its energy with shots, as a QPU would."""
    import pennylane as qml
    from pennylane import numpy as np

    given = job.hyperparameters()
    energy, energies = expectation(shots=None), []
    optimizer = qml.MomentumOptimizer(given["rate"], momentum=0.3)
    angles = np.zeros(4, requires_grad=True)
    for step in range(given["steps"]):
        angles, before = optimizer.step_and_cost(energy, angles)
        energies.append(float(before))
        job.log_metric("energy", before + REPULSION, iteration=step)
    measured = float(expectation(given["shots"])(angles))
    return {"energies": energies, "measured": measured}


@ct.electron(executor="local")
def exact() -> float:
    """The Hamiltonian's lowest eigenvalue: the electrons' energy, without the repulsion."""
    import numpy as np

    pauli = {"I": np.eye(2), "X": np.array([[0.0, 1.0], [1.0, 0.0]]), "Z": np.diag([1.0, -1.0])}
    terms = [value * np.kron(pauli[word[0]], pauli[word[1]]) for word, value in ELECTRONS.items()]
    matrix = np.sum(terms, axis=0)
    return float(np.linalg.eigvalsh(matrix)[0])


@ct.lattice
def vqe() -> Any:
    """The descent as a job, the diagonalisation at home."""
    return ground_state(), exact()


def main(picture: Path | None = None) -> None:
    """Dispatch the workflow, show both energies, check them."""
    dispatch_id = ct.dispatch(vqe)()
    print(f"Sent; to see how far it is: covalent-braket watch {dispatch_id}", flush=True)
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error
    found, lowest = result.result
    reached, measured = found["energies"][-1], found["measured"]

    print("Energy in hartree        electrons   with repulsion")
    rows = ("Hartree-Fock", found["energies"][0]), ("VQE", reached)
    for what, value in (*rows, ("the same, with shots", measured), ("exact", lowest)):
        print(f"{what:<22}  {value:10.6f}   {value + REPULSION:14.6f}")
    if picture:
        from covalent_braket_plugin import history

        marks = {"energy": lowest + REPULSION}
        history.job((dispatch_id, 0), local=True).plot(picture, "energy", exact=marks)
    # Hartree-Fock and full configuration interaction, as of PennyLane's qchem.
    assert abs(found["energies"][0] + REPULSION - -1.116999) < 1e-6
    assert abs(lowest + REPULSION - -1.137306) < 1e-6
    assert abs(reached - lowest) < 1e-4
    assert reached > lowest - 1e-6, "no state lies below the ground state"
    assert abs(measured - lowest) < 0.05, "2000 shots are within a few hundredths"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The ground state of H2 with VQE.")
    parser.add_argument("--picture", type=Path, help="draw the energy, as .svg or .png")
    main(parser.parse_args().picture)
