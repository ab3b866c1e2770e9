"""What an electron's quantum tasks may cost is kept in its own process, at the wire."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cloudpickle
import pytest

from covalent_braket_plugin.protocol import Budget, Counted, ErrorData, Manifest
from tests.support.braket_server import BraketServer
from tests.worker.conftest import Container, Make

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
EMERALD = "arn:aws:braket:eu-north-1::device/qpu/iqm/Emerald"
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
# Of each task of 100 shots on Garnet: 0.30 + 100 * 0.001 = 0.40. Three seconds on SV1: 0.03.
PRICES = {"eu-north-1/garnet": {"task": 0.3, "shot": 0.001}, "us-east-1/sv1": {"minute": 0.6}}


@pytest.fixture(autouse=True, scope="module")
def _functions_are_pickled_whole(request: pytest.FixtureRequest) -> None:
    cloudpickle.register_pickle_by_value(request.module)


def of(usd: float) -> Callable[[Manifest], Manifest]:
    """A manifest with so much for quantum tasks."""
    budget = Budget(usd, limit=usd + 0.5, instance=0.5, prices=PRICES)
    return lambda manifest: replace(manifest, budget=budget)


@pytest.fixture
def run(container: Make, local_braket: BraketServer) -> Callable[..., Container]:
    """Run a function with so many dollars, and count what it sends from then on."""

    def run(usd: float, function: Callable[..., Any], *args: Any) -> Container:
        job = container(function, *args, edit=of(usd))
        job.environment["S3_BUCKET"] = local_braket.info["bucket"]
        local_braket.reset_calls()
        job.run()
        return job

    return run


def sent(server: BraketServer) -> int:
    """How many quantum tasks were asked for."""
    return sum(each.get("braket:CreateQuantumTask", 0) for each in server.calls().values())


def error_of(job: Container) -> ErrorData:
    error = job.outcome().error
    assert error is not None
    return error


def create(region: str, device: str, shots: int = 100, **more: Any) -> str:
    """Make a quantum task with boto3."""
    import json

    import boto3

    source = "OPENQASM 3.0;\nqubit[1] q;\nbit[1] b;\nh q[0];\nb[0] = measure q[0];"
    header = {"name": "braket.ir.openqasm.program", "version": "1"}
    action = json.dumps({"braketSchemaHeader": header, "source": source, "inputs": {}})
    where = {"outputS3Bucket": os.environ["S3_BUCKET"], "outputS3KeyPrefix": "tasks"}
    braket = boto3.client("braket", region_name=region)
    answer = braket.create_quantum_task(
        deviceArn=device, shots=shots, action=action, **{**where, **more}
    )
    return str(answer["quantumTaskArn"])


def three_tasks() -> int:
    for _ in range(3):
        create("eu-north-1", GARNET)
    return 3


def test_the_task_that_would_cost_too_much_is_not_sent(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(1.19, three_tasks)  # two cost 0.80, three 1.20
    assert sent(local_braket) == 2
    assert job.outcome().status == "failed"
    error = error_of(job)
    assert error.type == "CostLimitError"
    assert error.phase == "electron"
    assert error.message == (
        "A task of 100 shots on Garnet was not sent: it costs $0.40 or more. Of max_cost=1.69 "
        "there are $1.19 for quantum tasks ($0.50 kept back for the instance), and $0.80 of "
        "that are spent or promised. Raise max_cost, or use fewer tasks or shots."
    )
    assert "three_tasks" in error.traceback
    assert "in create" in error.location  # the user's own line, not one of boto3's or of ours
    assert job.outcome().spent == Counted(0.8, 1.19, tasks=2, refused=1)


def test_what_fits_exactly_is_sent(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(1.2, three_tasks)
    assert job.outcome().status == "completed"
    assert sent(local_braket) == 3
    assert job.outcome().spent == Counted(1.2, 1.2, tasks=3)


def test_without_a_budget_nothing_is_counted(container: Make, local_braket: BraketServer) -> None:
    job = container(lambda: 1)
    job.run()
    assert job.outcome().spent is None
    stored = job.s3.get_object(Bucket=job.keys.bucket, Key=job.keys.outcome)["Body"].read()
    assert b"spent" not in stored


def catches() -> str:
    refused = 0
    for shots in (100, 1000, 100, 1):
        try:
            create("eu-north-1", GARNET, shots)
        except Exception:
            refused += 1
    return f"{refused} refused"


def test_who_catches_the_error_is_refused_all_the_same_and_stderr_says_it(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(1.0, catches)
    assert sent(local_braket) == 1
    outcome = job.outcome()
    assert outcome.status == "completed"
    assert outcome.spent == Counted(0.4, 1.0, tasks=1, refused=3)
    assert outcome.stderr.text.count("CostLimitError: A task of") == 3
    assert "another one was refused before" in outcome.stderr.text


def in_four_processes() -> list[str]:
    """Fork, and make a task in each at the same time."""
    import multiprocessing

    def attempt(barrier: Any, results: Any) -> None:
        barrier.wait()
        try:
            create("eu-north-1", GARNET)
            results.put("sent")
        except Exception as error:
            results.put(type(error).__name__)

    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(4), fork.Queue()
    children = [fork.Process(target=attempt, args=(barrier, results)) for _ in range(4)]
    for child in children:
        child.start()
    found = sorted(results.get(timeout=30) for _ in children)
    for child in children:
        child.join()
    return found


def test_forked_processes_share_the_one_budget(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    def check() -> None:
        assert in_four_processes() == ["CostLimitError", "CostLimitError", "sent", "sent"]

    job = run(0.9, check)
    assert job.outcome().status == "completed", job.outcome().error
    assert sent(local_braket) == 2


def starts_programs() -> None:
    """Make one task here, one in a new interpreter, and try one in a third."""
    import multiprocessing
    import subprocess
    import sys
    import tempfile
    from pathlib import Path

    create("eu-north-1", GARNET)
    plain = subprocess.run([sys.executable, "-c", ""], capture_output=True, text=True, check=True)
    assert plain.stderr == ""
    with tempfile.TemporaryDirectory() as folder:
        # A program of its own, and another sitecustomize: it is run, and may break.
        Path(folder, "sitecustomize.py").write_text("import builtins; builtins.seen = 1; broken()")
        os.environ["PYTHONPATH"] += os.pathsep + folder
        import cloudpickle

        Path(folder, "create.pkl").write_bytes(cloudpickle.dumps(create))
        code = f"""
