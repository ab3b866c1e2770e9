"""One program on several devices: a real server, real jobs, real quantum tasks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from braket.devices import Devices

from covalent_braket_plugin import execution
from covalent_braket_plugin.errors import JobCancelledError, JobNotEndedError, UnknownJobError
from tests.support.braket_server import eventually
from tests.support.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

THREE = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[3];
creg c[2];
x q[0];
h q[2];
measure q[0] -> c[1];
measure q[2] -> c[0];
"""
"""Its bits are 01 and 11: the first is a coin, the second is 1."""

FIVE = ["SV1", Devices.Amazon.DM1, "IQM Garnet", Devices.IonQ.Forte1.value, "local:braket/default"]
NAMES = ["SV1", "DM1", "IQM-Garnet", "Forte-1", "local-default"]


@pytest.fixture(autouse=True)
def _the_same_local_braket(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handles look for jobs where the server has them made."""
    environment = stage.server.environment(os.environ)
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", environment["COVALENT_BRAKET_LOCAL_DIR"])


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "coin.qasm"
    path.write_text(THREE)
    return path


def test_five_devices_answer_one_program_as_it_is_written_and_every_process_sees_them(
    stage: Stage, program: Path
) -> None:
    job = execution.execute(
        program, FIVE, transpile=False, server=stage.url, local=True, max_cost=None
    )
    assert job.backends == NAMES
    with pytest.raises(JobNotEndedError, match="partial=True"):
        job.result(0)
    assert job.result(0, partial=True).answers == []
    result = job.result(150)
    assert (job.poll(0), result.failed, list(result.counts)) == ("COMPLETED", {}, NAMES)
    assert all(set(counts) == {"01", "11"} for counts in result.counts.values())
    assert all(sum(counts.values()) == 1000 for counts in result.counts.values())
    boxed = {each["backend"] for each in result.answers if "qpu" in each["device"]}
    assert boxed == {"IQM-Garnet", "Forte-1"}
    assert [job.device for job in job.jobs()] == [each["device"] for each in result.answers]

    assert job.name == "coin"
    job.rename("a coin: tossed")
    listed = json.loads(stage.command("executions", "list", "--limit", "1", "--json").stdout)
    assert listed == [
        {"id": job.id, "name": "a coin: tossed", "status": "COMPLETED", "backends": NAMES}
    ]
    picture = program.with_suffix(".svg")
    shown = stage.command("executions", "result", job.id[:8], "--json", "--plot", str(picture))
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["answers"] == result.answers
    assert picture.read_text().startswith("<?xml")


def test_what_some_devices_answer_is_there_though_others_fail(stage: Stage, program: Path) -> None:
    # IonQ's devices take 100 shots at least.
    sent = stage.command("execute", str(program), "-b", "local:braket/default", "-b", "forte-1",
                          "--shots", "10", "--set=local=yes",
                   "--set=max_cost=none", "--json")  # fmt: skip
    assert sent.returncode == 1, sent.stderr
    told = json.loads(sent.stdout)
    assert told["status"] == "FAILED"
    (counts,) = told["results"]
    assert sum(counts["value"].values()) == 10
    assert "Shots must be between 100 and" in told["failed"]["forte-1"]
    job = execution.ExecutionJob.from_id(told["id"][:10], stage.url)
    assert set(job.result(0).failed) == {"forte-1"}


def test_without_backends_a_simulator_without_credentials_runs_it_and_can_be_cancelled(
    stage: Stage, program: Path
) -> None:
    stage.braket.faults({"operation": "s3:GetObject", "kind": "hang", "caller": "job", "times": 0})
    try:
        job = execution.execute(program, server=stage.url)
        eventually(lambda: stage.jobs_of(job.id))
        (newest,) = execution.get_execution_jobs(limit=1, server=stage.url)
        assert (newest.id, newest.backends) == (job.id, ["local-default"])
        assert job.cancel()
    finally:
        stage.braket.faults()
    assert [each["status"] for each in stage.jobs_of(job.id)] == ["CANCELLED"]
    with pytest.raises(JobCancelledError):
        job.result(0)
    with pytest.raises(UnknownJobError, match="executions list"):
        execution.ExecutionJob.from_id("not-an-id", stage.url)
