"""Asking in turn, and the phases of electrons: on a clock that jumps."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter

import pytest

from covalent_braket_plugin.descriptions import Event, Job, JobSummary, job_of
from covalent_braket_plugin.monitoring import phases, watched
from covalent_braket_plugin.monitoring.board import BOARD, Board
from covalent_braket_plugin.monitoring.follower import news_in
from covalent_braket_plugin.monitoring.rounds import Item, Rounds
from covalent_braket_plugin.pace import Pace
from tests.support import virtual_time
from tests.support.virtual_time import now


class Asked(Item):
    """Notes when it was asked, and wants to be asked again in so many seconds."""

    def __init__(self, again: float = 2.0, *, takes: float = 0.1) -> None:
        self.at: list[float] = []
        self.again = again
        self.takes = takes
        self.is_wanted = True
        self.breaks = False

    def wanted(self) -> bool:
        return self.is_wanted

    async def ask(self) -> float:
        self.at.append(now())
        await asyncio.sleep(self.takes)
        if self.breaks:
            raise ValueError("broken")
        return self.again


def rounds(per_second: float = 2.0) -> Rounds:
    pace = Pace(per_second, per_second, clock=now, sleep=asyncio.sleep)
    return Rounds(pace, clock=now, sleep=asyncio.sleep)


async def asked_for(items: list[Asked], seconds: float, per_second: float = 2.0) -> None:
    mine = rounds(per_second)
    for item in items:
        mine.add(item, 0.0)
    await asyncio.sleep(seconds)
    for item in items:
        mine.remove(item)


def test_many_are_asked_in_turn_and_all_together_not_faster_than_the_pace() -> None:
    items = [Asked() for _ in range(300)]
    virtual_time.run(asked_for(items, 300.0))
    counts = Counter(len(item.at) for item in items)
    assert set(counts) <= {1, 2, 3}
    assert sum(len(item.at) for item in items) <= 2 + 2 * 300


def test_what_runs_and_what_has_ended_are_asked_in_turn() -> None:
    running, over = [Asked(again=10.0) for _ in range(3)], [Asked(again=1000.0) for _ in range(60)]
    for each in over:
        each.ended = True
    virtual_time.run(asked_for([*over, *running], 30.0))
    assert [len(each.at) for each in running] == [3, 3, 3]
    assert sum(len(each.at) for each in over) > 40


def test_one_alone_is_asked_as_often_as_it_wants() -> None:
    item = Asked(again=2.0)
    virtual_time.run(asked_for([item], 21.0))
    assert item.at == pytest.approx([2.1 * number for number in range(10)], abs=0.2)


def test_who_is_not_wanted_or_breaks_holds_up_nobody() -> None:
    unwanted, broken, hanging, fine = Asked(), Asked(), Asked(takes=1000.0), Asked()
    unwanted.is_wanted, broken.breaks = False, True
    virtual_time.run(asked_for([unwanted, broken, hanging, fine], 30.0))
    assert unwanted.at == []
    assert len(broken.at) == 1
    assert len(fine.at) >= 12


def test_hurried_one_is_asked_sooner_and_never_later() -> None:
    async def hurry() -> list[float]:
        mine, item = rounds(), Asked(again=100.0)
        mine.add(item, 50.0)
        mine.hurry(item, 5.0)
        mine.hurry(item, 20.0)
        await asyncio.sleep(40)
        mine.remove(item)
        return item.at

    assert virtual_time.run(hurry()) == pytest.approx([5.0], abs=0.1)


# --- phases ------------------------------------------------------------------------------------


def job(status: str, *events: str, position: str = "") -> Job:
    happened = tuple(Event(each, None, "") for each in events)
    return Job(arn="arn", name="hello-1", status=status, events=happened, queue_position=position)


def test_phase_is_read_from_the_newest_event_and_the_place_in_the_queue() -> None:
    queued = ("QUEUED_FOR_EXECUTION",)
    started = (*queued, "STARTING_INSTANCE")
    place = "position 7 in Braket's queue"
    assert phases.phase_of(job("QUEUED", *queued, position="7")) == ("queued", place)
    assert phases.phase_of(job("QUEUED", *started)) == ("starting", "")
    loading = job("RUNNING", *started, "DOWNLOADING_DATA")
    assert phases.phase_of(loading) == ("starting", "downloading input data")
    assert phases.phase_of(job("RUNNING", *started, "RUNNING")) == ("running", "")
    assert phases.phase_of(job("RUNNING", "RUNNING", "UPLOADING_RESULTS")) == ("uploading", "")
    assert phases.phase_of(job("CANCELLING", "RUNNING")) == ("running", "being cancelled")
    assert phases.phase_of(job("COMPLETED", "COMPLETED")) is None


def test_position_that_says_none_is_no_position() -> None:
    found = {"jobArn": "arn", "jobName": "hello-1", "status": "RUNNING"}
    assert job_of({**found, "queueInfo": {"position": "None"}}).queue_position == ""
    assert job_of({**found, "queueInfo": {"position": ">15"}}).queue_position == ">15"
    assert job_of(found).queue_position == ""


def test_less_precise_news_do_not_put_a_phase_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    dispatch_id = str(uuid.uuid4())
    phases.enter(dispatch_id, 0, "queued", name="hello", job_name="hello-1")
    phases.heard(dispatch_id, 0, job("RUNNING", "RUNNING", "UPLOADING_RESULTS"))
    phases.heard(dispatch_id, 0, JobSummary(arn="arn", name="hello-1", status="QUEUED"))
    phases.enter(dispatch_id, 0, "collecting")
    phases.heard(dispatch_id, 0, job("RUNNING", "RUNNING"))
    phases.enter(dispatch_id, 0, "completed")
    phases.failed(dispatch_id, 0, "too late")
    entry = BOARD.entry(dispatch_id, 0)
    assert entry is not None
    assert [name for name, _ in entry.history] == ["queued", "uploading", "collecting", "completed"]
    assert [line.partition(" after ")[0] for line in caplog.messages] == [
        "hello-1 is uploading",
        "hello-1 is collecting",
        "hello-1 is completed",
    ]


def test_cost_of_an_electron_is_that_of_all_its_attempts() -> None:
    board = Board()
    board.set_cost("d", 0, "first", 0.25)
    board.set_cost("d", 0, "second", 0.25)
    board.set_cost("d", 0, "second", 0.5)
    entry = board.entry("d", 0)
    assert entry is not None
    assert entry.cost_usd == 0.75


def test_news_are_the_last_plain_line_the_last_status_and_all_metrics() -> None:
    news = news_in(
        [
            "hello",
            'Status - timestamp=1.0; "step 1"',
            "Metrics - timestamp=1.0; energy=-1; iteration_number=1;",
            "world " * 200,
            'Status - timestamp=2.0; "step 2"',
            "",
            "Metrics - timestamp=2.0; energy=-2; iteration_number=2;",
        ]
    )
    assert news.status_text == "step 2"
    assert news.last_line is not None
    assert news.last_line.startswith("world world")
    assert len(news.last_line) == 500
    assert [metric.value for metric in news.metrics] == [-1.0, -2.0]


def test_what_awss_container_says_is_not_what_the_electron_says() -> None:
    before = ["Invoking script with the following command:", "/usr/bin/python3 braket_container.py"]
    setup = ["Beginning Setup", "Boto3 Version:  1.40.0", "Checking for Additional Requirements"]
    begun = [*before, *setup, "Additional Requirements Check Finished", "Running Code As Process"]
    toolkit = (
        "2026-01-02 03:04:05,678 sagemaker-training-toolkit INFO     Reporting training SUCCESS"
    )
    assert news_in(begun).last_line == ""
    assert news_in(["Code Run Finished", toolkit]).last_line is None
    assert news_in([*begun, "hello", "Code Run Finished", toolkit]).last_line == "hello"


def test_a_dispatch_is_watched_for_a_while_after_somebody_asked() -> None:
    dispatch_id = str(uuid.uuid4())
    assert not watched.watched(dispatch_id)
    watched.note(dispatch_id)
    assert watched.watched(dispatch_id)
