"""Follows the logs of jobs while they run, for one identity and region.

A nicety that can never fail or delay a job: what goes wrong is asked again more rarely, and an
identity that may not read logs is told so once. The calls are few however many jobs there are: two
a second for all together (CloudWatch Logs allows 25 DescribeLogStreams and 10 to 25 GetLogEvents a
second to the whole account and region), every job at most every 2 seconds, one that says nothing
ever more rarely. A job that ends within its first seconds costs none.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from covalent_braket_plugin.aws import Clients
from covalent_braket_plugin.errors import AccessError, CredentialsError, ThrottledError
from covalent_braket_plugin.monitoring import logs
from covalent_braket_plugin.monitoring.board import BOARD
from covalent_braket_plugin.monitoring.lines import Metric, metrics_in, update_in
from covalent_braket_plugin.monitoring.rounds import Item, Rounds
from covalent_braket_plugin.monitoring.watched import watched
from covalent_braket_plugin.pace import Pace

__all__ = ["Follower", "JobLog", "News", "news_in"]

CALLS_PER_SECOND = 2.0
FIRST_SECONDS = 5.0
"""A job is that old before its log is asked for; or younger, if one hears that it still runs."""
YOUNGEST_SECONDS = 2.5
SHORT_SECONDS = 10.0
"""A job that is expected to end so soon is followed only if it does not."""
SHORTEST_SECONDS = 2.0
LONGEST_SECONDS = 15.0
WATCHED_SECONDS = 5.0
"""The longest pause while somebody looks at the dispatch."""
SLOWER = 1.5
TROUBLE_SECONDS = (5.0, 60.0)
NOT_ALLOWED_SECONDS = 1800.0
"""So long nothing is asked after a refusal: the policy may be mended."""
NEWEST_LINES = 100
LINE_CHARACTERS = 500
CODE_BEGINS = frozenset({"Running Code As Process", "Running Code As Subprocess"})
"""What AWS's container program says before the electron can: what stands above is not its own."""
OF_THE_CONTAINER = re.compile(
    r"Beginning Setup$|Boto3 Version: |Checking for Additional Requirements$"
    r"|Additional Requirements Check Finished$|Code Run Finished$|.{,40}sagemaker-training-toolkit "
)
"""Other lines of AWS's container program
(https://docs.aws.amazon.com/braket/latest/developerguide/braket-jobs-first.html)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What lines of a log say.

    Attributes:
        last_line: The electron's last one that is neither a metric nor a status; empty if it has
            said none yet, None if there is nothing new about that.
        status_text: The last status; None if there is none.
        metrics: The values of metrics, in order.
    """

    last_line: str | None = None
    status_text: str | None = None
    metrics: Sequence[Metric] = ()


FOUND = News()
"""There is a log now, and something in it."""


def news_in(lines: Iterable[str]) -> News:
    """Read what is new from lines of a log. Pure."""
    last_line: str | None = None
    status_text, metrics = None, list[Metric]()
    for line in lines:
        found = list(metrics_in(line))
        metrics += found
        plain = line.strip()
        if (update := update_in(line)) is not None:
            status_text = update.text
        elif plain in CODE_BEGINS:
            last_line = ""
        elif plain and not found and not OF_THE_CONTAINER.match(plain):
            last_line = plain[:LINE_CHARACTERS]
    return News(last_line, status_text, metrics)


@dataclass(eq=False, kw_only=True)
class JobLog:
    """A job whose log is followed.

    Attributes:
        job_arn: The job.
        job_name: Its name; empty as long as it is not known.
        group: The log group.
        dispatch_id: The dispatch that its electron is of.
        node_id: The electron's node.
        clients: Gives the clients for a call; blocks.
        write: Takes new lines, with their ends, and says whether it takes more; blocks.
    """

    job_arn: str
    job_name: str
    group: str
    dispatch_id: str
    node_id: int
    clients: Callable[[], Clients]
    write: Callable[[str], bool]
    _stream: str = ""
    _token: str = ""
    _full: bool = False
    _seen: datetime = field(default=datetime.min.replace(tzinfo=UTC))

    def read(self) -> News | None:
        """Make one call; None if there is nothing new. Blocks.

        Raises:
            AwsError: CloudWatch Logs refused or did not answer.
        """
        clients = self.clients()
        if not self._stream:
            self._stream = logs.job_log(clients, self.group, self.job_name, self.job_arn)
            return FOUND if self._stream else None
        if self._full:
            lines = self._newest(clients)
        else:
            page = logs.read(clients, self.group, self._stream, self._token)
            lines, self._token = page.lines, page.token
        if not lines:
            return None
        self._seen = lines[-1].time
        if not self._full:
            self._full = not self.write("".join(f"{line.text}\n" for line in lines))
        return news_in(line.text for line in lines)

    def _newest(self, clients: Clients) -> Sequence[logs.Line]:
        """Skip to the end: nobody could read on as fast as such a log grows."""
        newest = logs.newest(clients, self.group, self._stream, NEWEST_LINES)
        return [line for line in newest if line.time > self._seen]


