"""`job.current_device` and its neighbours with the unmodified Braket SDK and PennyLane."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pennylane as qml
import pytest
from braket.aws import AwsDevice
from braket.circuits import Circuit, Observable
from braket.devices import Devices, LocalSimulator

from covalent_braket_plugin import job
from covalent_braket_plugin.job.device import device_of
from tests.support.braket_server import SV1, BraketServer
from tests.support.quantum import FORTE, GARNET

PLUS = Circuit().h(0).expectation(Observable.X(), target=0)


@pytest.fixture
def device(aws: BraketServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has the job another device."""

    def change(name: str) -> None:
        monkeypatch.setenv("AMZN_BRAKET_DEVICE_ARN", name)

    monkeypatch.setenv("AMZN_BRAKET_JOB_NAME", "energy-1")
    monkeypatch.setenv("AMZN_BRAKET_TASK_RESULTS_S3_URI", f"s3://{aws.info['bucket']}/jobs/e/tasks")
    return change


@pytest.mark.parametrize("arn", [SV1, GARNET])
def test_a_real_device_is_the_jobs_own_and_results_go_where_the_jobs_go(
    aws: BraketServer, device: Any, arn: str
) -> None:
    device(arn)
    got = job.current_device()
    assert isinstance(got, AwsDevice)
    assert got.arn == arn
    task = got.run(Circuit().h(0), shots=5)
    assert len(task.result().measurements) == 5
    assert task.metadata()["outputS3Directory"].startswith("jobs/e/tasks/")


@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        ("local:braket/default", "StateVectorSimulator"),
        ("local:braket/braket_sv", "StateVectorSimulator"),
        ("local:braket/braket.sv", "StateVectorSimulator"),
        ("local:braket/braket_dm", "DensityMatrixSimulator"),
        ("local:braket/braket_ahs", "RydbergAtomSimulator"),
        ("local:none/none", "StateVectorSimulator"),
    ],
)
def test_a_local_device_is_brakets_local_simulator(device: Any, name: str, simulator: str) -> None:
    device(name)
    got = job.current_device()
    assert isinstance(got, LocalSimulator)
    assert got.name == simulator


def test_outside_a_job_there_is_a_local_simulator() -> None:
    assert job.current_device().run(PLUS).result().values == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("local:pennylane/lightning.qubit", r"provider 'pennylane'.*pennylane_device"),
        ("local:qiskit/aer", "provider 'qiskit'"),
        ("local:braket/braket_tn", r"no local simulator.*local:braket/braket_dm"),
    ],
)
def test_a_device_that_braket_does_not_know_is_refused(device: Any, name: str, words: str) -> None:
    device(name)
    with pytest.raises(ValueError, match=words):
        job.current_device()


@pytest.mark.parametrize("name", ["Garnet", "garnet", "GARNET"])
def test_a_name_of_the_sdks_own_list_is_a_device(aws: BraketServer, name: str) -> None:
    aws.reset_calls()
    assert device_of(name).arn == GARNET
    assert set(aws.calls()["other"]) == {"braket:GetDevice"}


def test_an_enum_and_a_name_with_other_signs_are_devices(aws: BraketServer) -> None:
    assert device_of(Devices.IonQ.Forte1).arn == device_of("forte 1").arn == FORTE


def test_a_retired_name_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(ValueError, match=r"'Lucy'.*Emerald, Forte-1"):
        device_of("Lucy")


def plus(device: Any) -> Any:
    @qml.qnode(device)
    def circuit() -> Any:
        qml.Hadamard(0)
        return qml.expval(qml.PauliX(0))

    return circuit()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (SV1, "braket.aws.qubit"),
        ("local:braket/default", "braket.local.qubit"),
        ("local:none/none", "braket.local.qubit"),
        ("local:pennylane/default.qubit", "default.qubit"),
    ],
)
def test_pennylane_has_the_same_device_and_is_exact_without_shots(
    device: Any, name: str, kind: str
) -> None:
    device(name)
    got = job.pennylane_device(1)
    assert got.name == kind
    assert float(plus(got)) == pytest.approx(1.0)


def test_pennylane_takes_a_thousand_shots_on_a_qpu_unless_told_otherwise(device: Any) -> None:
    device(GARNET)
    assert job.pennylane_device(1).shots.total_shots == 1000
    with pytest.warns(Warning, match="set_shots"):
        assert job.pennylane_device(1, shots=7).shots.total_shots == 7


def test_pennylane_runs_no_circuits_on_a_simulator_of_atoms(device: Any) -> None:
    device("local:braket/braket_ahs")
    with pytest.raises(ValueError, match="runs no circuits"):
        job.pennylane_device(1)


def test_without_sdk_and_pennylane_all_is_there_that_needs_neither(tmp_path: Path) -> None:
    # -I -S: no packages of others at all, as in an image that holds Python alone.
    code = f"""
import sys
sys.path.insert(0, {str(Path(job.__file__).parents[2])!r})
from covalent_braket_plugin import job
print(job.describe_environment())
job.log_metric("energy", 1)
job.update_status("fine")
print(job.hyperparameters(), job.run_with_retry(lambda: 7), job.run_parallel([lambda: 8]))
for call in (job.current_device, lambda: job.pennylane_device(1)):
    try:
        call()
    except ImportError as error:
        print("refused:", error)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "amazon-braket-sdk: not installed" in done.stdout
    assert "{} 7 [8]" in done.stdout
    sdk, pennylane = (line for line in done.stdout.splitlines() if line.startswith("refused"))
    assert "amazon-braket-sdk is not installed where this runs" in sdk
    assert "deps_pip=ct.DepsPip(packages=['amazon-braket-sdk'])" in sdk
    assert "pennylane is not installed where this runs" in pennylane
