"""A job's program that does what its hyperparameter ``do`` says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARAMETERS = json.loads(Path(os.environ["SM_INPUT_CONFIG_DIR"], "hyperparameters.json").read_text())
MODEL = Path(os.environ["SM_MODEL_DIR"])


def show(**values: object) -> None:
    print("SHOW " + json.dumps(values), flush=True)


def see() -> None:
    """Show what a job can see."""
    places = ["/opt/ml", "/opt/braket", "/opt/jobs/checkpoints"]
    show(
        arguments=sys.argv[1:],
        environment=dict(os.environ),
        directory=os.getcwd(),
        places=[place for place in places if os.path.isdir(place)],
        opt=os.listdir("/opt") if os.path.isdir("/opt") else [],
        resource=json.loads(
            Path(os.environ["SM_INPUT_CONFIG_DIR"], "resourceconfig.json").read_text()
        ),
    )


def sleep() -> None:
    show(pid=os.getpid())
    time.sleep(float(PARAMETERS.get("seconds", "60")))


def stubborn() -> None:
    """Ignore SIGTERM, and start a child that does too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    show(pid=os.getpid(), child=child.pid)
    time.sleep(300)


def leave_child() -> None:
    """End while a child still runs."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    show(child=child.pid)


def obey() -> None:
    """End in an orderly way on SIGTERM and leave a result."""

    def stop(*_: object) -> None:
        (MODEL / "stopped").write_text("in order")
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    show(pid=os.getpid())
    time.sleep(300)


def end() -> None:
    sys.exit(int(PARAMETERS["code"]))


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    if "leave" in PARAMETERS:
        (MODEL / "some").write_text("thing")
    Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text(PARAMETERS["text"])
    sys.exit(int(PARAMETERS.get("code", "1")))


def model() -> None:
    (MODEL / "results.json").write_text('{"x": 1}')
    (MODEL / "deep").mkdir()
    (MODEL / "deep" / "file").write_text("y")
    Path(os.environ["SM_OUTPUT_DATA_DIR"], "extra.txt").write_text("z")


def channels() -> None:
    top = Path(os.environ["SM_INPUT_DIR"], "data")
    show(
        files={
            str(path.relative_to(top)): path.read_text()
            for path in sorted(top.rglob("*"))
            if path.is_file()
        },
        config=json.loads(
            Path(os.environ["SM_INPUT_CONFIG_DIR"], "inputdataconfig.json").read_text()
        ),
    )


def checkpoint() -> None:
    """Show the restored checkpoints, write one, and go on for a while."""
    if os.environ["AMZN_BRAKET_CHECKPOINT_DIR"].startswith("/opt/braket/"):
        os.symlink("/opt/ml", "/opt/braket")
    directory = Path(os.environ["AMZN_BRAKET_CHECKPOINT_DIR"])
    show(found=sorted(path.name for path in directory.iterdir()), directory=str(directory))
    (directory / "new.json").write_text("new")
    time.sleep(float(PARAMETERS.get("seconds", "0")))
    (directory / "last.json").write_text("last")


def talk() -> None:
    """Write to both streams over a second, in lines and without an end."""
    for number in range(4):
        print(f"line {number}", flush=True)
        print(f"error {number}", file=sys.stderr, flush=True)
        time.sleep(0.3)
    print("no end", end="", flush=True)


def clock() -> None:
    """Tell the time, five times in a second."""
    for _ in range(5):
        print(f"time {time.time()}", flush=True)
        time.sleep(0.2)


def shout() -> None:
    """Write much at once."""
    print("x" * 700_000)
    print("\n".join(f"line {number}" for number in range(25_000)))


def metric() -> None:
    print("Metrics - timestamp=1; energy=-1.5; iteration_number=3;")


def leave_session() -> None:
    """Start a child in a session of its own, which ignores SIGTERM, and go on."""
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    show(ready=True)
    time.sleep(300)


def rewrite() -> None:
    """Rewrite a checkpoint without a pause, in changing sizes, until told to stop."""
    directory = Path(os.environ["AMZN_BRAKET_CHECKPOINT_DIR"])
    (directory / "quiet").write_text("x")
    show(ready=True)
    while True:
        with (directory / "restless").open("wb") as file:
            for _ in range(50):
                file.write(b"x" * 100_000)
                file.flush()


def chatter() -> None:
    """Write many short lines, all the time."""
    while True:
        print("\n".join(["word"] * 10_000))


def remove_model() -> None:
    MODEL.rmdir()
    PARAMETERS["text"] = "ValueError: mine"
    fail()


def lock_files() -> None:
    (MODEL / "deep").mkdir()
    (MODEL / "deep" / "file").write_text("x")
    (MODEL / "deep").chmod(0)


def leave_task() -> None:
    """Create a quantum task that takes long, and fail."""
    show(task=_long_task())
    sys.exit(1)


def hold_task() -> None:
    """Create a quantum task that takes long, and wait."""
    show(task=_long_task())
    time.sleep(60)


def _long_task() -> str:
    import boto3

    source = "OPENQASM 3.0; qubit[22] q; bit[22] b;"
    source += "".join(f"h q[{n % 22}]; cnot q[{n % 22}], q[{(n + 1) % 22}];" for n in range(400))
    header = {"name": "braket.ir.openqasm.program", "version": "1"}
    task = boto3.client("braket").create_quantum_task(
        deviceArn=os.environ["AMZN_BRAKET_DEVICE_ARN"],
        shots=10,
        outputS3Bucket=os.environ["AMZN_BRAKET_OUT_S3_BUCKET"],
        outputS3KeyPrefix="tasks",
        action=json.dumps({"braketSchemaHeader": header, "source": source, "inputs": {}}),
        jobToken=os.environ["AMZN_BRAKET_JOB_TOKEN"],
    )
    return str(task["quantumTaskArn"])


if __name__ == "__main__":
    globals()[PARAMETERS["do"]]()
