"""What sort of failure it is, told by types, codes, events and phases; pure.

Two divisions: `FailureClass` is for people, `Kind` for the setting ``retry_on``, which asks only
whose turn it was when it failed. So an electron whose own call AWS refuses is "Permissions" for
people, and ``electron`` for ``retry_on``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Literal

from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.errors import RejectedError
from covalent_braket_plugin.failure.denied import aws_error_in, denied_in
from covalent_braket_plugin.protocol import OUT_OF_MEMORY, STOPPED, ErrorData, Outcome

__all__ = ["FailureClass", "Kind", "class_of", "class_of_exception", "kind_of"]

Kind = Literal["", "electron", "environment", "time_limit", "cancelled", "infrastructure"]
"""Why a task did not complete: the user's code, what it was loaded with, its time limit, somebody's
wish, or anything between Covalent and that code; empty if it did complete."""


class FailureClass(StrEnum):
    """Sort of a failure, as it stands before the colon in the first line of its text."""

    YOUR_CODE = "Your code"
    ENVIRONMENT = "Environment"
    OUT_OF_MEMORY = "Out of memory"
    TIME_LIMIT = "Time limit"
    CANCELLED = "Cancelled"
    DEVICE = "Device"
    QUOTA = "Quota"
    PERMISSIONS = "Permissions"
    IMAGE = "Image"
    COST_LIMIT = "Cost limit"
    SETTINGS = "Settings"
    INTEGRITY = "Integrity"
    INFRASTRUCTURE = "Infrastructure"


_OWN_PHASES = frozenset(
    {"bash", "pip", "call_before", "electron", "call_after", "pickle", "run", "killed"}
)
_ENVIRONMENT_ERRORS = frozenset({"VersionMismatchError", "SerializationError", "ProtocolError"})
_ENDS_OF_A_PROCESS = frozenset({"Killed", "OutOfMemory", "ProcessExit"})
"""How the worker says that the electron's process ended without a word."""

_BY_TYPE: Mapping[str, FailureClass] = {
    # ours; of an exception the nearest class in its tree counts
    "CostLimitError": FailureClass.COST_LIMIT,
    "ParallelCostError": FailureClass.COST_LIMIT,
    "NoDeviceError": FailureClass.DEVICE,
    "SettingError": FailureClass.SETTINGS,
    "UnconfiguredError": FailureClass.SETTINGS,
    "VersionMismatchError": FailureClass.ENVIRONMENT,
    "ProtocolError": FailureClass.ENVIRONMENT,
    "SerializationError": FailureClass.ENVIRONMENT,
    "StepFailedError": FailureClass.ENVIRONMENT,
    "NoOutcomeError": FailureClass.INFRASTRUCTURE,
    "IntegrityError": FailureClass.INTEGRITY,
    "UncommittedError": FailureClass.INTEGRITY,
    "DigestError": FailureClass.INTEGRITY,
    "TruncatedError": FailureClass.INTEGRITY,
    "QueueTimeoutError": FailureClass.QUOTA,
    "AccessError": FailureClass.PERMISSIONS,
    "QuotaError": FailureClass.QUOTA,
    "ThrottledError": FailureClass.QUOTA,
    "DeviceError": FailureClass.DEVICE,
    "ImageError": FailureClass.IMAGE,
    # Python's and botocore's
    "ImportError": FailureClass.ENVIRONMENT,
    "ModuleNotFoundError": FailureClass.ENVIRONMENT,
    "FlexibleChecksumError": FailureClass.INTEGRITY,
    "NoCredentialsError": FailureClass.PERMISSIONS,
    "PartialCredentialsError": FailureClass.PERMISSIONS,
    "OutOfMemory": FailureClass.OUT_OF_MEMORY,
}
_MEMORY_TYPE = re.compile(r"Memory(Exhausted)?Error$")  # MemoryError, torch's OutOfMemoryError

