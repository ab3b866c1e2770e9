"""A job's log as lines, and the log of a running one as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from covalent_braket_plugin.monitoring.logs import Line, job_log, read
from covalent_braket_plugin.patience import persistently
from covalent_braket_plugin.pipeline import Context

__all__ = ["follow", "read_whole"]

LOOK_SECONDS = 2.0
ASK_EVERY = 2
"""Every so many looks that find nothing, Braket is asked whether the job has ended."""
SETTLE_SECONDS = 2.0
"""CloudWatch Logs may get a job's last lines after its end."""
ATTEMPTS = 11


def read_whole(ctx: Context, job_name: str, job_arn: str) -> Iterator[Line]:
    """Read a job's log up to what is its end now.

    Raises:
        AwsError: CloudWatch Logs refused or did not answer.
    """
    tail = _Tail(ctx, job_name, job_arn, time.sleep)
    while lines := tail.new():
        yield from lines


def follow(
    ctx: Context,
    job_name: str,
    job_arn: str,
    ended: Callable[[], bool],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Line]:
    """Read a job's log as it grows, until the job has ended and all of it is read.

    One call each two seconds, and one to Braket each four while there is nothing new. What is
    throttled, or does not answer, is asked again later and later, for a few minutes at most.

    Args:
        ctx: Settings and calls.
        job_name: The job's name.
        job_arn: Its ARN.
        ended: Asks Braket whether the job has ended.
        pause: Sleeps.

    Raises:
        AwsError: CloudWatch Logs or Braket refused, or did not answer for long.
    """
    tail = _Tail(ctx, job_name, job_arn, pause)
    looks, over = 0, ended()
    while True:
        while lines := tail.new():
            yield from lines
            if not over:
                pause(LOOK_SECONDS)
        if over:
            break
        looks += 1
        if looks % ASK_EVERY == 0:
            over = ended()
        pause(LOOK_SECONDS)
    pause(SETTLE_SECONDS)
    while lines := tail.new():
        yield from lines


class _Tail:
    """The end of a log, which is read on."""

    def __init__(
        self, ctx: Context, job_name: str, job_arn: str, pause: Callable[[float], None]
    ) -> None:
        self._ctx, self._name, self._arn, self._pause = ctx, job_name, job_arn, pause
        self._stream = self._token = ""

    def new(self) -> Sequence[Line]:
        """Read what is new; nothing if there is none, or no log yet."""
        return persistently(self._new, ATTEMPTS, LOOK_SECONDS, self._pause)

    def _new(self) -> Sequence[Line]:
        clients, group = self._ctx.jobs.clients, self._ctx.settings.log_group_name
        if not self._stream:
            self._stream = job_log(clients, group, self._name, self._arn)
        while self._stream:
            page = read(clients, group, self._stream, self._token)
            same, self._token = page.token == self._token, page.token
            if page.lines or same:
                return page.lines
        return ()
