"""The Braket SDK's hybrid jobs, unmodified: AwsQuantumJob and @hybrid_job."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from botocore.exceptions import ClientError
from braket.aws import AwsDevice, AwsQuantumJob, AwsSession
from braket.jobs import hybrid_job, load_job_checkpoint
from braket.jobs.config import StoppingCondition

from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.monitoring import logs
from covalent_braket_plugin.monitoring import metrics as metrics_of_log
from covalent_braket_plugin.settings import resolve
from tests.support.braket_server import BraketServer, eventually
from tests.support.quantum import FORTE, SV1

SCRIPT = str(Path(__file__).parent / "programs" / "energy.py")
POLL = {"poll_interval_seconds": 0.1}


@pytest.fixture
def angles(tmp_path: Path) -> str:
    """A local input file; the SDK uploads it."""
    path = tmp_path / "angles.json"
    path.write_text(json.dumps([0.0, 0.5, 1.0]))
    return str(path)


def create(aws: BraketServer, entry_point: str, device: str = SV1, **options: Any) -> AwsQuantumJob:
    return AwsQuantumJob.create(
        device=device,
        source_module=SCRIPT,
        entry_point=f"energy:{entry_point}",
        role_arn=aws.info["role_arn"],
        **options,
    )


def ended(job: AwsQuantumJob) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        metadata: dict[str, Any] = job.metadata()
        return metadata if metadata["status"] in AwsQuantumJob.TERMINAL_STATES else None

    return eventually(look, 60)


def metrics_table(job: AwsQuantumJob) -> pd.DataFrame:
    """What the plugin reads from the job's log, in the same environment."""
    clients = clients_for(resolve({}, {}, os.environ))
    stream = logs.job_log(clients, "/aws/braket/jobs", job.name, job.arn)
    return metrics_of_log.frame(logs.read_all(clients, "/aws/braket/jobs", stream))


def test_a_script_runs_as_a_job(
    aws: BraketServer, angles: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"hyperparameters": {"scale": 2}, "input_data": {"angles": angles}}
    job = create(aws, "main", tags={"who": "me"}, **options)
    result = job.result(**POLL)
    expected = [math.cos(2 * angle) for angle in (0.0, 0.5, 1.0)]
    assert job.state() == "COMPLETED"
    assert result["energies"] == pytest.approx(expected)
    assert result["has_token"]

    # Metrics come from the log, in the order of their steps.
    metrics = job.metrics()
    steps = sorted(zip(metrics["iteration_number"], metrics["energy"], strict=True))
    assert [energy for _, energy in steps] == pytest.approx(expected)
    # Ours are the same, to the last digit.
    ours = metrics_table(job).sort_values("iteration_number")
    assert list(zip(ours["iteration_number"], ours["value"], strict=True)) == steps
    assert sorted(ours["timestamp"].map(pd.Timestamp.timestamp)) == pytest.approx(
        sorted(metrics["timestamp"]), abs=1e-6
    )

    job.logs(wait=True, poll_interval_seconds=1)
    assert f"measured 3 energies in {job.name}" in capsys.readouterr().out

    metadata = job.metadata()
    assert metadata["tags"]["who"] == "me"
    assert metadata["billableDuration"] > 0
    assert job.queue_position().queue_position is None

    # Checkpoints were copied to the bucket while it ran; the tasks belong to the job.
    checkpoints = metadata["checkpointConfig"]["s3Uri"]
    assert any(key.endswith("_last.json") for key in keys(checkpoints))
    tasks = boto3.client("braket").search_quantum_tasks(
        filters=[{"name": "jobArn", "operator": "EQUAL", "values": [job.arn]}]
    )["quantumTasks"]
    assert len(tasks) == 3
    assert all(task["outputS3Directory"].startswith(f"jobs/{job.name}/tasks/") for task in tasks)


def test_a_job_goes_on_from_the_checkpoint_of_another(aws: BraketServer, angles: str) -> None:
    options: dict[str, Any] = {"hyperparameters": {"scale": 1}, "input_data": {"angles": angles}}
    first = create(aws, "main", **options)
    first.result(**POLL)
    name = first.name

    def resume() -> dict[str, Any]:
        found: dict[str, Any] = load_job_checkpoint(name, checkpoint_file_suffix="last")
        return found

    decorated = hybrid_job(device=None, copy_checkpoints_from_job=first.arn)(resume)
    assert decorated().result(**POLL)["energies"][0] == 1


