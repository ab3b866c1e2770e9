"""Covalent's server is killed or stopped while jobs run, and started again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import covalent as ct
import pytest
from demo_server import _free_port

from tests.support.braket_server import eventually
from tests.support.restarts import Open, Theatre

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Open]:
    """Opens a Covalent server and a local Braket that are the test's alone."""
    opened: list[Theatre] = []

    def start(**options: Any) -> Theatre:
        opened.append(Theatre(tmp_path, **options))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def twice_when_told(mark: str, x: int) -> int:
    print(f"looking for {mark}", flush=True)
    while not Path(mark).exists():
        time.sleep(0.1)
    return 2 * x


def fan_out(executor: Any, width: int) -> Any:
    """A workflow of some electrons that wait for a file, and one that needs them all."""

    @ct.lattice(executor=executor, workflow_executor=executor)
    def flow(mark: str) -> Any:
        parts = [ct.electron(twice_when_told, executor=executor)(mark, x) for x in range(width)]
        return ct.electron(sum, executor=executor)(parts)

    return flow


def dispatch(theatre: Theatre, flow: Any, mark: Path, running: int) -> str:
    """Start a workflow; some of its jobs run then."""
    dispatch_id = theatre.stage.dispatch(flow, str(mark))
    jobs = theatre.jobs
    eventually(lambda: list(jobs(dispatch_id).values()).count("RUNNING") == running, 60)
    return dispatch_id


def looking_for(mark: Path, scene: Theatre, dispatch_id: str) -> int:
    """Count the electrons that have printed what they wait for."""
    result = scene.result(dispatch_id)
    texts = (str(result.get_node_result(node)["stdout"]) for node in (0, 3, 6))
    return sum(f"looking for {mark}\n" in text for text in texts)


def test_killed_server_that_starts_again_finishes_its_workflow_with_the_same_jobs(
    theatre: Open, tmp_path: Path
) -> None:
    scene = theatre(max_concurrent_jobs=2)
    mark = tmp_path / "go"
    executor = ct.executor.BraketExecutor(local=True, poll_freq=2)
    dispatch_id = dispatch(scene, fan_out(executor, 3), mark, running=2)
    before = set(scene.jobs(dispatch_id))
    scene.kill()
    scene.start()
    eventually(lambda: scene.log().count("is waited for again") == 2)
    eventually(lambda: "had not become a job: it is submitted now" in scene.log())
    # The log of a job that an earlier server made is followed from its beginning.
    eventually(lambda: looking_for(mark, scene, dispatch_id) == 2)
    mark.touch()
    assert scene.ended(dispatch_id).result == 6
    after = scene.jobs(dispatch_id)
    assert len(after) == 4
    assert before < set(after)
    assert set(after.values()) == {"COMPLETED"}


def test_where_reattach_is_off_a_command_does_it_and_kept_counters_do_no_harm(
    theatre: Open, tmp_path: Path
) -> None:
    scene = theatre(keeps_counters=True)
    mark = tmp_path / "go"
    executor = ct.executor.BraketExecutor(local=True, poll_freq=2, reattach=False)
    dispatch_id = dispatch(scene, fan_out(executor, 2), mark, running=2)
    scene.kill()
    scene.start()
    mark.touch()
    eventually(lambda: set(scene.jobs(dispatch_id).values()) == {"COMPLETED"})
    assert "is waited for again" not in scene.log()
    assert f"Dispatch {dispatch_id} is left: its setting `reattach` is off" in scene.log()
    told = scene.told("jobs", "reattach", "--no-wait")
    assert [each["dispatch_id"] for each in told["dispatches"]] == [dispatch_id]
    found = {row["found"] for row in told["electrons"] if row["electron"] == "sum"}
    assert found == {"waits for other electrons"}
    done = scene.command("jobs", "reattach", dispatch_id)
    assert done.returncode == 0, done.stderr
    assert f"Dispatch {dispatch_id} (flow): COMPLETED" in done.stdout
    assert scene.ended(dispatch_id).result == 2
    assert len(scene.jobs(dispatch_id)) == 3
    assert "No dispatch" in scene.command("jobs", "reattach").stdout


