"""How long simulators ran, from the results that quantum tasks left in S3.

The service tells when a task was made and when it had ended; what is charged for is the time in
between that it ran, which only its ``results.json`` says (``simulatorMetadata.executionDuration``,
milliseconds; the Braket SDK's tracker reads it there). Who may not read the results gets the
time that passed, which is no less.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.costs.table import is_simulator
from covalent_braket_plugin.descriptions import QuantumTask
from covalent_braket_plugin.errors import AwsError

__all__ = ["measured"]

MOST_RESULTS = 200
"""So many results are read for one job; a variational loop may have made thousands."""
MOST_BYTES = 4 * 1024 * 1024
THREADS = 8


def measured(tasks: Sequence[QuantumTask], clients: Clients) -> list[QuantumTask]:
    """Fill in how long simulators ran, where their results can be read.

    Args:
        tasks: Quantum tasks; those on QPUs stay as they are, as do all after the first 200.
        clients: Who reads.
    """
    wanted = [t for t in tasks if is_simulator(t.device) and t.status == "COMPLETED" and t.output]
    wanted = wanted[:MOST_RESULTS]
    with ThreadPoolExecutor(THREADS) as pool:
        seconds = dict(
            zip(
                (task.arn for task in wanted),
                pool.map(lambda task: _seconds(task, clients), wanted),
                strict=True,
            )
        )
    return [replace(task, seconds=seconds.get(task.arn)) for task in tasks]


def _seconds(task: QuantumTask, clients: Clients) -> float | None:
    bucket, _, folder = task.output.removeprefix("s3://").partition("/")
    try:
        with translated("GetObject"):
            answer = clients.s3.get_object(Bucket=bucket, Key=f"{folder}/results.json")
            if answer["ContentLength"] > MOST_BYTES:
                return None
            return _duration(json.loads(answer["Body"].read()))
    except (AwsError, ValueError, RecursionError):  # not ours to read, gone, or no results
        return None


def _duration(results: Any) -> float | None:
    try:
        duration = results["additionalMetadata"]["simulatorMetadata"]["executionDuration"]
        return max(0.0, float(duration) / 1000)
    except (KeyError, TypeError, ValueError):
        return None
