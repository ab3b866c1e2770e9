"""Whole workflows: a real server, the real executor, real jobs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import covalent as ct
import pytest
from covalent._file_transfer.enums import Order
from covalent._file_transfer.strategies.shutil_strategy import Shutil

from tests.support.stage import Stage

pytestmark = pytest.mark.e2e


def completed(result: Any) -> Any:
    failed = [
        f"{node['node_name']}: {node['error']}\n{node['stderr']}"
        for node in result.get_all_node_results()
        if str(node["status"]) != "COMPLETED"
    ]
    assert str(result.status) == "COMPLETED", "\n".join(failed)
    return result.result


@ct.electron(executor="braket")
def add(x: Any, y: Any) -> Any:
    print(f"adding {x} and {y}")
    return x + y


@ct.electron(executor="braket")
def pair() -> tuple[int, int]:
    return 1, 2


@ct.electron(executor="braket")
def total(values: list[int], scale: dict[str, int]) -> int:
    return sum(values) * scale["by"]


@pytest.fixture(autouse=True, scope="module")
def _braket_is_local(stage: Stage) -> None:
    stage.configure(local="true")


def test_value_stdout_and_job_of_an_electron(stage: Stage) -> None:
    @ct.lattice
    def flow(x: int) -> Any:
        return add(x, y=2)

    dispatch_id = stage.dispatch(flow, 1)
    result = stage.result(dispatch_id)
    assert completed(result) == 3
    node = result.get_node_result(0)
    assert node["stdout"] == "adding 1 and 2\n"
    (job,) = stage.jobs_of(dispatch_id)
    assert job["status"] == "COMPLETED"
    assert job["jobName"].startswith("add-")
    assert job["tags"]["covalent:lattice"] == "flow"
    assert job["tags"]["covalent:node_id"] == "0"


def test_glue_never_becomes_a_job(stage: Stage) -> None:
    @ct.lattice
    def flow() -> Any:
        a, b = pair()
        indexed = pair()[1]
        attribute = add(1, 1).real
        return total([a, b, indexed], scale={"by": 10}), a, attribute

    stage.braket.reset_calls()
    dispatch_id = stage.dispatch(flow)
    assert completed(stage.result(dispatch_id)) == [50, 1, 2]
    assert len(stage.jobs_of(dispatch_id)) == 4
    assert stage.braket.calls()["dispatcher"]["braket:CreateJob"] == 4


def test_workflow_executor_braket_makes_no_jobs_of_its_own(stage: Stage) -> None:
    @ct.electron(executor="local")
    def one() -> int:
        return 1

    @ct.lattice(workflow_executor="braket")
    def flow() -> Any:
        return one() + 1

    dispatch_id = stage.dispatch(flow)
    assert completed(stage.result(dispatch_id)) == 2
    assert stage.jobs_of(dispatch_id) == []


def test_sublattice(stage: Stage) -> None:
    @ct.lattice
    def inner(x: int) -> Any:
        return add(x, 1)

    @ct.lattice(workflow_executor="braket")
    def outer(x: int) -> Any:
        return inner(add(x, 1))

    assert completed(stage.run(outer, 1)) == 3


def test_task_packing_makes_one_job_of_an_electron_and_its_glue(stage: Stage) -> None:
    @ct.lattice
    def flow() -> Any:
        a, b = pair()
        return total([a, b], scale={"by": 2})

    before = ct.get_config("sdk.task_packing")
    ct.set_config("sdk.task_packing", "true")
    try:
        dispatch_id = stage.dispatch(flow)
    finally:
        ct.set_config("sdk.task_packing", before)
    assert completed(stage.result(dispatch_id)) == 6
    assert len(stage.jobs_of(dispatch_id)) == 2


def test_redispatch_runs_only_what_is_new(stage: Stage) -> None:
    @ct.lattice
    def flow(x: int, y: int) -> Any:
        return add(add(x, 1), y)

    first = stage.dispatch(flow, 1, 1)
    assert completed(stage.result(first)) == 3
    again = ct.redispatch(first, dispatcher_addr=stage.url, reuse_previous_results=True)(1, 5)
    assert completed(stage.result(again)) == 7
    assert len(stage.jobs_of(again)) == 1


def test_redispatch_that_fails_again_ends_and_says_why(stage: Stage) -> None:
    @ct.lattice
    def flow(x: int) -> Any:
        return add(x, None)

    first = stage.dispatch(flow, 1)
    assert str(stage.result(first).status) == "FAILED"
    again = ct.redispatch(first, dispatcher_addr=stage.url, reuse_previous_results=True)(1)
    result = stage.result(again)
    assert str(result.status) == "FAILED"
    assert "Your code: add() failed in the electron: TypeError" in str(result.error)


def test_dependencies_and_hooks_run_inside_the_job(stage: Stage, tmp_path: Path) -> None:
    def before(number: int) -> int:
        return number * 2

    def after(path: str) -> None:
        Path(path).write_text(os.environ["AMZN_BRAKET_JOB_NAME"])

    mark, made = tmp_path / "after", tmp_path / "bash"

    @ct.electron(
        executor="braket",
        deps_bash=ct.DepsBash([f"echo made > {made}"]),
        deps_pip=ct.DepsPip(["pip"]),
        call_before=[ct.DepsCall(before, args=[21], retval_keyword="injected")],
        call_after=[ct.DepsCall(after, args=[str(mark)])],
    )
    def electron(injected: int = 0) -> int:
        return injected

    @ct.lattice
    def flow() -> Any:
        return electron()

    dispatch_id = stage.dispatch(flow)
    assert completed(stage.result(dispatch_id)) == 42
    assert made.read_text() == "made\n"
    assert mark.read_text() == stage.jobs_of(dispatch_id)[0]["jobName"]


def test_file_transfers(stage: Stage, tmp_path: Path) -> None:
    source, target, back = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt"
    source.write_text("hello")

    copying: Any = Shutil()  # type: ignore[no-untyped-call]

    @ct.electron(
        executor="braket",
        files=[
            ct.fs.FileTransfer(str(source), str(target), strategy=copying),
            ct.fs.FileTransfer(str(target), str(back), order=Order.AFTER, strategy=copying),
        ],
    )
    def shout(files: Any = None) -> str:
        text = target.read_text().upper()
        target.write_text(text)
        return text

    @ct.lattice
    def flow() -> Any:
        return shout()

    assert completed(stage.run(flow)) == "HELLO"
    assert back.read_text() == "HELLO"


def test_two_executors_of_one_workflow_keep_their_settings(stage: Stage) -> None:
    quick = ct.executor.BraketExecutor(
        local=True, time_limit=77, hyperparameters={"depth": "3"}, tags={"team": "a"}
    )
    other = ct.executor.BraketExecutor(local=True, classical_device="ml.m5.xlarge", storage=50)

    @ct.lattice
    def flow() -> Any:
        return [ct.electron(add.electron_object.function, executor=each)(1, 1)
                for each in (quick, other)]  # fmt: skip

    dispatch_id = stage.dispatch(flow)
    assert completed(stage.result(dispatch_id)) == [2, 2]
    jobs = [stage.job(job["jobArn"]) for job in stage.jobs_of(dispatch_id)]
    by_limit = {job["stoppingCondition"]["maxRuntimeInSeconds"]: job for job in jobs}
    assert set(by_limit) == {77, 300}
    assert by_limit[77]["hyperParameters"]["depth"] == "3"
    assert by_limit[77]["tags"]["team"] == "a"
    assert by_limit[300]["instanceConfig"]["instanceType"] == "ml.m5.xlarge"
    assert by_limit[300]["instanceConfig"]["volumeSizeInGb"] == 50


def test_simple_arguments_are_shown_under_the_names_of_their_parameters(stage: Stage) -> None:
    showing = ct.executor.BraketExecutor(
        local=True, log_arguments=True, hyperparameters={"depth": 3, "label": "7"}
    )

    @ct.electron(executor=showing)
    def energy(distance: float, label: str, offset: int, matrix: Any, depth: int = 1) -> Any:
        from covalent_braket_plugin import job

        return job.hyperparameters()

    @ct.lattice
    def flow(distance: float) -> Any:
        return energy(distance, "mine", add(1, 1), b"x", depth=9)

    dispatch_id = stage.dispatch(flow, 0.74)
    found = completed(stage.result(dispatch_id))
    assert found == {"depth": 3, "label": "7", "distance": 0.74, "offset": 2}
    job = stage.job(stage.jobs_of(dispatch_id)[-1]["jobArn"])
    assert job["hyperParameters"]["distance"] == "0.74"


def test_of_an_electron_only_its_outcome_is_left_in_s3(stage: Stage) -> None:
    @ct.lattice
    def flow() -> Any:
        return add(1, 1)

    dispatch_id = stage.dispatch(flow)
    completed(stage.result(dispatch_id))
    listed = stage.braket.client("s3").list_objects_v2(
        Bucket=stage.braket.info["bucket"], Prefix=f"covalent/{dispatch_id}/"
    )
    assert [each["Key"].rpartition("/")[2] for each in listed["Contents"]] == ["outcome.json"]


def test_keep_payload_leaves_it_there(stage: Stage) -> None:
    keeping = ct.executor.BraketExecutor(local=True, keep_payload=True, s3_prefix="kept/here")

    @ct.lattice
    def flow() -> Any:
        return ct.electron(add.electron_object.function, executor=keeping)(1, 1)

    dispatch_id = stage.dispatch(flow)
    completed(stage.result(dispatch_id))
    listed = stage.braket.client("s3").list_objects_v2(
        Bucket=stage.braket.info["bucket"], Prefix=f"kept/here/{dispatch_id}/"
    )
    names = {item["Key"].rpartition("/")[2] for item in listed["Contents"]}
    assert {"manifest.json", "payload.bin", "outcome.json", "value-0.tobj"} <= names