class _Followed(Item):
    """Asks for one log when it is due."""

    def __init__(self, job_log: JobLog, follower: Follower) -> None:
        self.log = job_log
        self.queued = False
        self.begun = False
        self.left = False
        self.earliest = 0.0
        self._follower = follower
        self._pause = SHORTEST_SECONDS
        self._troubles = 0

    def wanted(self) -> bool:
        return bool(self.log.job_name) and self._follower.allowed

    async def ask(self) -> float:
        self.begun = True
        try:
            news = await self._follower.read(self.log)
        except Exception as error:
            return self._trouble(error)
        self._troubles = 0
        if news is None:
            return self._silent()
        self._pause = SHORTEST_SECONDS
        if news is FOUND:
            return 0.0
        if not self.left:
            _tell(self.log.dispatch_id, self.log.node_id, news)
        return self._pause

    def runs(self) -> None:
        """It runs now: it may say something soon."""
        self.queued, self._pause = False, SHORTEST_SECONDS

    def _silent(self) -> float:
        pause = LONGEST_SECONDS if self.queued else self._pause
        self._pause = min(LONGEST_SECONDS, self._pause * SLOWER)
        return min(pause, WATCHED_SECONDS) if watched(self.log.dispatch_id) else pause

    def _trouble(self, error: Exception) -> float:
        if isinstance(error, AccessError) and not isinstance(error, CredentialsError):
            self._follower.refused(error)
        elif isinstance(error, ThrottledError):
            self._follower.throttled()
        log.debug("The log of %s cannot be read now: %s", self.log.job_arn, error)
        shortest, longest = TROUBLE_SECONDS
        self._troubles += 1
        return min(longest, shortest * 2.0 ** min(self._troubles - 1, 10))


class Follower:
    """Follows logs; lives on one event loop.

    Args:
        in_thread: Runs a blocking call off the event loop.
        clock: Seconds, monotonic.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        in_thread: Callable[..., Awaitable[Any]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._in_thread = in_thread
        self._clock = clock
        self._pace = Pace(CALLS_PER_SECOND, CALLS_PER_SECOND, clock=clock, sleep=sleep)
        self._rounds = Rounds(self._pace, clock=clock, sleep=sleep)
        self._followed: dict[str, _Followed] = {}
        self._not_before = float("-inf")
        self._warned = False

    def follow(
        self, job_log: JobLog, age_seconds: float, expected_seconds: float | None = None
    ) -> None:
        """Follow the log of a job.

        Args:
            job_log: Which one.
            age_seconds: So many seconds ago it was made.
            expected_seconds: So long such jobs last; None if that is not known. Of one that will
                end in a moment there is nothing to follow, unless somebody watches.
        """
        expected = expected_seconds or 0.0
        wait = 0.0 if expected > SHORT_SECONDS or watched(job_log.dispatch_id) else expected
        first, youngest = max(wait, FIRST_SECONDS), max(wait, YOUNGEST_SECONDS)
        self.leave(job_log.job_arn)  # if two wait for the same job, one follows its log
        followed = self._followed[job_log.job_arn] = _Followed(job_log, self)
        followed.earliest = self._clock() + youngest - age_seconds
        self._rounds.add(followed, max(0.0, first - age_seconds))

    def heard(self, job_arn: str, job_name: str, *, queued: bool) -> None:
        """Take note of a job's name, and whether it runs: a queued one has no log yet."""
        followed = self._followed.get(job_arn)
        if followed is None:
            return
        named, followed.log.job_name = followed.log.job_name, job_name
        if queued:
            followed.queued = True
            return
        if followed.queued:
            followed.runs()
        elif followed.begun and named:
            return
        if self._clock() >= followed.earliest:  # else it may be over before one hears of it again
            self._rounds.hurry(followed)

    def leave(self, job_arn: str) -> None:
        """Follow a job no more, such as when it has ended."""
        followed = self._followed.pop(job_arn, None)
        if followed is not None:
            followed.left = True
            self._rounds.remove(followed)

    # --- for what is followed --------------------------------------------------------------------

    @property
    def allowed(self) -> bool:
        """Whether logs may be asked for, as far as is known."""
        return self._clock() >= self._not_before

    async def read(self, job_log: JobLog) -> News | None:
        """Make one call for a log."""
        found: News | None = await self._in_thread(job_log.read)
        return found

    def refused(self, error: Exception) -> None:
        """Ask no more for a while: this identity may not read logs."""
        self._not_before = self._clock() + NOT_ALLOWED_SECONDS
        if not self._warned:
            self._warned = True
            log.warning(
                "Logs of running jobs are not shown: %s Jobs run on all the same, and what they "
                "printed comes when they have ended. `covalent-braket policy caller` prints what "
                "the server needs.",
                error,
            )

    def throttled(self) -> None:
        """Others read logs, too: slow down."""
        self._pace.slow_down()


def _tell(dispatch_id: str, node_id: int, news: News) -> None:
    changes: dict[str, Any] = {}
    if news.last_line is not None:
        changes["last_line"] = news.last_line
    if news.status_text is not None:
        changes["status_text"] = news.status_text
    if changes:
        BOARD.set(dispatch_id, node_id, **changes)
    for metric in news.metrics:
        BOARD.add_metric(dispatch_id, node_id, metric)
