"""Ships a job's output to CloudWatch Logs while it runs.

The program writes to a file, never into a pipe, so that it is never held up by its log. This
room reads the file on and sends whole lines. A log that cannot be sent never fails a job.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
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
READ_BYTES = 64 * 1024
MAX_EVENT_BYTES = 256 * 1024 - 26
EVENT_OVERHEAD = 26
MAX_CALL_BYTES = 1 << 20

# The log group lives in the local Braket's memory, an object for each line, so a runaway log must
# end somewhere.
MAX_JOB_BYTES = 64 * 1024 * 1024
MAX_JOB_EVENTS = 200_000
DISK_SLACK_BYTES = 16 * 1024 * 1024

TOO_LONG = "it is longer than 200,000 lines or 64 MiB"
TOO_SLOW = "the job ended before it could be sent"


class LogShipper:
    """Sends one job's log file, line by line. Its methods may be called by several threads.

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
        self._sent = 0
        self._rest = b""
        self._stream = ""
        self._cut = False
        self._deadline: float | None = None
        self._lock = threading.Lock()

    def ship(self) -> None:
        """Send what has been written since the last time."""
        with self._lock:
            while self._deadline is None and self._ship_some():
                pass

    def close(self, seconds: float) -> None:
        """Send the rest, including a last line without an end, or say that some is left out.

        Args:
            seconds: How long that may take.
        """
        self._deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            log.warning("log of job %s is not sent to its end", self._job.arn)
            return
        try:
            while not self._late() and self._ship_some():
                pass
            if self._late() and self._more():
                self._leave_rest(TOO_SLOW)
            self._send([self._rest])
        finally:
            self._lock.release()

    def bound(self) -> None:
        """Keep the file from filling the disk: what will never be read is cut off."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_size > MAX_JOB_BYTES + DISK_SLACK_BYTES:
                # The program appends, so it goes on from there.
                os.truncate(self._path, MAX_JOB_BYTES + 1)

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _more(self) -> bool:
        try:
            return self._offset < self._path.stat().st_size
        except OSError:
            return False

    def _ship_some(self) -> bool:
        """Read on and send whole lines; whether there may be more."""
        if self._cut:
            return False
        data = self._read()
        if not data:
            if self._offset >= MAX_JOB_BYTES and self._more():
                self._leave_rest(TOO_LONG)
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        self._send(lines)
        return True

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(min(READ_BYTES, MAX_JOB_BYTES - self._offset))
        except OSError:
            return b""
        self._offset += len(data)
        return data

    def _send(self, lines: list[bytes]) -> None:
        if self._cut:
            return
        messages = [text for line in lines for text in _messages(line.rstrip(b"\r"))]
        room = MAX_JOB_EVENTS - self._sent
        self._put_all(messages[:room])
        if len(messages) > room:
            self._leave_rest(TOO_LONG)

    def _leave_rest(self, why: str) -> None:
        self._cut = True
        self._put_all([f"[local Braket: the rest of the log is left out; {why}]"])

    def _put_all(self, messages: list[str]) -> None:
        self._sent += len(messages)
        stamp = int(time.time() * 1000)
        try:
            for batch in _batches([{"timestamp": stamp, "message": text} for text in messages]):
                self._put(batch)
        except Exception:
            log.warning("log of job %s not sent", self._job.arn, exc_info=True)

    def _put(self, events: list[dict[str, Any]]) -> None:
        client = self._clients.client("logs", *self._job.place)
        if not self._stream:
            stream = f"{self._job.name}/{self._job.uuid}/{HOST}-{int(time.time())}"
            _create(client, stream)
            self._stream = stream
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
