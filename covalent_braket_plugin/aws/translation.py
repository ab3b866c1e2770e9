"""From botocore's errors to ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from covalent_braket_plugin.errors import (
    AccessError,
    AwsError,
    ConflictError,
    CredentialsError,
    DeviceError,
    DigestError,
    NotFoundError,
    QuotaError,
    RejectedError,
    SettingError,
    ThrottledError,
    UnreachableError,
)

__all__ = ["translated"]

TOO_MANY_REQUESTS, INTERNAL_ERROR = 429, 500
_ERRORS: dict[str, type[AwsError]] = {
    "AccessDenied": AccessError,
    "AccessDeniedException": AccessError,
    "AuthFailure": AccessError,
    "ExpiredToken": CredentialsError,
    "IDPCommunicationError": UnreachableError,
    "InvalidIdentityToken": CredentialsError,
    "ExpiredTokenException": CredentialsError,
    "InvalidAccessKeyId": CredentialsError,
    "InvalidClientTokenId": CredentialsError,
    "InvalidSignatureException": CredentialsError,
    "InvalidToken": CredentialsError,
    "RequestExpired": CredentialsError,
    "SignatureDoesNotMatch": CredentialsError,
    "TokenRefreshRequired": CredentialsError,
    "UnrecognizedClientException": CredentialsError,
    "403": AccessError,
    "ServiceQuotaExceededException": QuotaError,
    "RequestLimitExceeded": ThrottledError,
    "RequestThrottled": ThrottledError,
    "RequestThrottledException": ThrottledError,
    "SlowDown": ThrottledError,
    "ThrottledException": ThrottledError,
    "Throttling": ThrottledError,
    "ThrottlingException": ThrottledError,
    "TooManyRequestsException": ThrottledError,
    "ImageNotFoundException": NotFoundError,
    "NoSuchBucket": NotFoundError,
    "NoSuchEntity": NotFoundError,
    "NoSuchKey": NotFoundError,
    "RepositoryNotFoundException": NotFoundError,
    "ResourceNotFoundException": NotFoundError,
    "404": NotFoundError,
    "BucketAlreadyExists": ConflictError,
    "BucketAlreadyOwnedByYou": ConflictError,
    "ConflictException": ConflictError,
    "OperationAborted": ConflictError,
    "DeviceOfflineException": DeviceError,
    "DeviceRetiredException": DeviceError,
    # Answers of S3 to what did not arrive whole; AWS gives them with 400.
    "BadDigest": UnreachableError,
    "IncompleteBody": UnreachableError,
    "PriorRequestNotComplete": UnreachableError,
    "RequestTimeout": UnreachableError,
    "RequestTimeoutException": UnreachableError,
    "XAmzContentSHA256Mismatch": UnreachableError,
}
_FOR_CREDENTIALS = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials"})
"""What boto3 calls by itself, before the call that is asked for, to have credentials for it."""


@contextlib.contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn botocore's errors into ours, by code and class, never by text.

    Args:
        operation: The AWS operation, for the message.

    Raises:
        AwsError: What was asked for failed.
        DigestError: What S3 sent is not what it keeps.
        SettingError: The profile does not exist.
    """
    from botocore import exceptions
    from botocore.exceptions import (
        BotoCoreError,
        ChecksumError,
        ClientError,
        ConnectionError,
        CredentialRetrievalError,
        FlexibleChecksumError,
        HTTPClientError,
        IncompleteReadError,
        MetadataRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
        SSOError,
        TokenRetrievalError,
    )
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (KeyError, ResponseParserError) as error:
        # botocore passes an answer on that broke off: without the members that it must have.
        raise UnreachableError(
            f"{operation}: the answer is not whole: {error!r}", operation=operation, transient=True
        ) from error
    except ClientError as error:
        if error.operation_name in _FOR_CREDENTIALS:
            operation = error.operation_name
        raise _from_answer(operation, error.response) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CredentialsError(
            f"{operation}: no AWS credentials were found. Covalent's server looks for them as "
            "boto3 does: environment, ~/.aws, SSO, instance role; or set `profile` or "
            "`credentials` on the executor.",
            operation=operation,
        ) from error
    except (
        CredentialRetrievalError,
        MetadataRetrievalError,
        SSOError,
        TokenRetrievalError,
        getattr(exceptions, "LoginError", SSOError),  # since botocore 1.41
    ) as error:
        raise CredentialsError(
            f"{operation}: the AWS credentials cannot be had: {error}", operation=operation
        ) from error
    except ProfileNotFound as error:
        raise SettingError(
            "profile", error.kwargs.get("profile"), "it must be a profile that exists", ""
        ) from error
    except FlexibleChecksumError as error:
        raise DigestError(f"{operation}: S3's own checksum does not fit: {error}") from error
    except (
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
        ChecksumError,
        HTTPError,
    ) as error:
        raise UnreachableError(
            f"{operation}: no answer from AWS: {error}", operation=operation, transient=True
        ) from error
    except BotoCoreError as error:  # a parameter or a file of AWS's that boto3 itself refuses
        raise RejectedError(
            f"{operation} was not sent: boto3 refused it: {error}", operation=operation
        ) from error


def _from_answer(operation: str, response: dict[str, Any]) -> AwsError:
    error = response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = _ERRORS.get(code) or _by_status(status)
    if kind is AccessError and operation in _FOR_CREDENTIALS:
        kind = CredentialsError
    if kind is CredentialsError:
        # The rest of it may be the canonical request, with the session token in it.
        message = message.partition("\n")[0]
    return kind(
        f"{operation} was refused: {code}: {message}",
        code=code,
        operation=operation,
        status=status,
        transient=kind in (UnreachableError, ThrottledError),
    )


def _by_status(status: int) -> type[AwsError]:
    if status == TOO_MANY_REQUESTS:
        return ThrottledError
    return UnreachableError if status >= INTERNAL_ERROR else RejectedError
