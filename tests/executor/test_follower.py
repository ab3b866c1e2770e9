"""Following logs on the local Braket's CloudWatch Logs: which lines come, and at which cost."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest

from covalent_braket_plugin import aws
from covalent_braket_plugin.monitoring import follower as module
from covalent_braket_plugin.monitoring import watched
from covalent_braket_plugin.monitoring.board import BOARD
from covalent_braket_plugin.monitoring.follower import Follower, JobLog
from covalent_braket_plugin.settings import Settings, with_local
from covalent_braket_plugin.threads import quickly
from tests.support.braket_server import BraketServer, eventually

GROUP = "/aws/braket/jobs"
OLD = 60.0
"""Seconds: a job of that age is asked about at once."""

pytestmark = pytest.mark.usefixtures("no_blocking")


@dataclass
class Logged:
    """A job's log, and what came of following it."""

    server: BraketServer
    clients: aws.Clients
    most: int = 1000
    name: str = "hello-1"
    node: tuple[str, int] = field(default_factory=lambda: (str(uuid.uuid4()), 0))
    text: str = ""

    def __post_init__(self) -> None:
        self.uuid = str(uuid.uuid4())
        self.arn = f"arn:aws:braket:us-east-1:000000000000:job/{self.uuid}"
        self._made = False

    def say(self, *lines: str) -> None:
        """Put lines into the log."""
        logs = self.server.client("logs")
        if not self._made:
            for make, names in (
                (logs.create_log_group, {"logGroupName": GROUP}),
                (logs.create_log_stream, {"logGroupName": GROUP, "logStreamName": self._stream}),
            ):
                try:
                    make(**names)
                except logs.exceptions.ResourceAlreadyExistsException:
                    continue
            self._made = True
        events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
        logs.put_log_events(logGroupName=GROUP, logStreamName=self._stream, logEvents=events)

    @property
    def _stream(self) -> str:
        return f"{self.name}/{self.uuid}/algo-1-1700000000"

    def job_log(self) -> JobLog:
        return JobLog(
            job_arn=self.arn,
            job_name=self.name,
            group=GROUP,
            dispatch_id=self.node[0],
            node_id=self.node[1],
            clients=lambda: self.clients,
            write=self._write,
        )

    def _write(self, text: str) -> bool:
        self.text += text
        return len(self.text) < self.most

    async def says(self, words: str, seconds: float = 15.0) -> None:
        """Wait until that is in the text."""
        await asyncio.to_thread(eventually, lambda: words in self.text, seconds)


@pytest.fixture
def clients(local_braket: BraketServer) -> aws.Clients:
    local_braket.reset_calls()
    return aws.clients_for(with_local(Settings(local=True), local_braket.info))


@pytest.fixture
def logged(local_braket: BraketServer, clients: aws.Clients) -> Logged:
    return Logged(local_braket, clients)


def calls(server: BraketServer) -> dict[str, int]:
    return {
        name: count
        for name, count in server.calls().get("dispatcher", {}).items()
        if name.startswith("logs:")
    }


async def test_lines_come_in_order_and_once_from_the_jobs_own_stream(logged: Logged) -> None:
    namesake = Logged(logged.server, logged.clients)
    await asyncio.to_thread(namesake.say, "of another job")
    await asyncio.to_thread(logged.say, "one", 'Status - timestamp=1.0; "step 1"', "two")
    following = Follower(quickly)
    following.follow(logged.job_log(), OLD)
    await logged.says("two\n")
    await asyncio.to_thread(logged.say, "three")
    await logged.says("three\n")
    following.leave(logged.arn)
    assert logged.text == 'one\nStatus - timestamp=1.0; "step 1"\ntwo\nthree\n'
    (entry,) = BOARD.entries(logged.node[0])
    assert (entry.last_line, entry.status_text) == ("three", "step 1")
    made = await asyncio.to_thread(calls, logged.server)
    assert made["logs:DescribeLogStreams"] == 1
    assert made["logs:GetLogEvents"] <= 3