@pytest.mark.slow  # the SDK looks every five seconds, three times
def test_waiting_for_a_job_shows_its_log(
    aws: BraketServer, angles: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"hyperparameters": {"scale": 1}, "input_data": {"angles": angles}}
    job = create(aws, "main", wait_until_complete=True, **options)
    assert job.state(use_cached_value=True) == "COMPLETED"
    assert f"measured 3 energies in {job.name}" in capsys.readouterr().out


def test_a_failed_job_says_why(aws: BraketServer) -> None:
    job = create(aws, "fail")
    metadata = ended(job)
    assert metadata["status"] == "FAILED"
    assert "ArithmeticError: no energy left" in metadata["failureReason"]
    assert job.result(**POLL) == {}


def test_a_running_job_can_be_cancelled(aws: BraketServer) -> None:
    job = create(aws, "sleep")
    eventually(lambda: job.state() == "RUNNING")
    job.cancel()
    assert ended(job)["status"] == "CANCELLED"
    with pytest.raises(ClientError, match="ConflictException"):
        job.cancel()


def test_a_qpu_runs_one_job_at_a_time_and_shows_its_queue(aws: BraketServer) -> None:
    first, second = create(aws, "sleep", FORTE), create(aws, "sleep", FORTE)
    eventually(lambda: first.state() == "RUNNING")
    assert second.state() == "QUEUED"
    assert second.queue_position().queue_position == "1"
    assert AwsDevice(FORTE).queue_depth().jobs == "1"
    second.cancel()
    assert second.state() == "CANCELLED"
    first.cancel()
    assert ended(first)["status"] == "CANCELLED"


def test_a_job_that_takes_too_long_is_stopped(aws: BraketServer) -> None:
    job = create(aws, "sleep", stopping_condition=StoppingCondition(maxRuntimeInSeconds=1))
    metadata = ended(job)
    assert "MAX_RUNTIME_EXCEEDED" in {event["eventType"] for event in metadata["events"]}


def test_a_function_becomes_a_job(aws: BraketServer) -> None:
    @hybrid_job(device=SV1)
    def bell(shots: int, note: str = "none") -> dict[str, Any]:
        from braket.aws import AwsDevice
        from braket.circuits import Circuit
        from braket.jobs import get_hyperparameters, get_job_device_arn

        result = (
            AwsDevice(get_job_device_arn()).run(Circuit().h(0).cnot(0, 1), shots=shots).result()
        )
        return {
            "counts": dict(result.measurement_counts),
            "logged": get_hyperparameters(),
            "note": note,
        }

    job = bell(50, note="from the test")
    result = job.result(**POLL)
    assert sum(result["counts"].values()) == 50
    assert set(result["counts"]) <= {"00", "11"}
    assert result["note"] == "from the test"
    assert result["logged"] == {"shots": "50", "note": "from the test"}


def test_a_function_runs_in_the_registered_image(aws: BraketServer) -> None:
    @hybrid_job(device=None, image_uri=aws.info["image_uri"], role_arn=aws.info["role_arn"])
    def double(x: int) -> int:
        return 2 * x

    assert double(21).result(**POLL) == {"result": 42}


def test_a_function_uses_pennylane_inside_its_job(aws: BraketServer) -> None:
    @hybrid_job(device=SV1)
    def slope(t: float) -> float:
        import pennylane as qml
        from braket.jobs import get_job_device_arn
        from pennylane import numpy as np

        device = qml.device(
            "braket.aws.qubit", wires=1, device_arn=get_job_device_arn(), shots=None
        )

        @qml.qnode(device, diff_method="device")
        def circuit(x: Any) -> Any:
            qml.RX(x, wires=0)
            return qml.expval(qml.PauliZ(0))

        return float(qml.grad(circuit)(np.array(t, requires_grad=True)))

    assert slope(0.3).result(**POLL)["result"] == pytest.approx(-math.sin(0.3), abs=1e-6)


def test_a_job_is_found_again_by_its_arn(aws: BraketServer) -> None:
    job = create(aws, "fail")
    again = AwsQuantumJob(job.arn, aws_session=AwsSession())
    assert ended(again)["jobName"] == job.name


def keys(uri: str) -> list[str]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for item in listed.get("Contents", ())]


def test_nothing_is_left_in_the_users_directory(aws: BraketServer, tmp_path: Path) -> None:
    @hybrid_job(device=None)
    def constant() -> int:
        return 1

    assert constant().result(**POLL) == {"result": 1}
    # The archive is the SDK's own habit; everything else would be ours.
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]
