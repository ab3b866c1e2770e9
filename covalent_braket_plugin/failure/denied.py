"""What AWS says when it refuses a call: which permission is missing, on what, and to whom; pure.

Most services write the sentence ``User: ARN is not authorized to perform: ACTION on resource: ARN``
(https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html); S3 may say no
more than "Access Denied": then the operation tells the action.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from covalent_braket_plugin.permissions import CALLER, PUSHER, ROLE

__all__ = ["NOT_ENTITLED", "Denied", "aws_error_in", "denied_in"]

_SENTENCE = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")
_RESOURCE = re.compile(r'on (?:the )?resource:? "?([^\s",]+)')
_WHO = re.compile(r"User: (arn:\S+) is not")
_ANSWER = re.compile(r"An error occurred \((\w+)\) when calling the (\w+) operation")
_OURS = re.compile(r"\b(\w+) was refused: (\w+): ")

NOT_ENTITLED = "account is not authorized to use this resource"
"""Of Braket, with the same code: no policy of the account's own is to blame."""

_CODES = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
)
_ACTIONS = {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    "CompleteMultipartUpload": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "DeleteObjects": "s3:DeleteObject",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListObjects": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "UploadPart": "s3:PutObject",
    "AssumeRole": "sts:AssumeRole",
    **{
        action.partition(":")[2]: action
        for grant in (*CALLER, *PUSHER, *ROLE)
        for action in grant.actions
        if "*" not in action
    },
}


@dataclass(frozen=True)
class Denied:
    """A permission that somebody lacks.

    Attributes:
        action: The IAM action, such as ``braket:CreateQuantumTask``; empty if it is not known.
        resource: On what; empty if AWS does not say.
        who: ARN of the identity; empty if AWS does not say.
    """

    action: str
    resource: str = ""
    who: str = ""


def aws_error_in(text: str) -> tuple[str, str]:
    """Find AWS's error code and the operation in an error's text; both empty if it is none."""
    if match := _ANSWER.search(text):
        return match[1], match[2]
    if match := _OURS.search(text):
        return match[2], match[1]
    return "", ""


def denied_in(text: str) -> Denied | None:
    """Find the permission that an error says is missing; None if it is about something else."""
    code, operation = aws_error_in(text)
    sentence = _SENTENCE.search(text)
    if sentence is None and code not in _CODES:
        return None
    guess = "" if NOT_ENTITLED in text else _ACTIONS.get(operation, "")
    action = sentence[1] if sentence else guess
    return Denied(action, _first(_RESOURCE, text), _first(_WHO, text))


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1].rstrip(".") if match else ""
