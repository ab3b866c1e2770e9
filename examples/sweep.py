"""A sweep: the same electron with other hyperparameters, each as a job, and a table of all.

    python examples/sweep.py       (with a Covalent server running: covalent start)

How many layers does QAOA need for MaxCut on a ring of n nodes? With p layers the expected cut is
(2p + 1) / (2p + 2) of the largest one as long as 2p < n, and the whole of it from there on.
"""

from __future__ import annotations

from typing import Any

import cloudpickle
import covalent as ct
import maxcut_qaoa

from covalent_braket_plugin import job
from covalent_braket_plugin.braket import BraketExecutor

# The jobs cannot import a module of yours: its functions travel with the electron.
cloudpickle.register_pickle_by_value(maxcut_qaoa)

NODES = 6
RING = [(n, (n + 1) % NODES) for n in range(NODES)]
SWEEP = [{"layers": layers, "steps": 40} for layers in (1, 2, 3)]


def train(edges: list[tuple[int, int]]) -> dict[str, Any]:
    """Optimise with the hyperparameters that this job was given, and say which they were."""
    given = job.hyperparameters()
    found = maxcut_qaoa.optimise(edges, given["layers"], given["steps"])
    best = max(found["cuts"])
    return {**given, "cut": best, "tasks": len(found["cuts"]), "job": job.context().job_name}


@ct.electron(executor="local")
def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the rows in order, the largest cut first."""
    return sorted(rows, key=lambda row: -float(row["cut"]))


@ct.lattice
def sweep(edges: list[tuple[int, int]], points: list[dict[str, Any]]) -> Any:
    """One job for each point, all at the same time."""
    rows = []
    for number, point in enumerate(points):
        executor = BraketExecutor(
            local=True, hyperparameters=point, job_name=f"sweep-{number}-{{dispatch}}"
        )
        rows.append(ct.electron(train, executor=executor)(edges))
    return table(rows)


def main() -> None:
    """Dispatch the sweep, print the table, check it against theory."""
    dispatch_id = ct.dispatch(sweep)(RING, SWEEP)
    print(f"Sent; to see how far it is: covalent-braket watch {dispatch_id}", flush=True)
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error
    rows = result.result

    print("layers  expected cut  in theory  tasks  job")
    for row in rows:
        part = (2 * row["layers"] + 1) / (2 * row["layers"] + 2) if 2 * row["layers"] < NODES else 1
        row["theory"] = part * NODES
        print(
            f"{row['layers']:6}  {row['cut']:12.4f}  {row['theory']:9.4f}  {row['tasks']:5}  "
            f"{row['job']}"
        )
    assert [row["layers"] for row in rows] == [3, 2, 1]
    assert all(abs(row["cut"] - row["theory"]) < 0.02 for row in rows)


if __name__ == "__main__":
    main()
