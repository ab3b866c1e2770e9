"""Every exception of this package.

The tree::

    BraketPluginError
    ├── SettingError            a setting has a value that breaks a rule
    ├── UnconfiguredError       settings that AWS needs are missing, and `local` is not set
    ├── VersionMismatchError    Python or cloudpickle differ between the electron and the image
    ├── PayloadError
    │   ├── SerializationError  an object cannot be pickled or unpickled
    │   └── IntegrityError      what was transferred is not what it should be
    │       ├── DigestError     bytes differ from what their digest says
    │       ├── TruncatedError  an object is shorter or longer than it should be
    │       ├── ProtocolError   the other side speaks another version of the protocol
    │       ├── NoOutcomeError  a job ended and left nothing
    │       └── UncommittedError  a job left a value and no commit mark
    ├── CostLimitError          `max_cost` would be exceeded, or cannot be kept
    ├── QueueTimeoutError       a job waited for a slot for longer than `queue_timeout`
    ├── AwsError                an AWS call failed
    │   ├── AccessError         not allowed
    │   │   └── CredentialsError    no credentials, or they are expired or replaced
    │   ├── QuotaError          a service quota is used up
    │   │   └── ZeroQuotaError  the quota is zero: waiting never helps
    │   ├── ThrottledError      asked too often
    │   ├── NotFoundError       the resource is not there
    │   ├── ConflictError       the resource is in a state that does not allow the call
    │   ├── RejectedError       the request breaks a rule of the service
    │   ├── DeviceError         the quantum device is offline or retired
    │   │   └── DeviceUnavailableError  none can be used, and none is to be waited for
    │   └── UnreachableError    no answer: network, DNS, time-out, or a fault of the service
    ├── QuantumTaskError        a quantum task ended without a result
    ├── ParallelError           some circuits failed; it has what the others gave
    │   └── ParallelCostError       `max_cost` stopped one; a CostLimitError too
    ├── NoDeviceError           none of the devices of `job.run_with_fallback` could be used
    ├── ConfigFileError         Covalent's configuration file cannot be read
    ├── UnknownJobError         no job, or more than one, is what was asked for
    ├── JobNotEndedError        a job has not ended (yet)
    ├── JobFailedError          a job failed, and has no result
    │   └── JobCancelledError   it was cancelled
    ├── ResultGoneError         what a job returned is not there any more
    ├── ProgramError            a program cannot be run on quantum devices
    ├── NoServerError           Covalent's server does not answer
    ├── LocalBraketError        the local Braket could not be started, found or stopped
    ├── ImageError              an image cannot be built, pushed or used, or no engine answers
    ├── MissingPackageError     a package of others is needed, and not installed
    ├── PlotError               metrics cannot be drawn
    └── DeployError             Terraform is missing, or could not do what it was to do

Only the standard library is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = [
    "AccessError",
    "AwsError",
    "BraketPluginError",
    "ConfigFileError",
    "ConflictError",
    "CostLimitError",
    "CredentialsError",
    "DeployError",
    "DeviceError",
    "DeviceUnavailableError",
    "DigestError",
    "ImageError",
    "IntegrityError",
    "JobCancelledError",
    "JobFailedError",
    "JobNotEndedError",
    "LocalBraketError",
    "MissingPackageError",
    "NoDeviceError",
    "NoOutcomeError",
    "NoServerError",
    "NotFoundError",
    "ParallelCostError",
    "ParallelError",
    "PayloadError",
    "PlotError",
    "ProgramError",
    "ProtocolError",
    "QuantumTaskError",
    "QueueTimeoutError",
    "QuotaError",
    "RejectedError",
    "ResultGoneError",
    "SerializationError",
    "SettingError",
    "ThrottledError",
    "TruncatedError",
    "UncommittedError",
    "UnconfiguredError",
    "UnknownJobError",
    "UnreachableError",
    "VersionMismatchError",
    "ZeroQuotaError",
    "may_pass",
]


class BraketPluginError(Exception):
    """Root of all errors that this package raises on purpose."""


class SettingError(BraketPluginError):
    """A setting has a value that breaks a rule.

    Args:
        setting: Name of the setting, as users write it.
        value: The offending value.
        rule: What the value must satisfy.
        fix: What to write instead.
    """

    def __init__(self, setting: str, value: object, rule: str, fix: str) -> None:
        self.setting = setting
        self.value = value
        self.rule = rule
        self.fix = fix
        super().__init__(f"{setting}={value!r} is not valid: {rule}. {fix}")


class UnconfiguredError(BraketPluginError):
    """Settings that AWS needs are missing and the local Braket was not asked for.

    Args:
        missing: Names of the settings that have no value.
        why: Why they could not be found out, a sentence.
    """

    def __init__(self, missing: Sequence[str], why: str = "") -> None:
        self.missing = tuple(missing)
        self.why = why
        names = ", ".join(self.missing)
        super().__init__(
            f"The Braket executor is not configured: {names} not set. {why}{' ' if why else ''}"
            "Three ways out: (1) run without AWS on the built-in local Braket: "
            "BraketExecutor(local=True); (2) pass what is missing to BraketExecutor(...) or put it "
            "under [executors.braket] in Covalent's configuration file; (3) let "
            "`covalent-braket deploy up` create what AWS needs and write its names there."
        )


class VersionMismatchError(BraketPluginError):
    """Python or cloudpickle differ between where a value was pickled and where it is loaded."""


class PayloadError(BraketPluginError):
    """A payload cannot be made, read or trusted."""


class SerializationError(PayloadError):
    """An object cannot be pickled, or a pickle cannot be loaded."""


class IntegrityError(PayloadError):
    """What was transferred is not what it should be; nothing of it is unpickled."""


class DigestError(IntegrityError):
    """Bytes differ from what their digest says."""


class TruncatedError(IntegrityError):
    """An object is shorter or longer than it should be."""


class ProtocolError(IntegrityError):
    """The other side speaks another version of the protocol."""


class NoOutcomeError(IntegrityError):
    """A job ended and left nothing: neither an outcome nor a value."""


class UncommittedError(IntegrityError):
    """A job left a value but no outcome, which is its commit mark: the value may be half done."""


class CostLimitError(BraketPluginError):
    """``max_cost`` would be exceeded or cannot be kept, or a QPU has none; nothing was sent.

    In a job the next quantum task raises it, before it is sent.
    """


class QueueTimeoutError(BraketPluginError):
    """A job waited for a slot for longer than ``queue_timeout``; nothing was submitted."""


class AwsError(BraketPluginError):
    """An AWS call failed.

    Args:
        message: The whole message for people.
        code: AWS's error code, such as ``ValidationException``; empty if there was no answer.
        operation: The operation, such as ``CreateJob``.
        status: HTTP status, 0 if there was no answer.
        transient: Whether the same call may succeed later without any change.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        operation: str = "",
        status: int = 0,
        transient: bool = False,
    ) -> None:
        self.code = code
        self.operation = operation
        self.status = status
        self.transient = transient
        super().__init__(message)