async def test_throttled_follower_slows_down_and_loses_nothing(logged: Logged) -> None:
    await asyncio.to_thread(logged.say, "one")
    rule = {"operation": "logs:GetLogEvents", "kind": "throttle", "times": 4}
    await asyncio.to_thread(logged.server.faults, rule)
    following = Follower(quickly)
    following.follow(logged.job_log(), OLD)
    await logged.says("one\n", 30)
    following.leave(logged.arn)


async def test_young_job_is_asked_about_only_if_it_is_heard_to_run_on(logged: Logged) -> None:
    await asyncio.to_thread(logged.say, "one")
    following = Follower(quickly)
    following.follow(logged.job_log(), 0.0)
    following.heard(logged.arn, logged.name, queued=False)
    await asyncio.sleep(1.0)
    assert await asyncio.to_thread(calls, logged.server) == {}
    following.leave(logged.arn)
    following.follow(logged.job_log(), module.YOUNGEST_SECONDS)
    following.heard(logged.arn, logged.name, queued=False)
    await logged.says("one\n", 2)
    following.leave(logged.arn)


async def test_job_that_will_end_in_a_moment_is_followed_only_if_it_does_not_or_is_watched(
    logged: Logged,
) -> None:
    await asyncio.to_thread(logged.say, "one")
    following = Follower(quickly)
    following.follow(logged.job_log(), 1.0, expected_seconds=1.0)
    await asyncio.sleep(1.0)
    assert await asyncio.to_thread(calls, logged.server) == {}
    following.follow(logged.job_log(), 4.0, expected_seconds=6.0)
    following.heard(logged.arn, logged.name, queued=False)
    await asyncio.sleep(1.0)
    assert await asyncio.to_thread(calls, logged.server) == {}
    await logged.says("one\n", 5)
    following.leave(logged.arn)
    logged.text = ""
    watched.note(logged.node[0])
    following.follow(logged.job_log(), OLD / 10, expected_seconds=9.0)
    await logged.says("one\n", 2)
    following.leave(logged.arn)


async def test_of_a_log_that_grows_without_end_only_the_newest_is_read(logged: Logged) -> None:
    logged.most = 10
    await asyncio.to_thread(logged.say, "0123456789")
    following = Follower(quickly)
    following.follow(logged.job_log(), OLD)
    await logged.says("0123456789\n")
    await asyncio.to_thread(logged.say, *(f"line {number}" for number in range(1000)))
    newest = lambda: BOARD.entries(logged.node[0])[0].last_line == "line 999"  # noqa: E731
    await asyncio.to_thread(eventually, newest)
    following.leave(logged.arn)
    assert logged.text == "0123456789\n"


@pytest.mark.slow
async def test_many_jobs_share_the_calls_and_none_is_left_out(
    local_braket: BraketServer, clients: aws.Clients
) -> None:
    many = [Logged(local_braket, clients) for _ in range(10)]
    for each in many:
        await asyncio.to_thread(each.say, "one")
    following = Follower(quickly)
    began = time.monotonic()
    for each in many:
        following.follow(each.job_log(), OLD)
    for each in many:
        await each.says("one\n", 30)
    seconds = time.monotonic() - began
    made = await asyncio.to_thread(calls, local_braket)
    for each in many:
        following.leave(each.arn)
    assert sum(made.values()) <= module.CALLS_PER_SECOND * (seconds + 2)


async def test_what_goes_wrong_on_our_side_is_no_error_either(logged: Logged) -> None:
    await asyncio.to_thread(logged.say, "one")

    def broken() -> Any:
        raise ValueError("a setting that was mistyped meanwhile")

    job_log = logged.job_log()
    job_log.clients = broken
    following = Follower(quickly)
    following.follow(job_log, OLD)
    await asyncio.sleep(1.0)
    following.leave(logged.arn)
    assert logged.text == ""
