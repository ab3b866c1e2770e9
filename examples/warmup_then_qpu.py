"""A job for a QPU that warms up on a simulator, so that the QPU is asked little.

    python examples/warmup_then_qpu.py       (with a Covalent server running: covalent start)

The job is for IonQ's Forte 1: its quantum tasks have priority there. The optimiser walks on SV1, in
the same region, and only its last point and two others are measured on the QPU. On the local
Braket both are simulators, and nothing costs anything; the prices are AWS's.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import cloudpickle
import covalent as ct
import maxcut_qaoa

from covalent_braket_plugin import history, job
from covalent_braket_plugin.braket import BraketExecutor

cloudpickle.register_pickle_by_value(maxcut_qaoa)

RING = maxcut_qaoa.RING
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
SHIFTS = (0.0, -0.4, 0.4)
FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"

braket = BraketExecutor(
    local=True,
    quantum_device="IonQ Forte 1",
    max_cost=30.0,  # US dollars; on a QPU it must be said
    hyperparameters={"layers": 1, "warm_up": 20, "shots": 100},
)


def mean_cut(counts: dict[str, int], edges: list[tuple[int, int]]) -> float:
    """The mean size of the cuts that were drawn."""
    total = sum(n * maxcut_qaoa.cut_of(bits, edges) for bits, n in counts.items())
    return total / sum(counts.values())


@ct.electron(executor=braket)
def warm_up_then_measure(edges: list[tuple[int, int]]) -> dict[str, Any]:
    """Optimise on SV1; measure the result, and on both sides of it, on the job's own device."""
    from braket.aws import AwsDevice

    given = job.hyperparameters()
    warm = maxcut_qaoa.optimise(edges, given["layers"], given["warm_up"], AwsDevice(SV1))
    circuit, best = maxcut_qaoa.qaoa(edges, given["layers"]), warm["angles"]
    places = [{**best, "beta0": best["beta0"] + shift} for shift in SHIFTS]
    results = job.run_parallel(map(circuit.make_bound_circuit, places), shots=given["shots"])
    measured = [mean_cut(result.measurement_counts, edges) for result in results]
    for number, cut in enumerate(measured):
        job.log_metric("cut_qpu", cut, iteration=number)
    return {"device": job.context().device_arn, "expected": warm["cuts"][-1], "measured": measured}


@ct.lattice
def workflow(edges: list[tuple[int, int]]) -> Any:
    """One electron, two devices."""
    return warm_up_then_measure(edges)


def main() -> None:
    """Dispatch the workflow, say what ran where and what it would cost, check it."""
    dispatch_id = ct.dispatch(workflow)(RING)
    print(f"Sent; to see how far it is: covalent-braket watch {dispatch_id}", flush=True)
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error
    found = result.result
    hybrid_job = history.job((dispatch_id, 0), local=True)
    tasks = Counter(task.device.rpartition("/")[2] for task in hybrid_job.quantum_tasks())
    cost = hybrid_job.cost().usd

    print("Quantum tasks           ", ", ".join(f"{n} on {name}" for name, n in tasks.items()))
    print(f"Expected cut on SV1      {found['expected']:.3f}")
    print("Mean cut on the QPU      {:.3f}, beside it {:.3f} and {:.3f}".format(*found["measured"]))
    print(f"On AWS it would cost     ${cost:.2f}")
    at_best, *beside = found["measured"]
    assert found["device"] == FORTE
    assert tasks["Forte-1"] == 3
    assert 3 < tasks["sv1"] <= 21
    assert abs(found["expected"] - 3) < 0.01, "the most that one layer can reach"
    assert at_best > 2.2, "3, but for the shots"
    assert at_best > max(beside), "the simulator's optimum is the QPU's"
    assert cost is not None
    assert 24 < cost < 30, "3 tasks of 100 shots on the QPU are nearly all of it"


if __name__ == "__main__":
    main()
