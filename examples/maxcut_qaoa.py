"""MaxCut on a ring of four with QAOA: the whole optimisation is one electron.

    python examples/maxcut_qaoa.py       (with a Covalent server running: covalent start)
    python examples/maxcut_qaoa.py --picture docs/images/maxcut.svg      and its curve

A cut splits the nodes of a graph in two; its size is the number of edges between the halves. On a
ring of four nodes the largest cut has all 4 edges. QAOA with one layer reaches an expected cut
of 3; two layers reach 4.

Each step of the optimiser is one quantum task: SV1 gives the expectation value together with its
gradient for all angles (Braket's adjoint gradient).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import covalent as ct

from covalent_braket_plugin import job
from covalent_braket_plugin.braket import BraketExecutor

RING = [(0, 1), (1, 2), (2, 3), (3, 0)]
LAYERS = 2
SHOTS = 200

braket = BraketExecutor(
    local=True, job_name="maxcut-qaoa", hyperparameters={"layers": LAYERS, "steps": 40}
)


def cut_of(bits: str, edges: list[tuple[int, int]]) -> int:
    """Count the edges between the nodes with 0 and those with 1."""
    return sum(bits[one] != bits[other] for one, other in edges)


def qaoa(edges: list[tuple[int, int]], layers: int) -> Any:
    """Make the circuit, with free angles: from all cuts at once towards large ones."""
    from braket.circuits import Circuit, FreeParameter

    nodes = 1 + max(map(max, edges))
    circuit = Circuit().h(range(nodes))
    for layer in range(layers):
        for one, other in edges:
            circuit.zz(one, other, 2 * FreeParameter(f"gamma{layer}"))
        circuit.rx(range(nodes), -2 * FreeParameter(f"beta{layer}"))
    return circuit


def optimise(
    edges: list[tuple[int, int]], layers: int, steps: int, device: Any = None
) -> dict[str, Any]:
    """Find angles with a large expected cut; returns them, and the expected cut of each step."""
    from braket.circuits.observables import Z
    from scipy.optimize import minimize

    device = device or job.current_device()
    names = [f"gamma{n}" for n in range(layers)] + [f"beta{n}" for n in range(layers)]
    agreeing = sum((Z() @ Z() for _ in edges[1:]), Z() @ Z())  # +1 for each edge that is not cut
    circuit = qaoa(edges, layers).adjoint_gradient(agreeing, edges, parameters=names)
    cuts: list[float] = []

    def agreement(angles: Any) -> tuple[float, list[float]]:
        task = device.run(circuit, shots=0, inputs=dict(zip(names, angles, strict=True)))
        found = task.result().values[0]
        cuts.append((len(edges) - found["expectation"]) / 2)
        job.log_metric("cut", cuts[-1], iteration=len(cuts) - 1)
        job.update_status(f"step {len(cuts)}: expected cut {cuts[-1]:.3f}")
        return found["expectation"], [found["gradient"][name] for name in names]

    # As in a slow change from the one to the other: ever more of the graph, ever less mixing.
    part = [(n + 1) / (layers + 1) for n in range(layers)]
    start = [0.7 * x for x in part] + [0.7 * (1 - x) for x in part]
    best = minimize(agreement, start, jac=True, method="L-BFGS-B", options={"maxfun": steps})
    return {"cuts": cuts, "angles": dict(zip(names, map(float, best.x), strict=True))}


@ct.electron(executor=braket)
def largest_cut(edges: list[tuple[int, int]], shots: int) -> dict[str, Any]:
    """Optimise the angles, then draw cuts with them: all of it in one job."""
    layers, steps = job.hyperparameters()["layers"], job.hyperparameters()["steps"]
    found = optimise(edges, layers, steps)
    drawn = job.current_device().run(qaoa(edges, layers), shots=shots, inputs=found["angles"])
    return {**found, "counts": dict(drawn.result().measurement_counts)}


@ct.electron(executor="local")
def by_trying_all(edges: list[tuple[int, int]]) -> int:
    """The size of the largest cut for certain, which only small graphs allow."""
    nodes = 1 + max(map(max, edges))
    return max(cut_of(format(number, f"0{nodes}b"), edges) for number in range(2**nodes))


@ct.lattice
def maxcut(edges: list[tuple[int, int]], shots: int = SHOTS) -> Any:
    """The optimisation as a job, the check beside it at home."""
    return largest_cut(edges, shots), by_trying_all(edges)


def main(picture: Path | None = None) -> None:
    """Dispatch the workflow, show what it found, check it."""
    dispatch_id = ct.dispatch(maxcut)(RING)
    print(f"Sent; to see how far it is: covalent-braket watch {dispatch_id}", flush=True)
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error
    found, largest = result.result

    counts = found["counts"]
    share = sum(n for bits, n in counts.items() if cut_of(bits, RING) == largest) / SHOTS
    print(f"Expected cut, first and last   {found['cuts'][0]:.3f}  {found['cuts'][-1]:.6f}")
    print(f"Quantum tasks                  {len(found['cuts'])} with gradient, 1 with shots")
    print(f"Largest cut drawn              {max(cut_of(bits, RING) for bits in counts)}")
    print(f"Largest cut there is           {largest}")
    print(f"Draws that have it             {share:.0%} of {SHOTS}")
    if picture:
        from covalent_braket_plugin import history

        history.job((dispatch_id, 0), local=True).plot(picture, "cut", exact={"cut": largest})
    assert largest == 4
    assert max(found["cuts"]) > 3.99, "two layers are enough for a ring of four"
    assert max(cut_of(bits, RING) for bits in counts) == 4
    assert share > 0.9


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="MaxCut on a ring of four with QAOA.")
    parser.add_argument("--picture", type=Path, help="draw the expected cut, as .svg or .png")
    main(parser.parse_args().picture)