_BY_CODE: Mapping[str, FailureClass] = {
    "DeviceOfflineException": FailureClass.DEVICE,
    "DeviceRetiredException": FailureClass.DEVICE,
    **dict.fromkeys(
        (
            *("ServiceQuotaExceededException", "ThrottlingException", "Throttling"),
            *("TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "LimitExceeded"),
        ),
        FailureClass.QUOTA,
    ),
    **dict.fromkeys(
        (
            *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidToken"),
            *("InvalidAccessKeyId", "UnrecognizedClientException", "SignatureDoesNotMatch"),
        ),
        FailureClass.PERMISSIONS,
    ),
    "ImageNotFoundException": FailureClass.IMAGE,
    "RepositoryNotFoundException": FailureClass.IMAGE,
}

_SPENDING_LIMIT = re.compile(r"spend(ing)? (over the )?(spending )?limit", re.IGNORECASE)
"""Of AWS's own limits, at CreateQuantumTask: ``Attempted to spend over the spending limit ...``."""

_NO_DEVICE = re.compile(r"((Simulator|QPU) )?'arn:aws[a-z-]*:braket:[^']*:device/[^']*' not found")
"""In the words of Braket's SDK, at ``AwsDevice(arn)``: GetDevice does not know it."""

_IMAGE_REASONS = re.compile(
    # In SageMaker's words, which runs Braket's jobs, of a container's start, of the shell, and of
    # the local Braket: no such image, none that may be pulled, nothing in it that could be started.
    r"cannot pull (the )?(algorithm )?(container|image)|CannotPullContainer|CannotStartContainer"
    r"|pull access denied|manifest unknown|image .{0,300}(does not exist|not found|not known)"
    r"|no such image|executable file not found|exec format error|exit code: 12[67]\b"
    r"|is not an image of this local Braket",
    re.IGNORECASE | re.DOTALL,
)
_MEMORY_REASONS = re.compile(r"instance type with more memory|out of memory", re.IGNORECASE)
_ENVIRONMENT_REASONS = re.compile(
    r"\b(ModuleNotFoundError|ImportError|VersionMismatchError|SerializationError|ProtocolError): "
)


def kind_of(outcome: Outcome | None, status: str, events: Collection[str]) -> Kind:
    """Tell why a task did not complete, as the setting ``retry_on`` divides it.

    Args:
        outcome: What the job left, if anything.
        status: The job's status.
        events: Types of the job's events.
    """
    if outcome is not None and outcome.status == "completed":
        return ""
    if status == "CANCELLED":
        return "cancelled"
    if "MAX_RUNTIME_EXCEEDED" in events:
        return "time_limit"
    error = outcome.error if outcome is not None else None
    if by_itself := _stopped_by_itself(error):
        return by_itself
    if error is None or outcome is None or outcome.status == "terminated":
        return "infrastructure"
    if error.type in _ENDS_OF_A_PROCESS:
        return "electron"
    if error.phase == "load" or error.type in _ENVIRONMENT_ERRORS:
        return "environment"
    return "electron" if error.phase in _OWN_PHASES else "infrastructure"


def _stopped_by_itself(error: ErrorData | None) -> Literal["", "electron", "time_limit"]:
    """Tell of an electron that stopped before it was done whether its time limit made it do so."""
    if error is None or error.type != STOPPED or error.phase == "terminated":
        return ""
    return "time_limit" if error.phase == "time_limit" else "electron"


def class_of(
    job: Job | None, outcome: Outcome | None, problem: Exception | None = None
) -> FailureClass:
    """Tell what sort of failure it is.

    Args:
        job: The job; None for Covalent's own steps, which run locally.
        outcome: What it left, if anything; not one that says completed, unless there is a problem.
        problem: What is wrong with what it left.
    """
    if problem is not None:
        return class_of_exception(problem)
    if job is not None and job.status == "CANCELLED":
        return FailureClass.CANCELLED
    if job is not None and "MAX_RUNTIME_EXCEEDED" in job.event_types:
        return FailureClass.TIME_LIMIT
    if outcome is None:
        return _of_reason(job.failure_reason if job is not None else "")
    if by_itself := _stopped_by_itself(outcome.error):
        return FailureClass.YOUR_CODE if by_itself == "electron" else FailureClass.TIME_LIMIT
    if outcome.error is None or outcome.status == "terminated":
        return FailureClass.INFRASTRUCTURE
    return _of_error(outcome.error)


def class_of_exception(error: BaseException) -> FailureClass:
    """Tell what sort of failure an exception on the side of Covalent's server is."""
    if found := _of_aws(str(error), str(getattr(error, "code", ""))):
        return found
    if isinstance(error, RejectedError) and error.operation == "CreateJob":
        return FailureClass.SETTINGS  # they are what its request is made of
    for kind in type(error).__mro__:
        if kind.__name__ in _BY_TYPE:
            return _BY_TYPE[kind.__name__]
    return FailureClass.INFRASTRUCTURE


def _of_error(error: ErrorData) -> FailureClass:
    name = error.type.rpartition(".")[2]
    if _MEMORY_TYPE.search(name) or OUT_OF_MEMORY in error.message:
        return FailureClass.OUT_OF_MEMORY
    if found := _of_aws(error.message):
        return found
    if name == "ValueError" and _NO_DEVICE.match(error.message):
        return FailureClass.DEVICE
    if name == "SerializationError" and error.phase == "pickle":  # what the electron returned
        return FailureClass.YOUR_CODE
    if name in _BY_TYPE:
        return _BY_TYPE[name]
    if error.phase == "load":
        return FailureClass.ENVIRONMENT
    return FailureClass.YOUR_CODE if error.phase in _OWN_PHASES else FailureClass.INFRASTRUCTURE


def _of_reason(reason: str) -> FailureClass:
    """Tell it of a job that left no outcome, from Braket's failure reason."""
    patterns = {
        _IMAGE_REASONS: FailureClass.IMAGE,
        _MEMORY_REASONS: FailureClass.OUT_OF_MEMORY,
        _ENVIRONMENT_REASONS: FailureClass.ENVIRONMENT,
    }
    if found := _of_aws(reason):
        return found
    matches = (kind for pattern, kind in patterns.items() if pattern.search(reason))
    return next(matches, FailureClass.INFRASTRUCTURE)


def _of_aws(text: str, code: str = "") -> FailureClass | None:
    code = code or aws_error_in(text)[0]
    if code in _BY_CODE:
        return _BY_CODE[code]
    if denied_in(text) is not None:
        return FailureClass.PERMISSIONS
    return FailureClass.COST_LIMIT if code and _SPENDING_LIMIT.search(text) else None