class AccessError(AwsError):
    """The identity may not make the call."""


class CredentialsError(AccessError):
    """There are no credentials, or AWS does not take them any more: new ones may come."""


class QuotaError(AwsError):
    """A service quota is used up."""


class ZeroQuotaError(QuotaError):
    """The quota is zero: this account may not have even one, however long it waits."""


class ThrottledError(AwsError):
    """The call was made too often."""


class NotFoundError(AwsError):
    """The resource does not exist (or not yet)."""


class ConflictError(AwsError):
    """The resource is in a state that does not allow the call."""


class RejectedError(AwsError):
    """The request breaks a rule of the service and will never succeed as it is."""


class DeviceError(AwsError):
    """The quantum device is offline or retired."""


class DeviceUnavailableError(DeviceError):
    """No device that an electron may have can be used, or not soon enough; nothing was sent."""


class UnreachableError(AwsError):
    """No usable answer: network, DNS, time-out, or a fault inside the service."""


class QuantumTaskError(BraketPluginError):
    """A quantum task ended without a result.

    Args:
        arn: The quantum task.
        status: Its status, such as ``FAILED``.
        reason: Braket's words; may be empty.
    """

    def __init__(self, arn: str, status: str, reason: str = "") -> None:
        self.arn = arn
        self.status = status
        self.reason = reason
        why = f": {reason}" if reason else ", and Braket gives no reason"
        super().__init__(f"The quantum task {arn} has no result, its status is {status}{why}")