def test_stopped_server_leaves_or_cancels_jobs_as_told_and_says_which(
    theatre: Open, tmp_path: Path
) -> None:
    scene = theatre(max_concurrent_jobs=2)
    mark = tmp_path / "go"
    left, cancelled = (
        dispatch(
            scene,
            fan_out(ct.executor.BraketExecutor(local=True, poll_freq=2, on_stop=word), 1),
            mark,
            running=1,
        )
        for word in ("leave", "cancel")
    )
    patient = ct.executor.BraketExecutor(local=True, on_stop="cancel")
    waiting = dispatch(scene, fan_out(patient, 1), mark, running=0)
    eventually(lambda: "Waiting" in str(scene.result(waiting).get_node_result(0)["stdout"]))
    scene.interrupt()
    assert list(scene.jobs(left).values()) == ["RUNNING"]
    eventually(lambda: list(scene.jobs(cancelled).values()) == ["CANCELLED"])
    log = scene.log()
    for dispatch_id, words in ((left, "goes on"), (cancelled, "is cancelled")):
        (job,) = scene.stage.jobs_of(dispatch_id)
        (line,) = [line for line in log.splitlines() if words in line and dispatch_id in line]
        assert job["jobArn"] in line
        assert re.match(r"\[\d{4}-\S+ \S+\] \[WARNING\] ", line), line
    scene.start()
    mark.touch()
    assert scene.ended(left).result == 0
    assert str(scene.ended(cancelled).status) == "CANCELLED"
    assert str(scene.ended(waiting).status) == "CANCELLED"
    assert len(scene.jobs(left)) == 2
    assert scene.jobs(waiting) == {}
    assert len(scene.jobs(cancelled)) == 1


def test_electron_of_the_local_executor_goes_on_only_if_it_had_not_begun(
    theatre: Open, tmp_path: Path
) -> None:
    scene = theatre()
    executor = ct.executor.BraketExecutor(local=True)
    mark = tmp_path / "go"
    mark.touch()

    @ct.lattice
    def flow(there: str, later: str) -> Any:
        first = ct.electron(twice_when_told, executor=executor)(there, 1)
        return ct.electron(twice_when_told, executor="local")(later, first)

    runs, had_not_begun = (
        scene.stage.dispatch(flow, str(mark), str(tmp_path / "later")) for _ in range(2)
    )

    def last(dispatch_id: str) -> str:
        return str(scene.result(dispatch_id).get_node_result(3)["status"])

    eventually(lambda: {last(runs), last(had_not_begun)} == {"RUNNING"}, 60)
    scene.kill()
    scene.unbegin(had_not_begun, 3)
    (tmp_path / "later").touch()
    scene.start()
    assert scene.ended(had_not_begun).result == 4
    eventually(lambda: f"{runs}) runs on the executor 'local', which is not ours" in scene.log())
    assert last(runs) == "RUNNING"


def test_job_of_a_local_braket_that_is_gone_fails_its_electron_and_says_why(
    theatre: Open, tmp_path: Path
) -> None:
    scene = theatre()
    executor = ct.executor.BraketExecutor(local=True, poll_freq=2)
    dispatch_id = dispatch(scene, fan_out(executor, 1), tmp_path / "never", running=1)
    eventually(lambda: scene.handles() == 1)
    scene.kill()
    scene.braket.stop()
    scene.start()
    result = scene.ended(dispatch_id)
    assert str(result.status) == "FAILED"
    assert "gone" in str(result.get_node_result(0)["error"])


def test_second_server_on_the_same_database_leaves_the_jobs_of_the_first_alone(
    theatre: Open, tmp_path: Path
) -> None:
    scene = theatre()
    mark = tmp_path / "go"
    executor = ct.executor.BraketExecutor(local=True, poll_freq=2)
    dispatch_id = dispatch(scene, fan_out(executor, 1), mark, running=1)
    log = tmp_path / "second.log"
    program = str(Path(sys.modules["demo_server"].__file__ or "").resolve())
    with log.open("w") as output:
        second = subprocess.Popen(
            [sys.executable, program, str(_free_port())],
            env=scene.server.environment(os.environ),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "another Covalent server uses the same" in log.read_text(), 60)
    finally:
        second.kill()
        second.wait()
    mark.touch()
    assert scene.ended(dispatch_id).result == 0
    assert "waited for again" not in log.read_text() + scene.log()


def counts(most: int) -> list[int]:
    from covalent_braket_plugin import job

    found: list[int] = job.checkpoint.load(default=[])
    while len(found) < most:
        found.append(len(found))
        job.checkpoint.save(found)
        time.sleep(0.3)
    return found


def test_electron_goes_on_from_its_checkpoints_though_its_server_was_killed_between(
    theatre: Open,
) -> None:
    scene = theatre()
    executor = ct.executor.BraketExecutor(
        local=True, poll_freq=2, time_limit=4, resume_on={"time_limit"}
    )

    @ct.lattice(executor=executor, workflow_executor=executor)
    def flow(most: int) -> Any:
        return ct.electron(counts, executor=executor)(most)

    dispatch_id = scene.stage.dispatch(flow, 32)
    eventually(lambda: len(scene.jobs(dispatch_id)) == 2, 60)
    scene.kill()
    scene.start()
    result = scene.ended(dispatch_id)
    assert result.result == list(range(32)), result.error
    assert len(scene.jobs(dispatch_id)) > 2
