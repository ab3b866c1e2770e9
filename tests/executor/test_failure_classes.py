"""Each sort of failure from its real cause, on a real local Braket: what the user reads first."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from covalent._shared_files.exceptions import TaskRuntimeError

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.errors import BraketPluginError
from tests.support.braket_server import BraketServer

QPU = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"
ROLE = "arn:aws:sts::123456789012:assumed-role/Runner/job"
SENTENCE = f"User: {ROLE} is not authorized to perform: braket:CreateQuantumTask on resource: {QPU}"
DENIED = {"kind": "error", "code": "AccessDeniedException", "status": 403}


Failing = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def failing(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Failing:
    """Run a function that must fail as a job; gives the lines that are read of it."""
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))

    async def run(function: Callable[..., Any], *args: Any, **settings: Any) -> list[str]:
        executor = BraketExecutor(local=True, cache_dir=str(tmp_path / "cache"), **settings)
        task = {"dispatch_id": str(uuid.uuid4()), "node_id": 0}
        with pytest.raises((TaskRuntimeError, BraketPluginError)) as raised:
            await executor.run(function, args, {}, task)
        return str(raised.value).splitlines()

    return run


@pytest.fixture
def offline(local_braket: BraketServer) -> Iterator[str]:
    """A QPU that is out of order."""
    local_braket.control("POST", "devices", {"deviceArn": QPU, "status": "OFFLINE"})
    yield QPU
    local_braket.control("POST", "devices", {"deviceArn": QPU, "status": "ONLINE"})


def nothing() -> None:
    """Succeed, if only anybody let it."""


def asks_for_a_task(device: str) -> None:
    import boto3

    boto3.client("braket").create_quantum_task(
        deviceArn=device,
        shots=10,
        action='{"braketSchemaHeader": {"name": "braket.ir.openqasm.program", "version": "1"},'
        '"source": "OPENQASM 3; qubit[1] q; h q[0];"}',
        outputS3Bucket="amazon-braket-any",
        outputS3KeyPrefix="tasks",
    )


def said(lines: list[str], label: str) -> str:
    """What stands behind a label at the beginning of a line."""
    [found] = [line for line in lines if line.startswith(f"{label}: ")]
    return found.partition(": ")[2]


async def test_device_that_is_offline_when_the_electron_asks_for_it(
    failing: Failing, offline: str
) -> None:
    lines = await failing(asks_for_a_task, offline)
    assert lines[0].startswith("Device: asks_for_a_task() failed in the electron: ")
    assert "DeviceOfflineException" in lines[0]
    assert "another device" in said(lines, "What to do")


async def test_device_that_is_offline_when_the_job_is_made(failing: Failing, offline: str) -> None:
    policy = {"if_device_unavailable": "fail", "max_cost": None}
    lines = await failing(nothing, quantum_device=offline, **policy)
    assert lines[0].startswith("Device: ")
    assert "is OFFLINE, and if_device_unavailable is 'fail'. Nothing was submitted." in lines[0]
    assert "another quantum_device" in lines[0]


async def test_device_that_goes_offline_at_the_last_moment(
    failing: Failing, local_braket: BraketServer
) -> None:
    fault = {"kind": "error", "code": "DeviceOfflineException", "status": 424, "times": 1}
    local_braket.faults({"operation": "CreateJob", **fault})
    lines = await failing(nothing, if_device_unavailable="fail")
    assert lines[0].startswith("Device: CreateJob was refused: DeviceOfflineException")
    assert "another device" in said(lines, "What to do")


@pytest.mark.parametrize("code", ["ThrottlingException", "ServiceQuotaExceededException"])
async def test_quota_that_is_used_up_in_the_electron(
    failing: Failing, local_braket: BraketServer, code: str
) -> None:
    fault = {"kind": "quota", "code": code, "status": 402, "times": 9}
    local_braket.faults({"operation": "CreateQuantumTask", **fault})
    lines = await failing(asks_for_a_task, QPU)
    assert lines[0].startswith("Quota: asks_for_a_task() failed in the electron: ")
    assert "Service Quotas" in said(lines, "What to do")


async def test_permission_that_the_jobs_role_lacks_in_the_electron(
    failing: Failing, local_braket: BraketServer
) -> None:
    local_braket.faults({"operation": "CreateQuantumTask", "message": SENTENCE, **DENIED})
    lines = await failing(asks_for_a_task, QPU)
    assert lines[0].startswith("Permissions: the job's role lacks braket:CreateQuantumTask: ")
    assert said(lines, "Missing") == (
        f"braket:CreateQuantumTask on {QPU}, for the job's role, which is {ROLE}"
    )
    assert "policy role" in said(lines, "What to do")


async def test_permission_that_the_jobs_role_lacks_for_the_payload(
    failing: Failing, local_braket: BraketServer
) -> None:
    denied = {**DENIED, "code": "AccessDenied", "caller": "job", "times": 0}
    local_braket.faults({"operation": "s3:GetObject", **denied})
    lines = await failing(nothing)
    assert lines[0].startswith("Permissions: the job's role lacks s3:GetObject: nothing() ")
    assert said(lines, "Missing") == "s3:GetObject, for the job's role"


async def test_permission_that_the_jobs_role_lacks_for_the_outcome(
    failing: Failing, local_braket: BraketServer
) -> None:
    denied = {**DENIED, "code": "AccessDenied", "caller": "job", "times": 0}
    local_braket.faults({"operation": "s3:PutObject", **denied})
    lines = await failing(nothing)
    assert lines[0].startswith("Permissions: the job's role lacks s3:PutObject: nothing() left no ")
    assert said(lines, "Failed while") == "running"


async def test_permission_that_the_caller_lacks_to_make_the_job(
    failing: Failing, local_braket: BraketServer
) -> None:
    sentence = (
        "User: arn:aws:iam::1:user/u is not authorized to perform: iam:PassRole on resource: r"
    )
    local_braket.faults({"operation": "CreateJob", "message": sentence, **DENIED})
    lines = await failing(nothing)
    assert lines[0].startswith("Permissions: the caller (Covalent's server) lacks iam:PassRole: ")
    assert said(lines, "Missing").startswith("iam:PassRole on r, for the caller")
    assert "policy caller" in said(lines, "What to do")


async def test_permission_that_the_caller_lacks_to_fetch_the_outcome(
    failing: Failing, local_braket: BraketServer
) -> None:
    denied = {**DENIED, "code": "AccessDenied", "caller": "dispatcher", "times": 0}
    local_braket.faults({"operation": "s3:GetObject", **denied})
    lines = await failing(nothing)
    assert lines[0].startswith("Permissions: the caller (Covalent's server) lacks s3:GetObject: ")


async def test_image_that_is_not_there(failing: Failing) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-nobodys:1"
    lines = await failing(nothing, ecr_image_uri=image)
    assert lines[0].startswith("Image: nothing() left no outcome")
    assert "`ecr_image_uri`" in said(lines, "What to do")


async def test_module_that_the_image_does_not_hold(failing: Failing) -> None:
    def imports() -> None:
        import no_such_module_anywhere  # type: ignore[import-not-found]  # noqa: F401

    lines = await failing(imports)
    assert lines[0] == (
        "Environment: imports() failed in the electron: ModuleNotFoundError: "
        "No module named 'no_such_module_anywhere'"
    )
    assert said(lines, "Line").partition(", in imports: ")[2].startswith("import no_such")
    assert "DepsPip" in said(lines, "What to do")


async def test_setting_that_the_service_does_not_take(
    failing: Failing, local_braket: BraketServer
) -> None:
    refused = {"kind": "error", "code": "ValidationException", "status": 400}
    local_braket.faults({"operation": "CreateJob", **refused})
    lines = await failing(nothing)
    assert lines[0].startswith("Settings: CreateJob was refused: ValidationException")
