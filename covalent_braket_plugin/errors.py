"""Every exception of this package.

The tree::

    BraketPluginError
    ├── SettingError            a setting has a value that breaks a rule
    ├── UnconfiguredError       settings that AWS needs are missing, and `local` is not set
    ├── VersionMismatchError    Python or cloudpickle differ between the electron and the image
    ├── PayloadError
    │   ├── SerializationError  an object cannot be pickled or unpickled
    │   └── IntegrityError      bytes are not what their digest says
    ├── AwsError                an AWS call failed
    │   ├── AccessError         not allowed, or no valid credentials
    │   ├── QuotaError          a service quota is used up
    │   ├── ThrottledError      asked too often
    │   ├── NotFoundError       the resource is not there
    │   ├── ConflictError       the resource is in a state that does not allow the call
    │   ├── RejectedError       the request breaks a rule of the service
    │   ├── DeviceError         the quantum device is offline or retired
    │   └── UnreachableError    no answer: network, DNS, time-out, or a fault of the service
    └── LocalBraketError        the local Braket could not be started, found or stopped

Only the standard library is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AccessError",
    "AwsError",
    "BraketPluginError",
    "ConflictError",
    "DeviceError",
    "IntegrityError",
    "LocalBraketError",
    "NotFoundError",
    "PayloadError",
    "QuotaError",
    "RejectedError",
    "SerializationError",
    "SettingError",
    "ThrottledError",
    "UnconfiguredError",
    "UnreachableError",
    "VersionMismatchError",
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
    """

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        names = ", ".join(self.missing)
        super().__init__(
            f"The Braket executor is not configured: {names} not set. Three ways out: "
            "(1) run without AWS on the built-in local Braket: BraketExecutor(local=True); "
            "(2) pass the missing settings to BraketExecutor(...) or put them under "
            "[executors.braket] in Covalent's configuration file; "
            "(3) create the AWS resources first (role, bucket, image: see the README, "
            "'On AWS') and use their names."
        )


class VersionMismatchError(BraketPluginError):
    """Python or cloudpickle differ between where a value was pickled and where it is loaded."""


class PayloadError(BraketPluginError):
    """A payload cannot be made, read or trusted."""


class SerializationError(PayloadError):
    """An object cannot be pickled, or a pickle cannot be loaded."""


class IntegrityError(PayloadError):
    """Bytes are not what their digest says."""


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
    """The identity may not make the call, or there are no valid credentials."""


class QuotaError(AwsError):
    """A service quota is used up."""


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


class UnreachableError(AwsError):
    """No usable answer: network, DNS, time-out, or a fault inside the service."""


class LocalBraketError(BraketPluginError):
    """The local Braket could not be started, found or stopped."""
