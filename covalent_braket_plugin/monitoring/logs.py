"""A job's log in CloudWatch Logs, read forward; all blocking, nothing here sleeps.

The log of a job is the stream ``{job name}/{last part of its ARN}/algo-1-{epoch}`` of Braket's log
group. Reading goes on with the forward token of the answer before, so that nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.errors import NotFoundError

__all__ = ["Line", "LogPage", "job_log", "newest", "read", "read_all"]


@dataclass(frozen=True)
class Line:
    """One line of a log.

    Attributes:
        text: What it says, without its end.
        time: When CloudWatch Logs got it (UTC).
    """

    text: str
    time: datetime


@dataclass(frozen=True)
class LogPage:
    """One answer of GetLogEvents.

    Attributes:
        lines: New lines, oldest first; none if there is nothing new.
        token: Asks for what comes after them.
    """

    lines: Sequence[Line]
    token: str


def job_log(clients: Clients, group: str, job_name: str, job_arn: str) -> str:
    """Find the stream of a job's first instance (DescribeLogStreams); empty if there is none yet.

    Raises:
        AwsError: CloudWatch Logs refused or did not answer.
    """
    prefix = f"{job_name}/{job_arn.rpartition('/')[2]}/"
    try:
        with translated("DescribeLogStreams"):
            found = clients.logs.describe_log_streams(
                logGroupName=group, logStreamNamePrefix=prefix
            )["logStreams"]
    except NotFoundError:  # no job has logged anything in this region
        return ""
    return min((str(each["logStreamName"]) for each in found), default="")


def read(clients: Clients, group: str, stream: str, token: str = "") -> LogPage:
    """Read on in a stream (GetLogEvents, at most 10,000 lines or 1 MB).

    Args:
        clients: Makes the call.
        group: The log group.
        stream: What `job_log` found.
        token: Of the page before; empty to begin at the head.

    Raises:
        AwsError: CloudWatch Logs refused or did not answer.
    """
    more = {"nextToken": token} if token else {}
    try:
        with translated("GetLogEvents"):
            found = clients.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **more
            )
    except NotFoundError:
        return LogPage((), token)
    return LogPage(_lines(found), found.get("nextForwardToken") or token)


def newest(clients: Clients, group: str, stream: str, limit: int) -> Sequence[Line]:
    """Read the last lines of a stream (GetLogEvents), at most so many; oldest first.

    Raises:
        AwsError: CloudWatch Logs refused or did not answer.
    """
    try:
        with translated("GetLogEvents"):
            found = clients.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=False, limit=limit
            )
    except NotFoundError:
        return ()
    return _lines(found)


def read_all(clients: Clients, group: str, stream: str) -> Iterator[Line]:
    """Read a stream from its head to what is its end now.

    Raises:
        AwsError: CloudWatch Logs refused or did not answer.
    """
    token = ""
    while True:
        page = read(clients, group, stream, token)
        yield from page.lines
        if page.token == token:  # CloudWatch's way to say that there is no more for now
            return
        token = page.token


def _lines(found: Mapping[str, Any]) -> list[Line]:
    return [
        Line(event["message"].rstrip("\n"), datetime.fromtimestamp(event["timestamp"] / 1000, UTC))
        for event in found["events"]
    ]
