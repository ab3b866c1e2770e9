"""Quantum tasks of the local Braket, on real simulator processes, without HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from braket.schema_common import BraketSchemaBase
from braket.tasks import GateModelQuantumTaskResult, ProgramSetQuantumTaskResult

from covalent_braket_plugin.local.quantum.simulators import SimulatorCrashed, Simulators
from covalent_braket_plugin.local.quantum.task_requests import MAX_ACTION_BYTES
from covalent_braket_plugin.local.quantum.task_state import (
    TERMINAL,
    TRANSITIONS,
    IllegalTransition,
    QuantumTask,
)
from covalent_braket_plugin.local.server.model import service_model
from covalent_braket_plugin.local.service import ServiceError
from tests.support.quantum import (
    BELL,
    BUCKET,
    DM1,
    FORTE,
    GARNET,
    HADAMARD,
    JOB,
    LONG,
    STOCKHOLM,
    SV1,
    TN1,
    VIRGINIA,
    FullStore,
    QuantumBraket,
    SteppingClock,
    program,
    program_set,
)

WIDE = "OPENQASM 3.0;\nqubit[30] q;\nh q;\n#pragma braket result probability q[0]\n"
ROTATION = "OPENQASM 3.0;\ninput float a;\nqubit[1] q;\nrx(a) q[0];\n"


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    pool = Simulators(size=1)
    yield pool
    pool.close()


@pytest.fixture
def braket(simulators: Simulators) -> QuantumBraket:
    return QuantumBraket(simulators)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def read(braket: QuantumBraket, task: dict[str, Any]) -> Any:
    """The result as the SDK reads it."""
    assert task["status"] == "COMPLETED", task["failureReason"]
    return GateModelQuantumTaskResult.from_string(braket.result(task).decode())


# --- results


def test_an_exact_expectation_is_exact(braket: QuantumBraket) -> None:
    assert read(braket, braket.run(program(HADAMARD))).values[0] == pytest.approx(0, abs=1e-15)


def test_shots_are_sampled(braket: QuantumBraket) -> None:
    result = read(braket, braket.run(program(BELL), shots=200))
    assert set(result.measurement_counts) == {"00", "11"}
    assert sum(result.measurement_counts.values()) == 200
    assert result.measured_qubits == [0, 1]


def test_result_types_are_computed_from_the_samples(braket: QuantumBraket) -> None:
    source = BELL + (
        "#pragma braket result expectation z(q[0]) @ z(q[1])\n"
        "#pragma braket result probability q[0]\n"
        "#pragma braket result sample z(q[0])\n"
    )
    result = read(braket, braket.run(program(source), shots=100))
    assert result.values[0] == 1
    assert sum(result.values[1]) == pytest.approx(1)
    assert set(result.values[2]) <= {1, -1}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("state_vector", [0.5**0.5, 0, 0, 0.5**0.5]),
        ("probability", [0.5, 0, 0, 0.5]),
        ("variance z(q[0])", 1),
    ],
)
def test_exact_result_types_are_read_by_the_sdk(
    braket: QuantumBraket, kind: str, expected: Any
) -> None:
    source = f"{BELL}#pragma braket result {kind}\n"
    assert read(braket, braket.run(program(source))).values[0] == pytest.approx(expected)


def test_amplitudes_and_density_matrices_are_read_by_the_sdk(braket: QuantumBraket) -> None:
    source = BELL + (
        "#pragma braket result amplitude '00', '01'\n#pragma braket result density_matrix q[0]\n"
    )
    result = read(braket, braket.run(program(source)))
    assert result.values[0] == pytest.approx({"00": 0.5**0.5, "01": 0})
    assert result.values[1][0][0] == pytest.approx([0.5, 0])


def test_inputs_are_bound(braket: QuantumBraket) -> None:
    source = ROTATION + "#pragma braket result expectation z(q[0])\n"
    assert read(braket, braket.run(program(source, a=3.141592653589793))).values == [-1]


def test_dm1_simulates_noise(braket: QuantumBraket) -> None:
    source = "OPENQASM 3.0;\nqubit[1] q;\n#pragma braket noise bit_flip(0.25) q[0]\n"
    task = braket.run(program(source + "#pragma braket result expectation z(q[0])"), deviceArn=DM1)
    assert read(braket, task).values == pytest.approx([0.5])


def test_results_keep_within_the_schemas(braket: QuantumBraket) -> None:
    task = braket.run(program(HADAMARD))
    document = json.loads(braket.result(task))
    assert "measurements" not in document
    metadata = document["taskMetadata"]
    assert metadata["id"] == task["quantumTaskArn"]
    assert metadata["deviceId"] == SV1
    assert len(metadata["createdAt"]) == len(metadata["endedAt"]) == 24
    assert document["additionalMetadata"]["simulatorMetadata"]["executionDuration"] >= 1
    assert document["additionalMetadata"]["action"]["source"] == HADAMARD


def test_a_qpu_bills_no_simulator_time(braket: QuantumBraket) -> None:
    task = braket.run(program(BELL), shots=100, deviceArn=FORTE)
    assert "simulatorMetadata" not in json.loads(braket.result(task))["additionalMetadata"]


# --- what GetQuantumTask answers


def test_all_required_members_are_there(braket: QuantumBraket) -> None:
    task = braket.run(program(BELL), shots=10, tags={"who": "me"})
    shape = service_model().operation_model("GetQuantumTask").output_shape
    assert all(task[name] is not None for name in shape.required_members)
    assert task["actionMetadata"]["actionType"] == "braket.ir.openqasm.program"
    assert task["numSuccessfulShots"] == 10
    assert task["tags"] == {"who": "me"}
    assert task["outputS3Directory"] == f"tasks/{task['quantumTaskArn'].split('/')[1]}"
    assert task["endedAt"] >= task["createdAt"]
    assert task["queueInfo"] == {
        "queue": "QUANTUM_TASKS_QUEUE",
        "position": "None",
        "queuePriority": "Normal",
        "message": "Task is in COMPLETED status. "
        "AmazonBraket does not show queue position for this status.",
    }


def test_queue_info_is_given_only_if_asked_for(braket: QuantumBraket) -> None:
    arn = braket.create()
    assert "queueInfo" not in braket.call("GetQuantumTask", quantumTaskArn=arn)


def test_tags_are_live(braket: QuantumBraket) -> None:
    arn = braket.create(tags={"a": "1"})
    tags = braket.tasks.tags_of(arn)
    assert tags is not None
    tags["b"] = "2"
    assert braket.get(arn)["tags"] == {"a": "1", "b": "2"}
    assert braket.tasks.tags_of(arn + "x") is None


def test_a_task_is_known_in_its_own_region_only(braket: QuantumBraket) -> None:
    arn = braket.create()
    with pytest.raises(ServiceError, match="ResourceNotFoundException"):
        braket.get(arn, STOCKHOLM)
    assert braket.call("SearchQuantumTasks", STOCKHOLM, filters=[])["quantumTasks"] == []


def test_job_tokens_tie_tasks_to_their_job(braket: QuantumBraket) -> None:
    task = braket.run(program(HADAMARD), jobToken="token-of-the-job")
    assert task["jobArn"] == JOB
    assert task["queueInfo"]["queuePriority"] == "Priority"
    with pytest.raises(ServiceError, match=r"ValidationException.*jobToken"):
        braket.create(jobToken="of-nobody")


# --- failures


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (BELL.replace("h q[0];", "h q[0;"), "cannot be parsed: line 3:"),
        (BELL.replace("h q[0];", "foo q[0];"), "Gate foo is not defined"),
        (BELL.replace("h q[0];", "h q[7];"), "out of range"),
        (BELL, "Result types must be specified"),
        (ROTATION + "#pragma braket result probability", "Missing input variable 'a'"),
        (WIDE, "at most 26 qubits"),
        (BELL + "#pragma braket noise bit_flip(0.1) q[0]\n", "Noise instructions"),
        ("/etc/hostname.qasm", "has to be given itself"),
        ('OPENQASM 3.0;\ninclude "/etc/hostname";\nqubit[1] q;\n', "can include stdgates.inc only"),
    ],
)
def test_a_circuit_that_cannot_run_fails_with_the_reason(
    braket: QuantumBraket, source: str, reason: str
) -> None:
    task = braket.run(program(source))
    assert task["status"] == "FAILED"
    assert reason in task["failureReason"]
    assert task["numSuccessfulShots"] == 0


def test_a_dead_simulator_fails_one_task_only(braket: QuantumBraket) -> None:
    arn = braket.create(program(LONG))
    wait_until(lambda: braket.status(arn) == "RUNNING")
    for child in psutil.Process().children():
        if "covalent_braket_plugin.local.quantum.simulate" in child.cmdline():
            child.kill()
    assert braket.get(arn)["failureReason"] == "The simulator process was ended by signal 9"
    assert braket.run(program(HADAMARD))["status"] == "COMPLETED"


def test_a_simulator_that_cannot_start_is_named() -> None:
    pool = Simulators(size=1, command=["/nowhere/python"])
    task = QuantumBraket(pool).run(program(HADAMARD))
    assert task["status"] == "FAILED"
    assert "does not start" in task["failureReason"]
    with pytest.raises(SimulatorCrashed, match="does not start"):
        pool.properties("braket_sv")
    pool.close()


def test_results_that_cannot_be_stored_fail_the_task(simulators: Simulators) -> None:
    task = QuantumBraket(simulators, store=FullStore(BUCKET)).run(program(HADAMARD))
    assert (task["status"], task["failureReason"]) == ("FAILED", "the bucket is gone")


# --- what CreateQuantumTask refuses


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"outputS3Bucket": "elsewhere"}, "Caller doesn't have access to elsewhere"),
        ({"shots": 50_001}, "between 0 and 50000"),
        ({"deviceArn": DM1, "shots": 50_001}, "between 0 and 50000"),
        ({"deviceArn": FORTE, "shots": 0}, "greater than 0"),
        ({"deviceArn": FORTE, "shots": 99}, "between 100 and"),
        ({"deviceArn": GARNET, "shots": 10}, "does not exist in us-east-1"),
        ({"deviceArn": SV1 + "x"}, "does not exist"),
        ({"action": "{"}, "action is not valid JSON"),
        ({"action": "[]"}, "must be a JSON object"),
        ({"action": "{}"}, "braketSchemaHeader"),
        ({"action": '{"braketSchemaHeader": {"name": "braket.ir.jaqcd.program"}}'}, "not support"),
        ({"action": '{"braketSchemaHeader": {"name": "braket.ir.openqasm.program"}}'}, "source"),
        ({"action": program("x" * MAX_ACTION_BYTES)}, "larger than"),
        ({"action": program_set((BELL, {})), "shots": 10}, "program_set"),
        ({"deviceParameters": "nonsense"}, "deviceParameters is not valid JSON"),
        ({"associations": [{"arn": "arn", "type": "t"}]}, "Braket Direct is not supported"),
        (
            {"associations": [{"arn": "arn", "type": "t"}], "deviceArn": FORTE, "shots": 100},
            "Reservation arn is invalid",
        ),
    ],
)
def test_a_wrong_request_is_refused(
    braket: QuantumBraket, params: dict[str, Any], text: str
) -> None:
    with pytest.raises(ServiceError, match="ValidationException") as caught:
        braket.create(**params)
    assert text in caught.value.message


def test_offline_and_retired_devices_refuse_tasks(braket: QuantumBraket) -> None:
    with pytest.raises(ServiceError, match="DeviceRetiredException"):
        braket.create(deviceArn=TN1)
    braket.devices.set_status(FORTE, "OFFLINE")
    with pytest.raises(ServiceError, match="DeviceOfflineException"):
        braket.create(program(BELL), shots=100, deviceArn=FORTE)


def test_the_same_token_makes_one_task(braket: QuantumBraket) -> None:
    first = braket.create(clientToken="mine")
    assert braket.create(clientToken="mine") == first
    assert len(braket.call("SearchQuantumTasks", filters=[])["quantumTasks"]) == 1
    with pytest.raises(ServiceError, match=r"ValidationException.*clientToken"):
        braket.create(clientToken="mine", tags={"other": "body"})


def test_requests_at_once_with_one_token_make_one_task(braket: QuantumBraket) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: braket.create(clientToken="ours"), range(8)))
    assert len(made) == 1
    assert len(braket.call("SearchQuantumTasks", filters=[])["quantumTasks"]) == 1


# --- program sets


def run_set(braket: QuantumBraket, action: str, shots: int) -> dict[str, Any]:
    arn = braket.create(action, shots, STOCKHOLM, deviceArn=GARNET)
    return braket.get(arn, STOCKHOLM)


def test_a_program_set_has_a_result_for_each_executable(braket: QuantumBraket) -> None:
    turned = program_set((BELL, {}), (ROTATION, {"a": [0.0, 3.141592653589793]}))
    task = run_set(braket, turned, 30)
    assert task["actionMetadata"] == {
        "actionType": "braket.ir.openqasm.program_set",
        "programCount": 2,
        "executableCount": 3,
    }
    assert (task["status"], task["numSuccessfulShots"]) == ("COMPLETED", 30)
    document = BraketSchemaBase.parse_raw_schema(braket.result(task).decode())
    result = ProgramSetQuantumTaskResult.from_object(document)
    assert result.num_executables == 3
    assert set(result[0][0].counts) <= {"00", "11"}
    assert [entry.counts for entry in result[1]] == [{"0": 10}, {"1": 10}]


def test_a_failed_executable_leaves_the_others_alone(braket: QuantumBraket) -> None:
    task = run_set(braket, program_set((BELL, {}), (BELL.replace("h q", "foo q"), {})), 20)
    assert (task["status"], task["numSuccessfulShots"]) == ("COMPLETED", 10)
    document = json.loads(braket.result(task))
    assert document["taskMetadata"]["totalFailedExecutables"] == 1
    failure = document["programResults"][1]["executableResults"][0]["failureMetadata"]
    assert "foo" in failure["failureReason"]


def test_a_program_set_fails_if_nothing_worked_and_says_why(braket: QuantumBraket) -> None:
    task = run_set(braket, program_set((BELL.replace("h q", "foo q"), {})), 20)
    assert task["status"] == "FAILED"
    assert "Gate foo is not defined" in task["failureReason"]
    # The SDK reads the results of a failed program set, too.
    BraketSchemaBase.parse_raw_schema(braket.result(task).decode())


@pytest.mark.parametrize(
    ("action", "shots", "text"),
    [
        (program_set(), 10, "at least one program"),
        (program_set((BELL, {}), (BELL, {})), 11, "shared evenly"),
        (program_set((BELL, {})), 0, "greater than 0"),
        (program_set((BELL, {})), 20_001, "between 1 and 20000"),
        (program_set((ROTATION, {"a": [0.1] * 101})), 101, "at most 100 executables"),
        (program_set((ROTATION, {"a": [0.1, 0.2], "b": [0.1]})), 10, "is invalid"),
    ],
)
def test_a_wrong_program_set_is_refused(
    braket: QuantumBraket, action: str, shots: int, text: str
) -> None:
    with pytest.raises(ServiceError, match="ValidationException") as caught:
        run_set(braket, action, shots)
    assert text in caught.value.message


def test_the_wrong_program_of_a_set_is_named(braket: QuantumBraket) -> None:
    with pytest.raises(ServiceError) as caught:
        run_set(braket, program_set((BELL, {}), (ROTATION, {"a": []})), 10)
    assert caught.value.members["reason"] == "ProgramSetValidationFailed"
    assert caught.value.members["programSetValidationFailures"][0]["programIndex"] == 1


def test_a_circuit_wider_than_the_qpu_fails(braket: QuantumBraket) -> None:
    source = "OPENQASM 3.0;\nqubit[21] q;\nh q;\n"
    arn = braket.create(program(source), 10, STOCKHOLM, deviceArn=GARNET)
    task = braket.get(arn, STOCKHOLM)
    assert task["status"] == "FAILED"
    assert "has 21 qubits; the device 20" in task["failureReason"]


def test_a_program_of_a_set_reads_no_files_either(braket: QuantumBraket) -> None:
    source = 'OPENQASM 3.0;\ninclude "/etc/hostname";\nqubit[1] q;\n'
    task = braket.run(program_set((source, {})), 100, deviceArn=FORTE)
    assert task["status"] == "FAILED"
    assert "can include stdgates.inc only" in task["failureReason"]


# --- search


def names(answer: dict[str, Any]) -> list[str]:
    return [task["quantumTaskArn"] for task in answer["quantumTasks"]]


def test_the_newest_task_comes_first_and_pages_join(braket: QuantumBraket) -> None:
    made = [braket.create() for _ in range(5)]
    found, token = [], None
    while True:
        more: dict[str, Any] = {"nextToken": token} if token else {}
        page = braket.call("SearchQuantumTasks", filters=[], maxResults=2, **more)
        found += names(page)
        token = page["nextToken"]
        if token is None:
            break
        braket.create()  # what comes later does not shift the pages
    assert found == made[::-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("deviceArn", DM1), ("status", "FAILED"), ("jobArn", JOB)],
)
def test_tasks_are_found_by_what_they_are(braket: QuantumBraket, name: str, value: str) -> None:
    braket.get(braket.create())
    wanted = braket.run(program(BELL), deviceArn=DM1, jobToken="token-of-the-job")
    filters = [{"name": name, "operator": "EQUAL", "values": [value, "other"]}]
    answer = braket.call("SearchQuantumTasks", filters=filters)
    assert names(answer) == [wanted["quantumTaskArn"]]


@pytest.mark.parametrize(
    ("operator", "count"),
    [("LT", 1), ("LTE", 2), ("GT", 1), ("GTE", 2), ("EQUAL", 1), ("BETWEEN", 2)],
)
def test_tasks_are_found_by_their_time(simulators: Simulators, operator: str, count: int) -> None:
    braket = QuantumBraket(simulators, SteppingClock())
    first, second, third = (braket.run(program(HADAMARD)) for _ in range(3))
    values = [second["createdAt"].isoformat()]
    values += [third["createdAt"].isoformat()] if operator == "BETWEEN" else []
    filters = [{"name": "createdAt", "operator": operator, "values": values}]
    assert len(names(braket.call("SearchQuantumTasks", filters=filters))) == count
    assert first["createdAt"] < second["createdAt"]


@pytest.mark.parametrize(
    "request_",
    [
        {"filters": [{"name": "shots", "operator": "EQUAL", "values": ["1"]}]},
        {"filters": [{"name": "createdAt", "operator": "LT", "values": ["yesterday"]}]},
        {"filters": [{"name": "createdAt", "operator": "BETWEEN", "values": ["2026-01-01"]}]},
        {"filters": [], "nextToken": "nonsense"},
    ],
)
def test_a_wrong_search_is_refused(braket: QuantumBraket, request_: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match="ValidationException"):
        braket.call("SearchQuantumTasks", **request_)


def test_a_token_of_another_search_is_refused(braket: QuantumBraket) -> None:
    for _ in range(2):
        braket.create()
    token = braket.call("SearchQuantumTasks", filters=[], maxResults=1)["nextToken"]
    filters = [{"name": "deviceArn", "operator": "EQUAL", "values": [SV1]}]
    with pytest.raises(ServiceError, match="nextToken"):
        braket.call("SearchQuantumTasks", filters=filters, nextToken=token)


def test_pages_go_on_when_their_last_task_no_longer_matches(simulators: Simulators) -> None:
    braket = QuantumBraket(simulators, patience_seconds=0)
    running = braket.create(program(LONG))
    wait_until(lambda: braket.status(running) == "RUNNING")
    queued = [braket.create() for _ in range(3)]
    filters = [{"name": "status", "operator": "EQUAL", "values": ["QUEUED"]}]
    first = braket.call("SearchQuantumTasks", filters=filters, maxResults=1)
    cancel(braket, queued[2])
    more = {"filters": filters, "maxResults": 1, "nextToken": first["nextToken"]}
    second = braket.call("SearchQuantumTasks", **more)
    third = braket.call("SearchQuantumTasks", **more | {"nextToken": second["nextToken"]})
    assert [names(page) for page in (first, second, third)] == [[arn] for arn in queued[::-1]]
    assert third["nextToken"] is None
    cancel(braket, running)


# --- queue and cancelling


def cancel(braket: QuantumBraket, arn: str) -> str:
    answer = braket.call("CancelQuantumTask", quantumTaskArn=arn, clientToken="c")
    return str(answer["cancellationStatus"])


def test_a_waiting_task_is_cancelled_at_once_and_never_runs(braket: QuantumBraket) -> None:
    running, waiting, last = braket.create(program(LONG)), braket.create(), braket.create()
    wait_until(lambda: braket.status(running) == "RUNNING")
    assert cancel(braket, waiting) == "CANCELLED"
    task = braket.get(waiting)
    assert (task["status"], task["failureReason"]) == ("CANCELLED", None)
    assert cancel(braket, running) == "CANCELLING"
    assert braket.get(last)["status"] == "COMPLETED"
    assert len(braket.store.objects) == 1


def test_a_running_task_is_cancelled_soon(braket: QuantumBraket) -> None:
    arn = braket.create(program(LONG))
    wait_until(lambda: braket.status(arn) == "RUNNING")
    began = time.monotonic()
    assert cancel(braket, arn) == "CANCELLING"
    task = braket.get(arn)
    assert task["status"] == "CANCELLED"
    assert task["endedAt"] is not None
    assert time.monotonic() - began < 2


def test_cancelling_twice_is_harmless(braket: QuantumBraket) -> None:
    arn = braket.create(program(LONG))
    wait_until(lambda: braket.status(arn) == "RUNNING")
    assert {cancel(braket, arn), cancel(braket, arn)} <= {"CANCELLING", "CANCELLED"}


def test_a_task_that_ended_cannot_be_cancelled(braket: QuantumBraket) -> None:
    arn = braket.run(program(HADAMARD))["quantumTaskArn"]
    text = "Amazon Braket cannot cancel a quantum task in the COMPLETED status"
    with pytest.raises(ServiceError, match=f"ConflictException: {text}"):
        cancel(braket, arn)
    with pytest.raises(ServiceError, match="ResourceNotFoundException"):
        cancel(braket, arn + "x")


def test_the_tasks_of_a_job_are_cancelled_with_it(braket: QuantumBraket) -> None:
    running = braket.create(program(LONG), jobToken="token-of-the-job")
    waiting = braket.create(jobToken="token-of-the-job")
    other = braket.create()
    wait_until(lambda: braket.status(running) == "RUNNING")
    braket.tasks.cancel_for_job(JOB)
    assert {braket.get(running)["status"], braket.get(waiting)["status"]} == {"CANCELLED"}
    assert braket.get(other)["status"] == "COMPLETED"


def test_waiting_tasks_know_their_place(simulators: Simulators) -> None:
    braket = QuantumBraket(simulators, patience_seconds=0)
    running = braket.create(program(LONG))
    wait_until(lambda: braket.status(running) == "RUNNING")
    places = [braket.create() for _ in range(2)] + [braket.create(jobToken="token-of-the-job")]
    shown = [braket.get(arn)["queueInfo"] for arn in places]
    assert [item["position"] for item in shown] == ["1", "2", "1"]
    device = braket.call("GetDevice", VIRGINIA, deviceArn=SV1)
    assert [item["queueSize"] for item in device["deviceQueueInfo"]] == ["2", "1", "0"]
    cancel(braket, running)


def test_get_does_not_wait_for_a_task_behind_others(simulators: Simulators) -> None:
    braket = QuantumBraket(simulators)
    running, following, last = braket.create(program(LONG)), braket.create(), braket.create()
    began = time.monotonic()
    assert braket.call("GetQuantumTask", quantumTaskArn=last)["status"] == "QUEUED"
    assert time.monotonic() - began < 5
    cancel(braket, running)
    assert braket.call("GetQuantumTask", quantumTaskArn=following)["status"] == "COMPLETED"


def test_many_tasks_at_once_all_end(braket: QuantumBraket) -> None:
    with ThreadPoolExecutor(10) as threads:
        tasks = list(threads.map(lambda _: braket.run(program(HADAMARD)), range(60)))
    assert {task["status"] for task in tasks} == {"COMPLETED"}
    assert len({task["outputS3Directory"] for task in tasks}) == 60


# --- the state machine


@pytest.mark.parametrize("start", list(TRANSITIONS))
@pytest.mark.parametrize("end", list(TRANSITIONS))
def test_only_the_steps_of_the_table_are_taken(start: Any, end: Any) -> None:
    clock = SteppingClock()
    task = QuantumTask("arn", SV1, 0, BUCKET, "tasks/1", "{}", clock(), "type", status=start)
    if end not in TRANSITIONS[start]:
        with pytest.raises(IllegalTransition):
            task.move(end, clock())
        return
    task.move(end, clock())
    assert task.ended.is_set() == (task.ended_at is not None) == (end in TERMINAL)
