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

_ERRORS: dict[str, type[AwsError]] = {
    "AccessDenied": AccessError,
    "AccessDeniedException": AccessError,
    "AuthFailure": AccessError,
    "ExpiredToken": CredentialsError,
    "ExpiredTokenException": CredentialsError,
    "InvalidAccessKeyId": CredentialsError,
    "InvalidClientTokenId": CredentialsError,
    "RequestExpired": CredentialsError,
    "SignatureDoesNotMatch": CredentialsError,
    "UnrecognizedClientException": CredentialsError,
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
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        FlexibleChecksumError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
        SSOError,
        TokenRetrievalError,
    )
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (KeyError, ResponseParserError) as error:
        # botocore passes an answer on that broke off: without the members that it must have.
        raise UnreachableError(
            f"{operation}: the answer is not whole: {error!r}", operation=operation, transient=True
        ) from error
    except ClientError as error:
        raise _from_answer(operation, error.response) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CredentialsError(
            f"{operation}: no AWS credentials were found. Covalent's server looks for them as "
            "boto3 does: environment, ~/.aws, SSO, instance role; or set `profile` or "
            "`credentials` on the executor.",
            operation=operation,
        ) from error
    except (CredentialRetrievalError, SSOError, TokenRetrievalError) as error:
        raise CredentialsError(
            f"{operation}: the AWS credentials cannot be had: {error}", operation=operation
        ) from error
    except ProfileNotFound as error:
        raise SettingError(
            "profile", error.kwargs.get("profile"), "it must be a profile that exists", ""
        ) from error
    except FlexibleChecksumError as error:
        raise DigestError(f"{operation}: S3's own checksum does not fit: {error}") from error
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
