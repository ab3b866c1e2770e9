"""Ships a job's output to CloudWatch Logs while it runs.

The program writes to a file, never into a pipe, so that it is never held up by its log. This
room reads the file on and sends whole lines. A log that cannot be sent never fails a job.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from covalent_braket_plugin.local.aws_clients import AwsClients
from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_files import HOST

__all__ = ["LOG_GROUP", "LogShipper"]

log = logging.getLogger(__name__)

LOG_GROUP = "/aws/braket/jobs"

# Limits of PutLogEvents: 1 MiB and 10,000 events a call, 26 bytes of overhead an event, and
# 256 KiB an event (CloudWatch Logs API reference and quotas).
MAX_CALL_EVENTS = 10_000
READ_BYTES = 512 * 1024
MAX_EVENT_BYTES = 256 * 1024 - 26
EVENT_OVERHEAD = 26
MAX_CALL_BYTES = 1 << 20

# The log group lives in the local Braket's memory, so a runaway log must end somewhere.
MAX_JOB_BYTES = 64 * 1024 * 1024
SHIP_SECONDS = 0.25


class LogShipper:
    """Sends one job's log file, line by line.

    Args:
        clients: Where AWS clients come from.
        job: The job.
        path: The file its program writes to.
    """

    def __init__(self, clients: AwsClients, job: Job, path: Path) -> None:
        self._clients = clients
        self._job = job
        self._path = path
        self._offset = 0
        self._rest = b""
        self._stream = ""
        self._due = 0.0

    def ship(self) -> None:
        """Send what has been written since the last time, if that is long enough ago."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + SHIP_SECONDS
            self._ship_some()

    def close(self) -> None:
        """Send all the rest, including a last line without an end."""
        while self._ship_some():
            pass
        if self._rest:
            self._send([self._rest])
            self._rest = b""

    def _ship_some(self) -> bool:
        """Read on and send whole lines; whether there may be more."""
        data = self._read()
        if not data:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        self._send(lines)
        return True

    def _read(self) -> bytes:
        if self._offset >= MAX_JOB_BYTES:
            return b""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(READ_BYTES)
        except OSError:
            return b""
        self._offset += len(data)
        if self._offset >= MAX_JOB_BYTES:
            data += b"\n[local Braket: the log is cut here; it is longer than 64 MiB]\n"
        return data

    def _send(self, lines: list[bytes]) -> None:
        stamp = int(time.time() * 1000)
        events = [
            {"timestamp": stamp, "message": text}
            for line in lines
            for text in _messages(line.rstrip(b"\r"))
        ]
        try:
            for batch in _batches(events):
                self._put(batch)
        except Exception:
            log.warning("log of job %s not sent", self._job.arn, exc_info=True)

    def _put(self, events: list[dict[str, Any]]) -> None:
        client = self._clients.client("logs", self._job.region)
        if not self._stream:
            self._stream = f"{self._job.name}/{self._job.uuid}/{HOST}-{int(time.time())}"
            _create(client, self._stream)
        client.put_log_events(logGroupName=LOG_GROUP, logStreamName=self._stream, logEvents=events)


def _create(client: Any, stream: str) -> None:
    try:
        client.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    except client.exceptions.ResourceNotFoundException:
        try:
            client.create_log_group(logGroupName=LOG_GROUP)
        except client.exceptions.ResourceAlreadyExistsException:
            log.debug("another job made the log group first")
        client.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)


def _messages(line: bytes) -> list[str]:
    """The events of a line: none if it is empty, several if it is longer than an event may be."""
    parts = range(0, len(line), MAX_EVENT_BYTES)
    return [line[at : at + MAX_EVENT_BYTES].decode("utf-8", "replace") for at in parts]


def _batches(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = []
    size = 0
    for event in events:
        cost = len(event["message"].encode()) + EVENT_OVERHEAD
        full = not batches or size + cost > MAX_CALL_BYTES or len(batches[-1]) >= MAX_CALL_EVENTS
        if full:
            batches.append([])
            size = 0
        batches[-1].append(event)
        size += cost
    return batches
