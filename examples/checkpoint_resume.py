"""An optimisation that its time limit cuts off twice, and that ends as if nothing had happened.

    python examples/checkpoint_resume.py     (with a Covalent server running: covalent start)

After each step the electron saves all that the next one needs, the state of its random numbers
included. `resume_on` lets a further job go on from there; on AWS so does work that is longer than
the five days that a job may run. A second electron does the same in one go, for comparison.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any

import covalent as ct

from covalent_braket_plugin import job
from covalent_braket_plugin.braket import BraketExecutor

# The Hamiltonian of H2, nuclear repulsion included; the quickstart says where it comes from.
H2 = {"II": -0.33995362, "ZI": 0.39398368, "IZ": -0.39398368, "ZZ": -0.01123659, "XX": 0.18128881}
EXACT = H2["II"] - H2["ZZ"] - math.hypot(H2["ZI"] - H2["IZ"], H2["XX"])
STEPS, RATE, START = 30, 1.5, [0.8, -0.8, 0.8]

in_one_go = BraketExecutor(local=True, quantum_device="none")
in_parts = BraketExecutor(
    local=True, quantum_device="none", time_limit=12, resume_on=["time_limit"], resumes=5
)


def energy(angles: list[float]) -> float:
    """The energy of X(0), RY(a, 0), RY(b, 1), CNOT(1, 0), RY(c, 1) on |00>.

    Its four amplitudes are real, and quickly computed; elsewhere `job.current_device()` does it.
    """
    (c0, s0), (c1, s1), (c, s) = ((math.cos(x / 2), math.sin(x / 2)) for x in angles)
    a00, a01, a10, a11 = -s0 * c1, c0 * s1, c0 * c1, -s0 * s1  # the control is qubit 1
    a00, a01, a10, a11 = c * a00 - s * a01, s * a00 + c * a01, c * a10 - s * a11, s * a10 + c * a11
    p00, p01, p10, p11 = a00**2, a01**2, a10**2, a11**2
    z0, z1, zz = p00 + p01 - p10 - p11, p00 - p01 + p10 - p11, p00 - p01 - p10 + p11
    xx = 2 * (a00 * a11 + a01 * a10)
    return H2["II"] + H2["ZI"] * z0 + H2["IZ"] * z1 + H2["ZZ"] * zz + H2["XX"] * xx


def optimise(steps: int, slow_jobs: int) -> dict[str, Any]:
    """Find the ground state of H2 by SPSA, which walks along directions that it draws.

    Args:
        steps: How many steps.
        slow_jobs: In so many jobs each step takes a while, as with a device that has a queue.
    """
    draw = random.Random(7)
    state = job.checkpoint.load(default={"angles": START, "energies": [], "jobs": []})
    if state["jobs"]:
        draw.setstate(state["draw"])
    state["jobs"].append(job.context().job_name)
    for step in range(len(state["energies"]), steps):
        state["draw"] = draw.getstate()
        job.checkpoint.save(state)
        if job.should_stop():  # soon this job will be over its time limit: the next one goes on
            job.stop(f"{step} of {steps} steps are done and saved")
        way = [draw.choice((-0.1, 0.1)) for _ in state["angles"]]
        ahead = energy([angle + by for angle, by in zip(state["angles"], way, strict=True)])
        behind = energy([angle - by for angle, by in zip(state["angles"], way, strict=True)])
        slope = RATE * (ahead - behind) / 0.1
        state["angles"] = [x - slope * by for x, by in zip(state["angles"], way, strict=True)]
        state["energies"].append(energy(state["angles"]))
        job.log_metric("energy", state["energies"][-1], iteration=step)
        if len(state["jobs"]) <= slow_jobs:
            time.sleep(1)
    return dict(state)


@ct.electron(executor=in_parts)
def cut_off(steps: int) -> dict[str, Any]:
    """Take so long that the time limit comes before the end, twice."""
    return optimise(steps, slow_jobs=2)


@ct.electron(executor=in_one_go)
def whole(steps: int) -> dict[str, Any]:
    """The same, not cut off."""
    return optimise(steps, slow_jobs=0)


@ct.lattice
def workflow(steps: int) -> Any:
    """Both, side by side."""
    return cut_off(steps), whole(steps)


def main() -> None:
    """Dispatch the workflow, say what both have found, check that it is the same."""
    dispatch_id = ct.dispatch(workflow)(STEPS)
    print(f"Sent; to see how far it is: covalent-braket watch {dispatch_id}", flush=True)
    result = ct.get_result(dispatch_id, wait=True)
    assert result.status == "COMPLETED", result.error
    cut, uncut = result.result

    print("Jobs in which it was done   ", ", ".join(cut["jobs"]))
    print(f"Energy, cut off and whole    {cut['energies'][-1]:.6f} and {uncut['energies'][-1]:.6f}")
    print(f"Exact                        {EXACT:.6f}")
    assert len(cut["jobs"]) == 3, "it was cut off twice"
    assert len(uncut["jobs"]) == 1
    assert cut["energies"] == uncut["energies"], "to the last bit, as if it had not been cut off"
    assert len(cut["energies"]) == STEPS
    assert abs(cut["energies"][-1] - EXACT) < 0.002


if __name__ == "__main__":
    main()
