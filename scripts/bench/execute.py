"""Case `execute`: one program on five local devices, against one."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.bench.report import Found, Rows, Target
from scripts.bench.stage import CaseError, Stage

FIVE = ("SV1", "DM1", "Garnet", "Forte-1", "Cepheus-1-108Q")
ROUNDS = 3
SHOTS = 1000
GHZ = "OPENQASM 3.0; qubit[10] q; h q[0]; for int i in [0:8] { cnot q[i], q[i+1]; }"
RATIO_TARGET = 4.0
"""One after the other would take five times as long as one."""
RETURN_TARGET_SECONDS = 3.0


def run(folder: Path, say: Callable[[str], None]) -> Found:
    """Run it in turns on one device and on five; compare how long they take."""
    with Stage(folder) as stage:
        os.environ["COVALENT_BRAKET_LOCAL_DIR"] = str(stage.server.local_braket)
        say("once before, for what is made only once")
        _seconds(stage, FIVE)
        one, five = [], []
        for number in range(ROUNDS):
            say(f"{number + 1} of {ROUNDS} rounds, on one device and on five")
            one.append(_seconds(stage, FIVE[:1]))
            five.append(_seconds(stage, FIVE))
    return _found(one, five)


def _seconds(stage: Stage, backends: Sequence[str]) -> tuple[float, float]:
    """How long until `execute` returned, and until all results were there.

    Raises:
        CaseError: A device failed, or measured what it should not.
    """
    from covalent_braket_plugin.execution import execute

    start = time.monotonic()
    job = execute(GHZ, list(backends), num_shots=SHOTS, server=stage.url, local=True, max_cost=None)
    sent = time.monotonic() - start
    result = job.result(300)
    if result.failed or any(set(each) != {"0" * 10, "1" * 10} for each in result.counts.values()):
        raise CaseError(f"Not all devices answered as they should: {result.failed}")
    return sent, time.monotonic() - start


def _found(one: list[tuple[float, float]], five: list[tuple[float, float]]) -> Found:
    alone, together = (statistics.median(took for _, took in each) for each in (one, five))
    slowest = max(sent for sent, _ in one + five)
    rows = [
        [name, *(f"{took:.2f}" for _, took in times), f"{middle:.2f}"]
        for name, times, middle in (("one", one, alone), ("five", five, together))
    ]
    columns = ["devices", *(f"round {number + 1}" for number in range(ROUNDS)), "median"]
    return Found(
        "execute",
        [Rows(f"10 qubits, {SHOTS} shots; seconds until all results are there", columns, rows)],
        [
            Target("five devices against one, times as long", together / alone, RATIO_TARGET),
            Target("until execute returns, seconds", slowest, RETURN_TARGET_SECONDS),
        ],
        notes=["Each job loads the Braket SDK: on few processors that is most of the time."],
        figures={"one": one, "five": five, "ratio": together / alone},
    )
