"""What a circuit's measurements give, from Braket's simulator without shots."""

from __future__ import annotations

from braket.circuits import Circuit
from braket.devices import LocalSimulator


def measured_by(circuit: Circuit) -> list[int]:
    """The qubits that are measured, in the order of the bits."""
    return [int(each.target[0]) for each in circuit.instructions if each.operator.name == "Measure"]


def probabilities(circuit: Circuit) -> list[float]:
    """The probability of each state of the measured bits, in the order of the bits."""
    measured = measured_by(circuit)
    bare = Circuit([each for each in circuit.instructions if each.operator.name != "Measure"])
    for qubit in set(measured) - {int(each) for each in bare.qubits}:
        bare.i(qubit)
    bare.probability(measured)
    return [float(each) for each in LocalSimulator().run(bare, shots=0).result().values[0]]
