"""A user's job script: reads its inputs, runs circuits on the job's device, saves results."""

import json
import os
import time
from pathlib import Path

from braket.aws import AwsDevice
from braket.circuits import Circuit, Observable
from braket.jobs import (
    get_checkpoint_dir,
    get_hyperparameters,
    get_input_data_dir,
    get_job_device_arn,
    get_job_name,
    save_job_checkpoint,
    save_job_result,
)
from braket.jobs.metrics import log_metric


def main() -> None:
    """Measure <Z> after a rotation, once per angle of the input file."""
    angles = json.loads((Path(get_input_data_dir("angles")) / "angles.json").read_text())
    scale = float(get_hyperparameters()["scale"])
    device = AwsDevice(get_job_device_arn())
    energies = []
    for step, angle in enumerate(angles):
        circuit = Circuit().rx(0, scale * angle).expectation(Observable.Z(), target=0)
        energies.append(float(device.run(circuit, shots=0).result().values[0]))
        log_metric("energy", energies[-1], iteration_number=step)
    print("measured", len(energies), "energies in", get_job_name())
    save_job_checkpoint({"energies": energies}, checkpoint_file_suffix="last")
    save_job_result(
        {
            "energies": energies,
            "checkpoint_dir": get_checkpoint_dir(),
            "has_token": "AMZN_BRAKET_JOB_TOKEN" in os.environ,
        }
    )


def fail() -> None:
    """End with an error."""
    raise ArithmeticError("no energy left")


def sleep() -> None:
    """Wait to be cancelled."""
    print("sleeping")
    time.sleep(120)
