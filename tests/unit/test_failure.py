"""What users read of a failure, and what sort of failure it is: pure text from plain data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from covalent_braket_plugin import errors, failure
from covalent_braket_plugin.descriptions import Event, Job
from covalent_braket_plugin.failure import FailureClass
from covalent_braket_plugin.protocol import (
    HP_MANIFEST,
    OUT_OF_MEMORY,
    ErrorData,
    NodeOutcome,
    Outcome,
)

ARN = "arn:aws:braket:us-east-1:123456789012:job/0b4f4e1a"
BASE = "s3://amazon-braket-ours/covalent/d/node-0"
BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROLE = "arn:aws:sts::123456789012:assumed-role/Runner/job"
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
GONE = "arn:aws:braket:us-east-1::device/qpu/rigetti/Aspen-M-3"
DENIED = (
    "An error occurred (AccessDeniedException) when calling the CreateQuantumTask operation: "
    f"User: {ROLE} is not authorized to perform: braket:CreateQuantumTask on resource: {SV1} "
    "because no identity-based policy allows the braket:CreateQuantumTask action"
)


def events(*words: tuple[str, float]) -> tuple[Event, ...]:
    return tuple(Event(word, BEGAN + timedelta(seconds=at), "") for word, at in words)


JOB = Job(
    arn=ARN,
    name="f-1",
    status="FAILED",
    billable_seconds=12.0,
    failure_reason="AlgorithmError: x, exit code: 1",
    hyperparameters={HP_MANIFEST: f"{BASE}/attempt-2/manifest.json"},
    tags={"covalent:electron": "f"},
    events=events(
        ("QUEUED_FOR_EXECUTION", 0),
        ("STARTING_INSTANCE", 3.5),
        ("DOWNLOADING_DATA", 70),
        ("RUNNING", 75),
        ("UPLOADING_RESULTS", 300),
        ("FAILED", 302),
    ),
)


def job(**changes: Any) -> Job:
    return replace(JOB, **changes)


def outcome(error: ErrorData | None = None, **more: Any) -> Outcome:
    return Outcome("failed", [NodeOutcome(0, "failed", name="f")], error=error, main_node=0, **more)


def test_text_of_a_failure_has_all_there_is_to_say_in_a_fixed_order() -> None:
    error = ErrorData(
        "ValueError", "no", "Traceback", 'File "f.py", line 3, in f: raise', "electron"
    )
    seconds = {"fetch": 0.1, "verify": 0.002, "run": 9.5, "electron": 9.0, "upload": 1.25}
    assert failure.report(JOB, outcome(error, seconds=seconds)) == (
        "Your code: f() failed in the electron: ValueError: no\n"
        'Line: File "f.py", line 3, in f: raise\n'
        "Job: f-1, attempt 2\n"
        f"ARN: {ARN}\n"
        "Status: FAILED, billed 12.0 s\n"
        "Console: https://us-east-1.console.aws.amazon.com/braket/home?region=us-east-1"
        f"#/jobs/{ARN}\n"
        "Failed while: running, in the electron\n"
        "Braket's phases: queued 3.5 s, starting the instance 66.5 s, downloading data 5.0 s, "
        "running 3 min 45 s, uploading results 2.0 s\n"
        "In the job: fetch 0.10 s, verify 0.00 s, electron 9.0 s, upload 1.2 s\n"
    )


def test_earlier_attempts_stand_below_where_they_are_known() -> None:
    text = failure.report(JOB, outcome(ErrorData("E", "m")), history=["Attempt 1 failed"])
    assert text.endswith("\nAttempt 1 failed\n")


def test_time_limit_names_the_setting() -> None:
    late = job(events=events(("RUNNING", 0), ("MAX_RUNTIME_EXCEEDED", 9)), failure_reason="")
    text = failure.report(late, None)
    assert text.startswith("Time limit: f() ran into its time limit: the job was stopped\n")
    assert "`time_limit`" in text
    assert "Failed while: running" in text


def test_job_without_an_outcome_gives_brakets_reason() -> None:
    text = failure.report(job(failure_reason="InternalServerError: x"), None)
    assert text.startswith(
        "Infrastructure: f() left no outcome, and its job ended FAILED: Internal"
    )


def test_packed_electron_that_did_not_run_says_so() -> None:
    assert "did not run" in failure.report(JOB, outcome())


def test_what_is_wrong_with_what_the_job_left_says_where_it_is() -> None:
    problem = errors.DigestError("The value differs")
    text = failure.report(JOB, outcome(), problem=problem)
    assert text.startswith("Integrity: DigestError: The value differs\n")
    assert text.endswith(f"What is there stays there: {BASE}/attempt-2\n")


@pytest.mark.parametrize("phase", ["bash", "pip", "load", "verify", "pickle", "killed"])
def test_every_phase_has_words(phase: str) -> None:
    assert f"failed {phase}" not in failure.report(None, outcome(ErrorData("E", "m", phase=phase)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ErrorData("ValueError", "no"), FailureClass.YOUR_CODE),
        (ErrorData("SerializationError", "m", phase="pickle"), FailureClass.YOUR_CODE),
        (ErrorData("Killed", "by SIGKILL", phase="electron"), FailureClass.YOUR_CODE),
        (ErrorData("SerializationError", "m", phase="load"), FailureClass.ENVIRONMENT),
        (ErrorData("VersionMismatchError", "m", phase="verify"), FailureClass.ENVIRONMENT),
        (ErrorData("ModuleNotFoundError", "No module named 'x'"), FailureClass.ENVIRONMENT),
        (ErrorData("StepFailedError", "m", phase="pip"), FailureClass.ENVIRONMENT),
        (ErrorData("MemoryError", ""), FailureClass.OUT_OF_MEMORY),
        (ErrorData("numpy._core._exceptions._ArrayMemoryError", ""), FailureClass.OUT_OF_MEMORY),
        (ErrorData("torch.OutOfMemoryError", "CUDA"), FailureClass.OUT_OF_MEMORY),
        (ErrorData("BrokenProcessPool", f"x ({OUT_OF_MEMORY})"), FailureClass.OUT_OF_MEMORY),
        (ErrorData("botocore.exceptions.ClientError", DENIED), FailureClass.PERMISSIONS),
        (ErrorData("RuntimeError", f"it failed: {DENIED}"), FailureClass.PERMISSIONS),
        (ErrorData("CostLimitError", "m"), FailureClass.COST_LIMIT),
        (ErrorData("ValueError", f"QPU '{GONE}' not found"), FailureClass.DEVICE),
        (ErrorData("ValueError", f"'{GONE}' not found"), FailureClass.DEVICE),
        (ErrorData("ValueError", "'x' not found"), FailureClass.YOUR_CODE),
        (ErrorData("DigestError", "m", phase="verify"), FailureClass.INTEGRITY),
        (ErrorData("OSError", "no space", phase="fetch"), FailureClass.INFRASTRUCTURE),
    ],
)
def test_class_is_told_from_the_error_in_the_job(error: ErrorData, expected: FailureClass) -> None:
    assert failure.class_of(JOB, outcome(error)) is expected
    assert failure.report(JOB, outcome(error)).startswith(f"{expected}: ")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("DeviceOfflineException", FailureClass.DEVICE),
        ("DeviceRetiredException", FailureClass.DEVICE),
        ("ServiceQuotaExceededException", FailureClass.QUOTA),
        ("ThrottlingException", FailureClass.QUOTA),
        ("ExpiredTokenException", FailureClass.PERMISSIONS),
    ],
)
def test_class_is_told_from_the_code_of_a_call_in_the_electron(
    code: str, expected: FailureClass
) -> None:
    text = f"An error occurred ({code}) when calling the CreateQuantumTask operation: no"
    kind = f"botocore.errorfactory.{code}"
    assert failure.class_of(JOB, outcome(ErrorData(kind, text))) is expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "ClientError: Cannot pull algorithm container. Either the image does not exist or its "
            "permissions are incorrect.",
            FailureClass.IMAGE,
        ),
        ('exec: "train": executable file not found in $PATH', FailureClass.IMAGE),
        ("AlgorithmError: , exit code: 127", FailureClass.IMAGE),
        ("AlgorithmError: ModuleNotFoundError: No module named 'x'", FailureClass.ENVIRONMENT),
        ("ClientError: Please use an instance type with more memory", FailureClass.OUT_OF_MEMORY),
        ("AlgorithmError: , exit code: 137", FailureClass.INFRASTRUCTURE),
        (
            "AlgorithmError: The outcome could not be uploaded: ClientError: An error occurred "
            "(AccessDenied) when calling the PutObject operation: Access Denied, exit code: 2",
            FailureClass.PERMISSIONS,
        ),
        ("", FailureClass.INFRASTRUCTURE),
    ],
)
def test_class_of_a_job_without_an_outcome_is_told_from_brakets_reason(
    reason: str, expected: FailureClass
) -> None:
    assert failure.class_of(job(failure_reason=reason), None) is expected


def test_status_of_a_cancelled_job_counts_more_than_its_outcome() -> None:
    error = ErrorData("Terminated", "SIGTERM", phase="terminated")
    text = failure.report(job(status="CANCELLED"), outcome(error))
    assert text.startswith("Cancelled: the job of f() was cancelled\n")


def test_missing_permission_is_named_with_resource_identity_and_fix() -> None:
    lines = failure.report(JOB, outcome(ErrorData("ClientError", DENIED))).splitlines()
    assert lines[0].startswith("Permissions: the job's role lacks braket:CreateQuantumTask: f() ")
    assert lines[1] == (
        f"Missing: braket:CreateQuantumTask on {SV1}, for the job's role, which is {ROLE}"
    )
    assert "`covalent-braket policy role`" in lines[2]


def test_missing_permission_is_known_from_the_operation_if_s3_says_no_more() -> None:
    text = "An error occurred (AccessDenied) when calling the HeadObject operation: Access Denied"
    said = failure.report(JOB, outcome(ErrorData("ClientError", text, phase="fetch")))
    assert "\nMissing: s3:GetObject, for the job's role\n" in said


def test_account_that_braket_does_not_admit_lacks_no_permission_of_its_own() -> None:
    text = "This account is not authorized to use this resource. Please contact customer support"
    error = refused(errors.AccessError, "AccessDeniedException", "CreateJob", text)
    said = str(failure.explained(error))
    assert said.startswith("Permissions: CreateJob was refused")
    assert "Missing" not in said
    assert "AWS's support" in said


def test_express_denial_is_not_answered_with_a_permission() -> None:
    text = DENIED.replace("because no identity-based policy allows", "with an explicit deny in")
    said = failure.report(JOB, outcome(ErrorData("ClientError", text)))
    assert "which no permission outweighs" in said


def test_electron_that_raised_because_it_was_told_to_stop_is_not_to_blame() -> None:
    stopped = replace(outcome(ErrorData("KeyboardInterrupt", "")), status="terminated")
    text = failure.report(JOB, stopped)
    assert text.startswith("Infrastructure: f() failed in the electron, told to stop: ")
    assert failure.kind_of(stopped, "FAILED", ()) == "infrastructure"


def test_permission_that_only_the_users_code_asks_for_is_not_said_to_be_printed() -> None:
    text = f"User: {ROLE} is not authorized to perform: dynamodb:GetItem on resource: t"
    said = failure.report(JOB, outcome(ErrorData("ClientError", text)))
    assert "Missing: dynamodb:GetItem on t, " in said
    assert "your electron asks for it, this package does not" in said


def test_exception_without_a_message_is_named_alone() -> None:
    said = failure.report(JOB, outcome(ErrorData("MemoryError", "")))
    assert said.startswith("Out of memory: f() failed in the electron: MemoryError\n")


def test_credentials_that_are_not_taken_are_no_missing_permission() -> None:
    text = "An error occurred (ExpiredToken) when calling the PutObject operation: expired"
    said = failure.report(JOB, outcome(ErrorData("ClientError", text)))
    assert "Missing" not in said
    assert "renew the credentials" in said


def test_kill_without_proof_of_memory_does_not_claim_it() -> None:
    text = failure.report(job(failure_reason="AlgorithmError: , exit code: 137"), None)
    assert text.startswith("Infrastructure: ")
    assert "often the instance's memory" in text


def refused(kind: type[errors.AwsError], code: str, operation: str, text: str) -> Exception:
    words = f"{operation} was refused: {code}: {text}"
    return kind(words, code=code, operation=operation)


@pytest.mark.parametrize(
    ("error", "begins", "fix"),
    [
        (errors.SettingError("a", 1, "it must be 2", "Use 2."), "Settings: a=1 is not", "Use 2."),
        (errors.UnconfiguredError(["region"]), "Settings: The Braket executor", "deploy up"),
        (errors.VersionMismatchError("python"), "Environment: python", ""),
        (
            refused(errors.QuotaError, "ServiceQuotaExceededException", "CreateJob", "3 jobs"),
            "Quota: CreateJob was refused",
            "Service Quotas",
        ),
        (
            refused(errors.DeviceError, "DeviceRetiredException", "CreateJob", "gone"),
            "Device: CreateJob was refused",
            "another device",
        ),
        (
            refused(errors.AccessError, "AccessDenied", "PutObject", "Access Denied"),
            "Permissions: the caller (Covalent's server) lacks s3:PutObject: PutObject was refused",
            "`covalent-braket policy caller`",
        ),
        (
            refused(errors.RejectedError, "ValidationException", "CreateJob", "volume"),
            "Settings: CreateJob was refused",
            "",
        ),
        (errors.LocalBraketError("It is gone."), "Infrastructure: It is gone.", ""),
        (errors.IntegrityError(), "Integrity: IntegrityError", ""),
        (OSError(28, "No space left"), "Infrastructure: OSError: [Errno 28] No space left", ""),
        (AssertionError(), "Infrastructure: AssertionError", ""),
    ],
)
def test_error_before_there_is_a_job_begins_with_its_class_and_says_what_to_do(
    error: Exception, begins: str, fix: str
) -> None:
    told = failure.explained(error)
    assert str(told).startswith(begins)
    assert fix in str(told)
    assert str(failure.explained(told)) == str(told)
    if isinstance(error, errors.BraketPluginError):
        assert told is error


@pytest.mark.parametrize(
    "arn", ["", "job", "arn:aws:braket:us-east-1:000000000000:job/x"], ids=["none", "odd", "local"]
)
def test_no_link_where_there_is_no_console(arn: str) -> None:
    assert failure.console_link(arn) == ""


def test_traceback_falls_back_to_type_and_message() -> None:
    assert failure.remote_traceback(ErrorData("Killed", "by SIGKILL")) == "Killed: by SIGKILL\n"
    assert failure.remote_traceback(None) == ""
