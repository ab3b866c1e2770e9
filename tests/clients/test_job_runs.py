"""`job.run_parallel`, `run_with_retry` and `run_with_fallback` against faults on the wire."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import pennylane as qml
import pytest
from botocore.exceptions import ClientError
from braket.aws import AwsDevice
from braket.circuits import Circuit, FreeParameter, Observable
from braket.circuits.serialization import IRType
from braket.devices import LocalSimulator

from covalent_braket_plugin import job
from covalent_braket_plugin.errors import NoDeviceError, ParallelError, QuantumTaskError
from covalent_braket_plugin.execution.electron import runner
from covalent_braket_plugin.execution.programs import Program
from tests.support.braket_server import SV1, BraketServer
from tests.support.quantum import DM1, GARNET

QUOTA = {"kind": "error", "code": "ServiceQuotaExceededException", "status": 402}
OFFLINE = {"kind": "error", "code": "DeviceOfflineException", "status": 424}
CREATE = "CreateQuantumTask"


@pytest.fixture(autouse=True)
def _one_attempt_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore would hide faults by its own attempts."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def turned(angle: float) -> Circuit:
    return Circuit().rx(0, angle).expectation(Observable.Z(), target=0)


ANGLES = [n / 10 for n in range(12)]
CIRCUITS = [turned(angle) for angle in ANGLES]
COSINES = pytest.approx([math.cos(angle) for angle in ANGLES])


def values(results: list[Any]) -> list[float]:
    return [result.values[0] for result in results]


def made(server: BraketServer) -> int:
    """How many quantum tasks there are."""
    pages = server.client("braket").get_paginator("search_quantum_tasks").paginate(filters=[])
    return sum(len(page["quantumTasks"]) for page in pages)


@pytest.fixture
def count(aws: BraketServer) -> Callable[[], int]:
    """Counts the quantum tasks that the test has made."""
    before = made(aws)
    return lambda: made(aws) - before


def test_results_come_in_order_and_each_circuit_runs_once(
    sv1: AwsDevice, count: Callable[[], int]
) -> None:
    assert values(job.run_parallel(CIRCUITS, device=sv1, max_workers=4)) == COSINES
    assert count() == len(CIRCUITS)


def test_a_local_simulator_runs_them_too() -> None:
    assert values(job.run_parallel(CIRCUITS)) == COSINES
    shots = job.run_parallel([Circuit().x(0)] * 3, shots=4, device=LocalSimulator())
    assert [each.measurement_counts for each in shots] == [{"1": 4}] * 3


def test_circuits_of_pennylane_run_at_once_as_functions(
    aws: BraketServer, monkeypatch: pytest.MonkeyPatch, count: Callable[[], int]
) -> None:
    monkeypatch.setenv("AMZN_BRAKET_DEVICE_ARN", SV1)

    @qml.qnode(job.pennylane_device(1))
    def cosine(angle: float) -> Any:
        qml.RX(angle, wires=0)
        return qml.expval(qml.PauliZ(0))

    got = job.run_parallel([partial(cosine, angle) for angle in ANGLES], max_workers=6)
    assert list(map(float, got)) == COSINES
    assert count() == len(ANGLES)


def test_openqasm_as_text_is_run() -> None:
    text = (
        "OPENQASM 3.0; input float t; qubit[1] q; rx(t) q[0];\n"
        "#pragma braket result expectation z(q[0])"
    )
    assert values(job.run_parallel([text], inputs={"t": 0.3})) == pytest.approx([math.cos(0.3)])


def test_a_local_simulator_runs_large_circuits_one_after_the_other() -> None:
    # It would end the whole process if two of its circuits ran at once in threads.
    wide = Circuit().h(range(16)).rx(range(16), 0.3).expectation(Observable.X(), 0)
    assert values(job.run_parallel([wide] * 4)) == pytest.approx([1.0] * 4)
    calls = [lambda: LocalSimulator().run(wide).result()] * 4
    assert values(job.run_parallel(calls)) == pytest.approx([1.0] * 4)


def test_functions_need_no_device_and_no_more_run_at_once_than_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AMZN_BRAKET_DEVICE_ARN", SV1)
    running, most, lock = 0, 0, threading.Lock()

    def one(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return number

    assert job.run_parallel([partial(one, n) for n in range(9)], max_workers=3) == list(range(9))
    assert most == 3


@pytest.mark.parametrize("rule", [{"kind": "throttle"}, QUOTA], ids=["throttled", "quota"])
def test_refused_tasks_are_asked_for_again_until_all_have_run(
    aws: BraketServer, sv1: AwsDevice, count: Callable[[], int], rule: dict[str, Any]
) -> None:
    aws.faults({"operation": CREATE, "times": 10, **rule})
    results = job.run_parallel(CIRCUITS, device=sv1, max_workers=6, base_seconds=0.02)
    assert values(results) == COSINES
    assert count() == len(CIRCUITS)


def test_a_lost_answer_makes_no_second_task(
    aws: BraketServer, sv1: AwsDevice, count: Callable[[], int]
) -> None:
    lost = {"operation": CREATE, "times": 3, "after": True}
    aws.faults(
        {"kind": "drop", **lost},
        {**QUOTA, **lost, "code": "InternalServiceException", "status": 500},
    )
    results = job.run_parallel(CIRCUITS, device=sv1, max_workers=3, base_seconds=0.02)
    assert values(results) == COSINES
    assert count() == len(CIRCUITS)


def test_what_others_gave_is_not_lost_when_some_fail(
    sv1: AwsDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AMZN_BRAKET_TASK_RESULTS_S3_URI", f"s3://{sv1.aws_session.default_bucket()}/t"
    )
    ends_failed = Circuit().bit_flip(0, 0.1).probability()
    invalid = Circuit().rx(0, FreeParameter("t"))
    with pytest.raises(ParallelError) as failed:
        job.run_parallel([turned(0.3), ends_failed, invalid, turned(0.4)], device=sv1)
    first, second, third, fourth = failed.value.results
    assert (second, third) == (None, None)
    assert values([first, fourth]) == pytest.approx([math.cos(0.3), math.cos(0.4)])
    assert isinstance(failed.value.errors[1], QuantumTaskError)
    assert "Noise instructions" in str(failed.value.errors[1])
    assert isinstance(failed.value.errors[2], ValueError)
    assert "2 of 4 circuits failed (number 1: QuantumTaskError" in str(failed.value)
    assert "/t." in str(failed.value)
    assert failed.value.__cause__ is failed.value.errors[1]


def test_a_quota_that_stays_used_up_ends_it(aws: BraketServer, sv1: AwsDevice) -> None:
    aws.faults({"operation": CREATE, "times": 0, **QUOTA})
    with pytest.raises(ParallelError, match="ServiceQuotaExceeded"):
        job.run_parallel(CIRCUITS[:2], device=sv1, base_seconds=0.001)
    (rule,) = aws.control("GET", "faults")["faults"]
    assert rule["used"] >= 8


def test_a_function_whose_task_was_refused_is_called_again_and_no_other(
    aws: BraketServer, sv1: AwsDevice, count: Callable[[], int]
) -> None:
    aws.faults({"operation": CREATE, **QUOTA})
    calls = [lambda: sv1.run(turned(0.3), shots=0).result()]
    assert values(job.run_parallel(calls, base_seconds=0.01)) == pytest.approx([math.cos(0.3)])
    assert count() == 1
    aws.faults({"operation": CREATE, "kind": "drop", "after": True})
    with pytest.raises(ParallelError):
        job.run_parallel(calls, base_seconds=0.01)
    assert count() == 2


@pytest.mark.parametrize("most", [0, -1])
def test_no_workers_are_refused(most: int) -> None:
    with pytest.raises(ValueError, match=f"max_workers={most} is not valid"):
        job.run_parallel([], max_workers=most)


# --- retry --------------------------------------------------------------------------------------


def get_device() -> Any:
    return boto3.client("braket").get_device(deviceArn=SV1)["deviceName"]


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "throttle"},
        {"kind": "error", "code": "InternalServiceException", "status": 500},
        {"kind": "error", "code": "SomethingNew", "status": 503},
        QUOTA,
        {"kind": "drop"},
    ],
    ids=str,
)
def test_what_passes_by_itself_is_tried_again(
    aws: BraketServer, rule: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.faults({"operation": "GetDevice", "times": 2, **rule})
    assert job.run_with_retry(get_device, base_seconds=0.01) == "SV1"
    assert "Attempt 2 of 3 failed, again in 0.0 s" in capsys.readouterr().err


def test_nobody_there_is_tried_again_and_then_raised(
    aws: BraketServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Exception, match="Could not connect"):
        job.run_with_retry(get_device, attempts=2, base_seconds=0.01)
    assert capsys.readouterr().err.count("Attempt") == 1


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ValidationException", 400),
        ("AccessDeniedException", 403),
        ("DeviceOfflineException", 424),
        ("ResourceNotFoundException", 404),
    ],
)
def test_what_does_not_pass_is_raised_at_once(aws: BraketServer, code: str, status: int) -> None:
    rule = {"kind": "error", "code": code, "status": status}
    aws.faults({"operation": "GetDevice", **rule})
    with pytest.raises(ClientError, match=code):
        job.run_with_retry(get_device, base_seconds=60)


@pytest.mark.parametrize("error", [ValueError("mine"), KeyError("x"), OSError("no file")])
def test_errors_of_ones_own_code_are_raised_at_once(error: Exception) -> None:
    def call() -> None:
        raise error

    with pytest.raises(type(error)):
        job.run_with_retry(call, base_seconds=60)


# --- fallback -----------------------------------------------------------------------------------


def test_the_first_device_that_is_there_runs_it(
    aws: BraketServer, set_status: Callable[[str, str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(GARNET, "OFFLINE")
    got = job.run_with_fallback(turned(0.3), [GARNET, "sv1", DM1])
    assert got.result.values == pytest.approx([math.cos(0.3)])
    assert got.device_arn == SV1
    assert got.tried == {GARNET: "it is OFFLINE"}
    said = capsys.readouterr().out
    assert f"{GARNET} is not used: it is OFFLINE\n" in said
    assert "fallback=1.0;" in said
    assert f'"{GARNET} is not used: it is OFFLINE"' in said


def test_a_device_that_goes_offline_in_between_is_passed_over(aws: BraketServer) -> None:
    aws.faults({"operation": CREATE, **OFFLINE})
    got = job.run_with_fallback(turned(0.3), [AwsDevice(SV1), DM1])
    assert got.device_arn == DM1
    assert "DeviceOfflineException" in got.tried[SV1]


def test_a_local_simulator_may_be_the_last_resort(aws: BraketServer) -> None:
    aws.faults({"operation": "GetDevice", "times": 0, "kind": "throttle"})
    local = "local:braket/braket_sv"
    got = job.run_with_fallback(turned(0.3), [SV1, local], attempts=2, base_seconds=0.01)
    assert (got.device_arn, list(got.tried)) == (local, [SV1])


def test_what_is_not_valid_is_tried_on_no_other_device(
    aws: BraketServer, count: Callable[[], int]
) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        job.run_with_fallback(Circuit().h(0), [SV1, DM1], shots=60_000)
    with pytest.raises(QuantumTaskError, match="Noise instructions"):
        job.run_with_fallback(Circuit().bit_flip(0, 0.1).probability(), [SV1, DM1], shots=0)
    assert count() == 1


def test_an_execution_says_why_its_quantum_task_failed(
    aws: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMZN_BRAKET_DEVICE_ARN", SV1)
    noisy = Circuit().bit_flip(0, 0.1).probability().to_ir(IRType.OPENQASM).source
    program = Program(source=noisy, verbatim="", qubits=1, measured=())
    with pytest.raises(QuantumTaskError, match="Noise instructions"):
        runner("SV1", program, 0, True)(noisy)


def test_if_no_device_is_there_each_is_named_with_its_reason(
    set_status: Callable[[str, str], Any],
) -> None:
    set_status(GARNET, "RETIRED")
    set_status(SV1, "OFFLINE")
    with pytest.raises(NoDeviceError) as refused:
        job.run_with_fallback(turned(0.3), ["Garnet", SV1])
    assert str(refused.value) == (
        f"None of 2 devices could be used. Garnet: it is RETIRED; {SV1}: it is OFFLINE"
    )


def test_a_fallback_makes_no_second_task_after_a_lost_answer(
    aws: BraketServer, count: Callable[[], int]
) -> None:
    aws.faults({"operation": CREATE, "kind": "drop", "after": True})
    assert job.run_with_fallback(turned(0.3), [SV1], base_seconds=0.01).device_arn == SV1
    assert count() == 1
