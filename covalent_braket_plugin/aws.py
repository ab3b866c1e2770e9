"""The only maker of boto3 clients and the only translator of botocore's errors.

Clients are cached per identity, region and endpoint, for the whole process: making one takes
tens of milliseconds of CPU. A credentials file or profile belongs to one executor; the process's
environment is never written.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covalent_braket_plugin import __version__
from covalent_braket_plugin.errors import (
    AccessError,
    AwsError,
    ConflictError,
    DeviceError,
    NotFoundError,
    QuotaError,
    RejectedError,
    SettingError,
    ThrottledError,
    UnconfiguredError,
    UnreachableError,
)
from covalent_braket_plugin.settings import Settings, region_of_device

__all__ = ["Clients", "clients_for", "translated"]

CONNECTIONS = 32
CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60
ATTEMPTS = 5

_ERRORS: dict[str, type[AwsError]] = {
    "AccessDenied": AccessError,
    "AccessDeniedException": AccessError,
    "AuthFailure": AccessError,
    "ExpiredToken": AccessError,
    "ExpiredTokenException": AccessError,
    "InvalidAccessKeyId": AccessError,
    "InvalidClientTokenId": AccessError,
    "SignatureDoesNotMatch": AccessError,
    "UnrecognizedClientException": AccessError,
    "403": AccessError,
    "ServiceQuotaExceededException": QuotaError,
    "RequestLimitExceeded": ThrottledError,
    "SlowDown": ThrottledError,
    "Throttling": ThrottledError,
    "ThrottlingException": ThrottledError,
    "TooManyRequestsException": ThrottledError,
    "NoSuchBucket": NotFoundError,
    "NoSuchKey": NotFoundError,
    "ResourceNotFoundException": NotFoundError,
    "404": NotFoundError,
    "BucketAlreadyExists": ConflictError,
    "BucketAlreadyOwnedByYou": ConflictError,
    "ConflictException": ConflictError,
    "OperationAborted": ConflictError,
    "DeviceOfflineException": DeviceError,
    "DeviceRetiredException": DeviceError,
}


@dataclass(frozen=True)
class _Identity:
    """What tells one set of clients from another."""

    credentials: str | None
    profile: str | None
    region: str | None
    endpoint_url: str | None
    local: bool
    environment: int
    fallback_region: str | None


class Clients:
    """boto3 clients of one identity, region and endpoint; safe to share between threads.

    The region is the setting's, else the profile's, else the quantum device's.

    Args:
        identity: Who calls, and where.
    """

    def __init__(self, identity: _Identity) -> None:
        self._identity = identity
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        self._account_id = ""
        self._session = _session(identity)
        region = identity.region or self._session.region_name or identity.fallback_region
        if not region:
            raise UnconfiguredError(["region"])
        self.region: str = region

    @property
    def braket(self) -> Any:
        """The Braket client."""
        return self._client("braket")

    @property
    def s3(self) -> Any:
        """The S3 client."""
        return self._client("s3")

    @property
    def logs(self) -> Any:
        """The CloudWatch Logs client."""
        return self._client("logs")

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn``, ``aws-us-gov`` ..., by the region."""
        return str(self._session.get_partition_for_region(self.region))

    def account_id(self) -> str:
        """Ask STS once which account this identity belongs to.

        Raises:
            AwsError: STS did not say.
        """
        if not self._account_id:
            with translated("GetCallerIdentity"):
                self._account_id = self._client("sts").get_caller_identity()["Account"]
        return self._account_id

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            user_agent_extra=f"covalent-braket-plugin/{__version__}",
        )
        return self._session.client(
            service,
            region_name=self.region,
            endpoint_url=self._identity.endpoint_url,
            config=config,
        )


_cache: dict[_Identity, Clients] = {}
_cache_lock = threading.Lock()


def clients_for(settings: Settings) -> Clients:
    """Find or make the clients for an executor's settings.

    Raises:
        SettingError: The credentials file or the profile does not exist.
        UnconfiguredError: No region is known.
    """
    identity = _Identity(
        credentials=settings.credentials,
        profile=settings.profile,
        region=settings.region,
        endpoint_url=settings.endpoint_url,
        local=settings.local,
        environment=_environment_fingerprint(),
        fallback_region=region_of_device(settings.quantum_device),
    )
    with _cache_lock:
        if identity not in _cache:
            _cache[identity] = Clients(identity)
        return _cache[identity]


def _environment_fingerprint() -> int:
    """Tell apart environments that would give other credentials; holds no secret itself."""
    return hash(frozenset(item for item in os.environ.items() if item[0].startswith("AWS_")))


def _session(identity: _Identity) -> Any:
    import boto3
    import botocore.session
    from botocore.exceptions import ProfileNotFound

    if identity.local:
        # The local Braket takes any key: the user's own never go to it.
        return boto3.Session("local", "local", region_name=identity.region)
    session = botocore.session.Session()
    profile = identity.profile
    if identity.credentials:
        path = Path(identity.credentials).expanduser()
        if not path.is_file():
            raise SettingError(
                "credentials", identity.credentials, "it must name a file that exists", 
                "Leave it out to use boto3's own search: environment, ~/.aws, SSO, roles.",
            )  # fmt: skip
        session.set_config_variable("credentials_file", str(path))
        # Named explicitly, so that keys in the environment do not win over the file.
        profile = profile or "default"
    if profile:
        session.set_config_variable("profile", profile)
    try:
        return boto3.Session(botocore_session=session, region_name=identity.region)
    except ProfileNotFound as error:
        raise _no_such_profile(session, profile) from error


def _no_such_profile(session: Any, profile: str | None) -> SettingError:
    known = ", ".join(sorted(session.available_profiles)) or "none"
    return SettingError("profile", profile, f"it must be a profile that exists ({known})", "")


@contextlib.contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn botocore's errors into ours, by code and class, never by text.

    Args:
        operation: The AWS operation, for the message.

    Raises:
        AwsError: What was asked for failed.
        SettingError: The profile does not exist.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    try:
        yield
    except ClientError as error:
        raise _from_answer(operation, error.response) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AccessError(
            f"{operation}: no AWS credentials were found. Covalent's server looks for them as "
            "boto3 does: environment, ~/.aws, SSO, instance role; or set `profile` or "
            "`credentials` on the executor.",
            operation=operation,
        ) from error
    except ProfileNotFound as error:
        raise SettingError(
            "profile", error.kwargs.get("profile"), "it must be a profile that exists", ""
        ) from error
    except BotoCoreError as error:
        raise UnreachableError(
            f"{operation}: no answer from AWS: {error}", operation=operation, transient=True
        ) from error


def _from_answer(operation: str, response: dict[str, Any]) -> AwsError:
    error = response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = _ERRORS.get(code) or (UnreachableError if status >= 500 else RejectedError)
    return kind(
        f"{operation} was refused: {code}: {message}",
        code=code,
        operation=operation,
        status=status,
        transient=kind in (UnreachableError, ThrottledError),
    )
