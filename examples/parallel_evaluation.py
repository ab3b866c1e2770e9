"""Many circuits at once: the landscape of QAOA's expected cut over its two angles.

    python examples/parallel_evaluation.py       (with a Covalent server running: covalent start)
    python examples/parallel_evaluation.py --picture docs/images/landscape.svg     and a picture

The job runs the circuits of the grid side by side, as many as `max_workers` says and the account's
quota for quantum tasks allows. With one layer on a ring of four the landscape is known: the
expected cut is 2 + sin(4 beta) sin(4 gamma).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import cloudpickle
import covalent as ct
import maxcut_qaoa

from covalent_braket_plugin import job
from covalent_braket_plugin.braket import BraketExecutor

cloudpickle.register_pickle_by_value(maxcut_qaoa)

SIDE = 9
GRID = [n * math.pi / (2 * (SIDE - 1)) for n in range(SIDE)]

braket = BraketExecutor(local=True)


@ct.electron(executor=braket)
def landscape(edges: list[tuple[int, int]], grid: list[float]) -> list[list[float]]:
    """The expected cut at each point: a row for each beta, a column for each gamma."""
    circuit = maxcut_qaoa.qaoa(edges, layers=1)
    bound = [
        circuit.make_bound_circuit({"gamma0": gamma, "beta0": beta}).probability()
        for beta in grid
        for gamma in grid
    ]
    nodes, cuts = len(circuit.qubits), []
    for result in job.run_parallel(bound, shots=0, max_workers=8):
        chances = enumerate(result.values[0])
        sizes = (p * maxcut_qaoa.cut_of(format(n, f"0{nodes}b"), edges) for n, p in chances)
        cuts.append(float(sum(sizes)))
    return [cuts[row : row + len(grid)] for row in range(0, len(cuts), len(grid))]


@ct.lattice
def workflow(edges: list[tuple[int, int]], grid: list[float]) -> Any:
    """One job for the whole grid."""
    return landscape(edges, grid)


def draw(rows: list[list[float]], picture: Path) -> None:
    """Draw the landscape into a file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 4), layout="constrained")
    drawn = axes.contourf(GRID, GRID, rows, levels=[1 + n / 4 for n in range(9)])
    axes.set(xlabel="gamma", ylabel="beta", title="Expected cut, ring of four, one layer")
    figure.colorbar(drawn)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


def main(picture: Path | None = None) -> None:
    """Dispatch the workflow, show the landscape, check it against the formula."""
    dispatch_id = ct.dispatch(workflow)(maxcut_qaoa.RING, GRID)
    print(f"Sent; to see how far it is: covalent-braket watch {dispatch_id}", flush=True)
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error
    rows = result.result

    print("beta \\ gamma " + "".join(f"{gamma:6.2f}" for gamma in GRID))
    for beta, row in zip(GRID, rows, strict=True):
        print(f"{beta:12.2f} " + "".join(f"{cut:6.2f}" for cut in row))
    if picture:
        draw(rows, picture)
    for beta, row in zip(GRID, rows, strict=True):
        for gamma, cut in zip(GRID, row, strict=True):
            assert abs(cut - (2 + math.sin(4 * beta) * math.sin(4 * gamma))) < 1e-6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The landscape of QAOA's expected cut.")
    parser.add_argument("--picture", type=Path, help="draw the landscape, as .svg or .png")
    main(parser.parse_args().picture)
