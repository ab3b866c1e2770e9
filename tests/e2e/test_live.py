"""What is seen of an electron while its job runs, and at which cost in calls."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import covalent as ct
import pytest

from covalent_braket_plugin.job import update_status
from tests.support.braket_server import eventually
from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DESCRIBE, READ = "logs:DescribeLogStreams", "logs:GetLogEvents"


@pytest.fixture
def released(tmp_path: Path) -> Iterator[Path]:
    """Electrons that wait for this file end with the test at the latest."""
    file = tmp_path / "go"
    yield file
    file.touch()


def speaks(go: str, seconds: float = 90.0) -> str:
    """Print a line each half second, until it is released or the time is over."""
    end = time.monotonic() + seconds
    print("first line", flush=True)
    number = 0
    while time.monotonic() < end and not os.path.exists(go):
        time.sleep(0.5)
        number += 1
        update_status(f"step {number}")
        print(f"Metrics - timestamp={time.time()}; energy={-number / 10}; iteration_number=1;")
        print(f"line {number} é", flush=True)
    print("last line")
    return "done"


def keeps_silent(go: str) -> str:
    print("first line", flush=True)
    while not os.path.exists(go):
        time.sleep(0.1)
    return "done"


def breaks_down_once(go: str) -> str:
    import sys
    from pathlib import Path

    mark = Path(go + "-mark")
    if not mark.exists():
        mark.touch()
        print("first attempt", flush=True)
        time.sleep(6)
        os.kill(os.getppid(), signal.SIGKILL)
    print("second attempt", file=sys.stderr, flush=True)
    while not os.path.exists(go):
        time.sleep(0.1)
    return "done"


def talks_without_end(go: str) -> str:
    print("first line", flush=True)
    for number in range(6000):
        print(f"{number} " + 1000 * "x")
    print("newest line", flush=True)
    while not os.path.exists(go):
        time.sleep(0.1)
    return "done"


def one(function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    executor = ct.executor.BraketExecutor(local=True, **settings)

    @ct.lattice
    def flow() -> Any:
        return ct.electron(function, executor=executor)(*args)

    return flow


def stdout_of(stage: Stage, dispatch_id: str, node_id: int = 0) -> str:
    result = ct.get_result(dispatch_id, wait=False, dispatcher_addr=stage.url)
    return str(result.get_node_result(node_id)["stdout"] or "")


def told(stage: Stage, dispatch_id: str) -> dict[str, Any]:
    """What the server tells of a dispatch's first electron to those who watch."""
    url = f"{stage.url}/braket/api/dispatches/{dispatch_id}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        electron: dict[str, Any] = json.load(answer)["electrons"][0]
    return electron


def calls(stage: Stage) -> dict[str, int]:
    """Calls of the server since the last look."""
    found = stage.braket.calls().get("dispatcher", {})
    stage.braket.reset_calls()
    return found


def runs(stage: Stage, dispatch_id: str) -> None:
    """Wait until the job's first line is in its log."""
    (job,) = eventually(lambda: stage.jobs_of(dispatch_id), 30)
    eventually(lambda: stage.braket.log_lines(job["jobName"]), 30)


def test_lines_are_in_stdout_within_seconds_and_in_the_end_it_is_what_the_electron_printed(
    stage: Stage, released: Path
) -> None:
    calls(stage)
    dispatch_id = stage.dispatch(one(speaks, str(released)))
    runs(stage, dispatch_id)
    began = time.monotonic()
    eventually(lambda: "first line\n" in stdout_of(stage, dispatch_id), 5)
    eventually(lambda: "line 8 é\n" in stdout_of(stage, dispatch_id), 12)
    seconds = time.monotonic() - began
    made = calls(stage)
    assert made[DESCRIBE] == 1
    assert 2 <= made[READ] <= 2 + seconds / 2
    assert "braket:SearchQuantumTasks" not in made  # nobody watches
    electron = told(stage, dispatch_id)
    assert electron["phase"] == "running"
    assert electron["status_text"].startswith("step ")
    assert electron["last_line"].startswith("line ")
    assert electron["metrics"]["energy"][0][2] == -0.1
    # Now somebody does: what only closer looks tell is asked for, such as the cost.
    eventually(lambda: told(stage, dispatch_id)["cost_usd"], 15)
    released.touch()
    assert stage.result(dispatch_id).result == "done"
    printed = stdout_of(stage, dispatch_id)
    assert printed.startswith("first line\nStatus - ")
    assert printed.endswith("last line\n")
    electron = told(stage, dispatch_id)
    assert (electron["phase"], electron["last_line"]) == ("completed", "last line")
    assert len(electron["metrics"]["energy"]) == printed.count("Metrics - ")
    assert [name for name, _ in electron["history"]][:3] == ["staging", "waiting", "queued"]


def size_of_input() -> int:
    from covalent_braket_plugin import job

    return sum(file.stat().st_size for file in job.input_dir("large").iterdir())