class ParallelError(BraketPluginError):
    """Some circuits of `job.run_parallel` failed.

    Args:
        results: Those of the others, in the order of the circuits; None where one failed.
        errors: Why, by the circuit's number, counted from 0.
        kept: S3 URI below which Braket keeps what the others gave; may be empty.
    """

    def __init__(
        self, results: Sequence[object], errors: Mapping[int, Exception], kept: str = ""
    ) -> None:
        self.results = list(results)
        self.errors = dict(errors)
        shown = [f"number {n}: {type(e).__name__}: {e}" for n, e in list(errors.items())[:3]]
        more = [f"and {len(errors) - 3} more"] if len(errors) > 3 else []
        place = f", and below {kept}" if kept else ""
        super().__init__(
            f"{len(errors)} of {len(results)} circuits failed ({'; '.join([*shown, *more])}). What "
            f"the others gave is in this exception's `results`{place}."
        )


class ParallelCostError(ParallelError, CostLimitError):
    """Some circuits of `job.run_parallel` failed since ``max_cost`` stopped them."""


class NoDeviceError(BraketPluginError):
    """None of the devices of `job.run_with_fallback` could be used.

    Args:
        tried: Each device, and why it could not.
    """

    def __init__(self, tried: Mapping[str, str]) -> None:
        self.tried = dict(tried)
        why = "; ".join(f"{device}: {reason}" for device, reason in tried.items())
        super().__init__(f"None of {len(tried)} devices could be used. {why}")


class ConfigFileError(BraketPluginError):
    """Covalent's configuration file cannot be read, or has no section where one is due."""


class UnknownJobError(BraketPluginError):
    """No job, or more than one, is what was asked for; or the job is none of ours."""


class JobNotEndedError(BraketPluginError, TimeoutError):
    """A job has not ended: it was waited for no longer, or what was wanted needs its end."""


class JobFailedError(BraketPluginError):
    """A job failed, and so has no result; the text is its report."""


class JobCancelledError(JobFailedError):
    """A job was cancelled, and so has no result."""


class ResultGoneError(BraketPluginError):
    """What a job returned is not there any more; the text says where it went."""


class ProgramError(BraketPluginError):
    """A program cannot be run on quantum devices: the text says why, and where."""


class NoServerError(BraketPluginError):
    """Covalent's server does not answer, or does not know how to."""


class LocalBraketError(BraketPluginError):
    """The local Braket could not be started, found or stopped."""


class ImageError(BraketPluginError):
    """An image cannot be built, pushed or used, or no container engine answers."""


class MissingPackageError(BraketPluginError):
    """A package of others is needed for this and is not installed; the text names it."""


class PlotError(BraketPluginError):
    """Metrics cannot be drawn: there are none, or the file is to be of another kind."""


class DeployError(BraketPluginError):
    """AWS resources could not be made, looked at or removed: Terraform is missing, or failed."""


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later although we change nothing.

    So it is if it was throttled, if there was no answer, if the service had a fault of its own,
    or if somebody may renew the credentials.
    """
    return isinstance(error, AwsError) and (error.transient or isinstance(error, CredentialsError))
