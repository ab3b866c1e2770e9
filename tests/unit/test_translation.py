"""What botocore's errors mean for whoever asks again: by class and code, never by text."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    InvalidConfigError,
    MetadataRetrievalError,
    ParamValidationError,
    ReadTimeoutError,
    UnauthorizedSSOTokenError,
)
from urllib3.exceptions import SSLError

from covalent_braket_plugin.aws import translated
from covalent_braket_plugin.errors import (
    AwsError,
    CredentialsError,
    RejectedError,
    ThrottledError,
    UnreachableError,
    may_pass,
)


def translation_of(error: Exception) -> AwsError:
    with pytest.raises(AwsError) as caught, translated("CreateJob"):
        raise error
    return caught.value


def answer(code: str, status: int, message: str = "why") -> ClientError:
    metadata = {"HTTPStatusCode": status}
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata},
        "CreateJob",
    )


@pytest.mark.parametrize(
    "error",
    [ParamValidationError(report="no"), InvalidConfigError(error_msg="no source_profile")],
    ids=lambda error: type(error).__name__,
)
def test_what_boto3_itself_refuses_is_not_asked_again(error: BotoCoreError) -> None:
    found = translation_of(error)
    assert isinstance(found, RejectedError)
    assert not may_pass(found)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://nowhere"),
        ReadTimeoutError(endpoint_url="https://silent"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        SSLError("bad record mac"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_breaks_is_asked_again(error: Exception) -> None:
    found = translation_of(error)
    assert isinstance(found, UnreachableError)
    assert may_pass(found)


@pytest.mark.parametrize(
    "error",
    [UnauthorizedSSOTokenError(), MetadataRetrievalError(error_msg="no answer")],
    ids=lambda error: type(error).__name__,
)
def test_credentials_that_cannot_be_had_may_be_renewed(error: BotoCoreError) -> None:
    assert isinstance(translation_of(error), CredentialsError)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RequestThrottledException", 400, ThrottledError),
        ("AnythingElse", 429, ThrottledError),
        ("RequestTimeout", 400, UnreachableError),
        ("BadDigest", 400, UnreachableError),
        ("AnythingElse", 503, UnreachableError),
        ("InvalidSignatureException", 403, CredentialsError),
        ("TokenRefreshRequired", 400, CredentialsError),
    ],
)
def test_answers_that_pass_are_asked_again(code: str, status: int, kind: type[AwsError]) -> None:
    found = translation_of(answer(code, status))
    assert type(found) is kind
    assert may_pass(found)


def test_the_canonical_request_of_a_wrong_signature_is_told_to_nobody() -> None:
    """It holds the session token."""
    text = "The signature does not match.\n\nThe Canonical String was\nx-amz-security-token:TOKEN"
    found = translation_of(answer("SignatureDoesNotMatch", 403, text))
    assert "signature does not match" in str(found)
    assert "TOKEN" not in str(found)
