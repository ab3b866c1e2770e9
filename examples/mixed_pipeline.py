"""A pipeline in which some electrons run at home and others as jobs, on two devices.

    python examples/mixed_pipeline.py       (with a Covalent server running: covalent start)

At home a graph is made; a job finds QAOA's angles for it on SV1; jobs of their own, side by side,
draw cuts on DM1, each with more noise; at home again all is held against what theory says.
"""

from __future__ import annotations

from typing import Any

import cloudpickle
import covalent as ct
import maxcut_qaoa

from covalent_braket_plugin import job
from covalent_braket_plugin.braket import BraketExecutor

cloudpickle.register_pickle_by_value(maxcut_qaoa)

NODES = 5
LEVELS = [0.0, 0.1]

exact = BraketExecutor(local=True, quantum_device="SV1")
noisy = BraketExecutor(local=True, quantum_device="DM1")


@ct.electron(executor="local")
def ring_with_a_chord(nodes: int) -> list[tuple[int, int]]:
    """Make the graph: a ring, and one edge across."""
    return [(n, (n + 1) % nodes) for n in range(nodes)] + [(0, nodes // 2)]


@ct.electron(executor=exact)
def angles_for(edges: list[tuple[int, int]]) -> dict[str, Any]:
    """Optimise without noise."""
    return maxcut_qaoa.optimise(edges, layers=1, steps=30)


@ct.electron(executor=noisy)
def cut_with_noise(edges: list[tuple[int, int]], found: dict[str, Any], level: float) -> float:
    """The expected cut if each qubit is depolarised with this probability before it is measured."""
    from braket.circuits.observables import Z

    circuit = maxcut_qaoa.qaoa(edges, layers=1).make_bound_circuit(found["angles"])
    if level:
        circuit.depolarizing(circuit.qubits, probability=level)
    for one, other in edges:
        circuit.expectation(Z() @ Z(), [one, other])
    agreeing = job.current_device().run(circuit, shots=0).result().values
    return (len(edges) - sum(map(float, agreeing))) / 2


@ct.electron(executor="local")
def table(
    edges: list[tuple[int, int]], found: dict[str, Any], levels: list[float], cuts: list[float]
) -> list[tuple[float, float, float]]:
    """Put beside each cut what theory says: noise shrinks what an edge adds to a random cut."""
    random = len(edges) / 2
    gain = max(found["cuts"]) - random
    # Depolarising with probability p leaves 1 - 4p/3 of Z, and an edge has two ends.
    theory = [random + gain * (1 - 4 * level / 3) ** 2 for level in levels]
    return list(zip(levels, cuts, theory, strict=True))


@ct.lattice
def pipeline(nodes: int, levels: list[float]) -> Any:
    """Home, job, jobs side by side, home."""
    edges = ring_with_a_chord(nodes)
    found = angles_for(edges)
    return table(edges, found, levels, [cut_with_noise(edges, found, level) for level in levels])


def main() -> None:
    """Dispatch the pipeline, print the table, check it."""
    dispatch_id = ct.dispatch(pipeline)(NODES, LEVELS)
    print(f"Sent; to see how far it is: covalent-braket watch {dispatch_id}", flush=True)
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error
    print("noise  expected cut  in theory")
    for level, cut, theory in result.result:
        print(f"{level:5.2f}  {cut:12.4f}  {theory:9.4f}")
    cuts = [cut for _, cut, _ in result.result]
    assert cuts == sorted(cuts, reverse=True), "noise helps nobody"
    assert cuts[0] > 0.6 * (NODES + 1), "better than half of the edges, which a random cut has"
    assert all(abs(cut - theory) < 1e-6 for _, cut, theory in result.result)


if __name__ == "__main__":
    main()
