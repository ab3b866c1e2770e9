"""The history of jobs beside a real Covalent server: the same words, and values that it has."""

from __future__ import annotations

import json

import covalent as ct
import pytest

from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def half(number: float) -> float:
    return number / 2


def breaks(number: float) -> float:
    raise ValueError(f"{number} is not finite")


def test_what_s3_has_no_more_comes_from_covalent_and_a_failure_reads_the_same_in_both(
    stage: Stage,
) -> None:
    @ct.lattice
    def flow(number: float) -> float:
        executor = ct.executor.BraketExecutor(local=True)
        left = ct.electron(half, executor=executor)(number)
        return float(ct.electron(breaks, executor=executor)(left))

    dispatch_id = stage.dispatch(flow, 3.0)
    result = stage.result(dispatch_id)
    assert not [key for key in stage.objects_of(dispatch_id) if key.endswith(".tobj")]

    listed = json.loads(
        stage.command("jobs", "list", "--set=local=yes", "--json", "--dispatch", dispatch_id).stdout
    )
    assert [(job["electron"], job["status"]) for job in listed] == [
        ("breaks", "FAILED"),
        ("half", "COMPLETED"),
    ]
    nodes = {job["electron"]: job["node_id"] for job in listed}
    done = stage.command("jobs", "result", "--set=local=yes", f"{dispatch_id}:{nodes['half']}")
    assert (done.stdout, done.returncode) == ("1.5\n", 0), done.stderr

    shown = stage.command(
        "jobs", "show", "--set=local=yes", f"{dispatch_id}:{nodes['breaks']}", "--json"
    )
    assert json.loads(shown.stdout)["report"] == result.get_node_result(nodes["breaks"])["error"]