def test_an_upload_of_input_data_is_followed_in_stdout_and_on_the_live_page(
    stage: Stage, tmp_path: Path
) -> None:
    source = tmp_path / "large"
    source.write_bytes(bytes(80_000_000) + os.urandom(16))
    slow = {"operation": "s3:UploadPart", "kind": "slow", "seconds": 1.5, "times": 0}
    stage.braket.faults(slow)
    dispatch_id = stage.dispatch(one(size_of_input, input_data={"large": source}))
    words = "Uploading input data 'large': "
    eventually(lambda: words in stdout_of(stage, dispatch_id))
    electron = told(stage, dispatch_id)
    assert electron["phase"] == "staging"
    assert electron["note"].startswith(words)
    assert electron["note"].endswith(" MB of 80.0 MB")
    stage.braket.faults()
    assert stage.result(dispatch_id).result == 80_000_016


def test_a_stdout_that_changes_while_it_is_fetched_arrives_whole(stage: Stage) -> None:
    done = stage.run(one(print, "something"))
    key = f"{done.dispatch_id}/node_0/stdout.log"
    (file,) = stage.server.folder.rglob(key)
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            for text in (b"x" * 200_000, b"", b"y" * 100_000):
                file.write_bytes(text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            with urllib.request.urlopen(f"{stage.url}/api/v0/files/{key}", timeout=10) as answer:
                answer.read()  # raises if the answer breaks off
    finally:
        over.set()
        writer.join()


def test_server_log_tells_each_phase_and_how_long_the_one_before_lasted(stage: Stage) -> None:
    dispatch_id = stage.dispatch(one(abs, -1))
    stage.result(dispatch_id)
    (job,) = stage.jobs_of(dispatch_id)
    lines = [line for line in stage.server.log.read_text().splitlines() if job["jobName"] in line]
    said = [line.partition(f"{job['jobName']} is ")[2] for line in lines if " is " in line]
    assert said[0].startswith("queued after ")
    assert said[0].endswith(" s waiting")
    assert said[-1].startswith("completed after ")
    assert said[-1].endswith(" s collecting")


def test_short_job_costs_no_call_for_its_log(stage: Stage) -> None:
    calls(stage)
    assert stage.run(one(abs, -1)).result == 1
    assert not {DESCRIBE, READ} & set(calls(stage))


def test_silent_job_is_asked_about_ever_more_rarely(stage: Stage, released: Path) -> None:
    dispatch_id = stage.dispatch(one(keeps_silent, str(released)))
    runs(stage, dispatch_id)
    eventually(lambda: "first line\n" in stdout_of(stage, dispatch_id), 5)
    calls(stage)
    time.sleep(15)
    assert calls(stage)[READ] <= 4  # after 2, 3, 4.5 and 6.75 seconds


def test_next_attempts_log_follows_the_one_before_with_a_line_that_says_so(
    stage: Stage, released: Path
) -> None:
    dispatch_id = stage.dispatch(one(breaks_down_once, str(released), retries=1))
    eventually(lambda: "first attempt\n" in stdout_of(stage, dispatch_id), 30)
    eventually(lambda: "second attempt\n" in stdout_of(stage, dispatch_id), 30)
    text = stdout_of(stage, dispatch_id)
    before, _, after = text.partition("[Attempt 1 of 2 failed: ")
    assert "first attempt\n" in before
    assert " Attempt 2:]\n" in after.partition("second attempt\n")[0]
    assert told(stage, dispatch_id)["attempt"] == 2
    released.touch()
    assert stage.result(dispatch_id).result == "done"
    # It printed nothing to stdout: what came from the log gives way all the same.
    assert stdout_of(stage, dispatch_id) == ""


def test_of_an_endless_log_the_first_megabytes_are_kept_and_the_newest_line_is_known(
    stage: Stage, released: Path
) -> None:
    dispatch_id = stage.dispatch(one(talks_without_end, str(released)))
    eventually(lambda: "[The live log ends here" in stdout_of(stage, dispatch_id), 60)
    assert len(stdout_of(stage, dispatch_id)) < 4.1 * 1024 * 1024
    eventually(lambda: told(stage, dispatch_id)["last_line"] == "newest line", 30)
    released.touch()
    assert stage.result(dispatch_id).result == "done"
    assert stdout_of(stage, dispatch_id).endswith("\nnewest line\n")


def test_who_may_not_read_logs_is_told_once_and_nothing_else_changes(
    stage: Stage, released: Path
) -> None:
    refused = {"kind": "error", "code": "AccessDeniedException", "status": 403, "times": 100}
    stage.braket.faults({"operation": "logs:*", "caller": "dispatcher", **refused})
    calls(stage)
    # A region of its own: after a refusal nothing is asked in it for half an hour.
    flow = one(speaks, str(released), region="us-west-2")
    dispatch_ids = [stage.dispatch(flow) for _ in range(2)]
    warning = "Logs of running jobs are not shown: "
    eventually(lambda: warning in stage.server.log.read_text(), 30)
    time.sleep(6)
    made = calls(stage)
    released.touch()
    stage.braket.faults()
    for dispatch_id in dispatch_ids:
        assert stage.result(dispatch_id).result == "done"
        assert stdout_of(stage, dispatch_id).endswith("last line\n")
    assert made[DESCRIBE] <= 2
    assert READ not in made
    assert stage.server.log.read_text().count(warning) == 1