import pickle, seen_check
create = pickle.load(open({folder + "/create.pkl"!r}, "rb"))
create("eu-north-1", {GARNET!r})
"""
        Path(folder, "seen_check.py").write_text("assert seen == 1")
        command = [sys.executable, "-c", code]
        ways = [subprocess.run(command, capture_output=True, text=True) for _ in range(2)]
    assert ways[0].returncode == 0, ways[0].stderr
    assert "CostLimitError" in ways[1].stderr, ways[1].stderr
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1) as pool:
        last = pool.apply(
            eval, ("__import__('botocore.handlers').handlers.BUILTIN_HANDLERS[-1][0]",)
        )
    assert last == "after-call.braket.GetQuantumTask"


def test_programs_that_it_starts_share_the_one_budget_too(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(0.9, starts_programs)
    assert job.outcome().status == "completed", job.outcome().error
    assert sent(local_braket) == 2
    assert job.outcome().spent == Counted(0.8, 0.9, tasks=2, refused=1)


def batches() -> None:
    from braket.aws import AwsDevice
    from braket.circuits import Circuit

    AwsDevice(SV1).run_batch(
        [Circuit().h(0)] * 3, (os.environ["S3_BUCKET"], "tasks"), shots=10, max_parallel=3
    )


def test_a_batch_of_the_sdk_is_cut_short(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(0.07, batches)
    assert sent(local_braket) == 2
    assert error_of(job).type == "CostLimitError"


def test_a_device_without_a_price_is_refused(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(100.0, create, "eu-north-1", EMERALD)
    assert sent(local_braket) == 0
    assert error_of(job).message.startswith(
        "No quantum task was sent to Emerald in eu-north-1: its price is not known"
    )


def a_wrong_request_and_then_a_right_one() -> None:
    from botocore.exceptions import ClientError

    try:
        create("eu-north-1", GARNET, outputS3Bucket="amazon-braket-nobody-has-this")
    except ClientError:
        create("eu-north-1", GARNET)


def test_a_task_that_the_service_refused_costs_nothing(run: Callable[..., Container]) -> None:
    job = run(0.4, a_wrong_request_and_then_a_right_one)
    assert job.outcome().status == "completed", job.outcome().error
    assert job.outcome().spent == Counted(0.4, 0.4, tasks=1)


def simulates(tasks: int) -> None:
    from braket.aws import AwsDevice
    from braket.circuits import Circuit

    device = AwsDevice(SV1)
    for _ in range(tasks):
        device.run(
            Circuit().h(0),
            shots=10,
            s3_destination_folder=(os.environ["S3_BUCKET"], "tasks"),
            poll_interval_seconds=0.05,
        ).result()


def test_on_a_simulator_each_task_of_the_sdk_costs_three_seconds_at_least(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(0.07, simulates, 3)
    assert sent(local_braket) == 2
    assert error_of(job).type == "CostLimitError"
    assert job.outcome().spent == Counted(0.06, 0.07, tasks=2, refused=1)


def differentiates() -> None:
    import pennylane as qml
    from pennylane import numpy as np

    device = qml.device(
        "braket.aws.qubit",
        wires=1,
        device_arn=SV1,
        shots=None,
        s3_destination_folder=(os.environ["S3_BUCKET"], "tasks"),
        poll_interval_seconds=0.05,
    )

    @qml.qnode(device, diff_method="parameter-shift")
    def circuit(t: Any) -> Any:
        qml.RX(t, wires=0)
        return qml.expval(qml.PauliZ(0))

    qml.grad(circuit)(np.array(0.3, requires_grad=True))


def test_pennylane_is_stopped_in_the_middle_of_a_gradient(
    run: Callable[..., Container], local_braket: BraketServer
) -> None:
    job = run(0.07, differentiates)  # the value and two shifted circuits: three tasks
    assert sent(local_braket) == 2
    assert error_of(job).type == "CostLimitError"


def dies() -> None:
    create("eu-north-1", GARNET)
    os.kill(os.getpid(), 9)


def test_what_was_counted_is_known_of_an_electron_that_was_killed(
    run: Callable[..., Container],
) -> None:
    job = run(1.0, dies)
    assert error_of(job).type == "Killed"
    assert job.outcome().spent == Counted(0.4, 1.0, tasks=1)
