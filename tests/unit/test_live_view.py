"""What the live page is told: of what Covalent's database says, and of what the board knows."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin.covalent_compat.ui import errors, reloading
from covalent_braket_plugin.covalent_compat.ui.record import NodeRecord, Record
from covalent_braket_plugin.covalent_compat.ui.routes import tail_of
from covalent_braket_plugin.covalent_compat.ui.texts import error_text
from covalent_braket_plugin.covalent_compat.ui.view import ALL_POINTS, POINTS, dispatch_view
from covalent_braket_plugin.monitoring.board import Board
from covalent_braket_plugin.monitoring.lines import Metric
from tests.support import virtual_time

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = BEGAN + timedelta(seconds=30)


def node(number: int = 0, status: str = "RUNNING", **more: Any) -> NodeRecord:
    ended = NOW - timedelta(seconds=10) if status in ("COMPLETED", "FAILED") else None
    return NodeRecord(number, "energy", status, "braket", BEGAN, ended, **more)


def seen(board: Board, *nodes: NodeRecord, status: str = "RUNNING") -> dict[str, Any]:
    record = Record("d", "vqe", status, BEGAN, nodes)
    told = dispatch_view(record, board.entries("d"), lambda each: board.metrics("d", each), NOW)
    json.dumps(told, allow_nan=False)
    return told


# --- phases ------------------------------------------------------------------------------------


def test_board_says_more_of_an_open_electron_than_covalent() -> None:
    board = Board()
    board.set("d", 0, phase="waiting", note="2 electrons ahead", job_name="energy-1")
    (electron,) = seen(board, node(status="NEW_OBJECT"))["electrons"]
    assert (electron["phase"], electron["note"]) == ("waiting", "2 electrons ahead")
    assert electron["job_name"] == "energy-1"


def test_covalents_word_on_the_end_is_the_last_one() -> None:
    board = Board()
    board.set("d", 0, phase="running", note="old")
    (electron,) = seen(board, node(status="FAILED", error="ValueError: no"))["electrons"]
    assert (electron["phase"], electron["note"]) == ("failed", "")
    assert electron["error"] == "ValueError: no"
    assert [phase for phase, _ in electron["history"]] == ["running", "failed"]


def test_electron_is_told_of_without_the_board_as_after_a_restart() -> None:
    arn = "arn:aws:braket:eu-west-2:123456789012:job/1"
    told = seen(Board(), node(status="COMPLETED", job_arn=arn), node(1, "NEW_OBJECT"))
    ended, waits = told["electrons"]
    assert (ended["phase"], ended["seconds"]) == ("completed", 20.0)
    assert ended["console_url"].startswith("https://eu-west-2.console.aws.amazon.com/")
    assert waits["phase"] == "waiting"


def test_electron_that_never_had_its_turn_does_not_wait_for_ever() -> None:
    nodes = (node(status="FAILED"), node(1, "NEW_OBJECT"))
    assert [each["phase"] for each in seen(Board(), *nodes)["electrons"]] == ["failed", "waiting"]
    ended = seen(Board(), *nodes, status="FAILED")["electrons"]
    assert [each["phase"] for each in ended] == ["failed", "skipped"]


def test_cost_of_a_dispatch_is_the_sum_of_what_is_known() -> None:
    board = Board()
    assert seen(board, node())["cost_usd"] is None
    board.set("d", 0, cost_usd=0.5)
    board.set("d", 1, cost_usd=None)
    board.set("d", 2, cost_usd=0.25)
    assert seen(board, node(0), node(1), node(2))["cost_usd"] == 0.75


# --- bounds ------------------------------------------------------------------------------------


def test_newest_values_of_a_metric_are_told_and_what_json_cannot_say_is_none() -> None:
    board = Board()
    board.set("d", 0)
    for i in range(POINTS + 1):
        board.add_metric("d", 0, Metric("energy", float("nan") if i == POINTS else i, None, i))
    values = seen(board, node())["electrons"][0]["metrics"]["energy"]
    assert len(values) == POINTS
    assert values[0] == [1, None, 1]
    assert values[-1] == [POINTS, None, None]


def test_metrics_of_many_electrons_are_bounded_together() -> None:
    board = Board()
    for number in range(100):
        board.set("d", number)
        for i in range(POINTS):
            board.add_metric("d", number, Metric("energy", i, None, i))
    told = seen(board, *(node(number) for number in range(100)))["electrons"]
    assert sum(len(each["metrics"]["energy"]) for each in told) <= ALL_POINTS


def test_errors_of_a_thousand_electrons_are_a_line_each() -> None:
    text = "ValueError: no\n" + 1999 * "x"
    told = seen(Board(), *(node(n, "FAILED", error=text) for n in range(1000)))["electrons"]
    assert {each["error"] for each in told} == {"ValueError: no"}


# --- logs --------------------------------------------------------------------------------------


def test_log_is_read_on_from_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    assert tail_of(path, 0) == {"text": "", "offset": 0, "size": 0}
    path.write_text("one\n")
    assert tail_of(path, 0) == {"text": "one\n", "offset": 4, "size": 4}
    path.write_text("one\ntwo\n")
    assert tail_of(path, 4) == {"text": "two\n", "offset": 8, "size": 8}


def test_log_that_was_written_anew_and_is_shorter_is_told_by_a_smaller_offset(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stdout.log"
    path.write_text("short\n")
    assert tail_of(path, 100)["offset"] == 6


def test_end_of_a_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    path.write_text("first line\nsecond line\n")
    assert tail_of(path, -15) == {"text": "second line\n", "offset": 23, "size": 23}


@pytest.mark.parametrize("character", ["ä", "€", "😀"])
def test_character_that_is_written_in_parts_is_told_whole(tmp_path: Path, character: str) -> None:
    path, data = tmp_path / "stdout.log", f"a{character}".encode()
    for size in range(2, len(data)):
        path.write_bytes(data[:size])
        assert tail_of(path, 0)["text"] == "a"
    path.write_bytes(data)
    assert tail_of(path, 0)["text"] == f"a{character}"


def test_bytes_that_are_no_text_do_not_hold_a_log_up(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    path.write_bytes(b"\x80\x80\x80\x80\x80")
    assert tail_of(path, 0)["offset"] == 5


# --- errors ------------------------------------------------------------------------------------


def test_stderr_is_not_told_twice_if_the_error_holds_it(tmp_path: Path) -> None:
    files = {"error": tmp_path / "error", "stderr": tmp_path / "stderr"}
    files["error"].write_text("Your code: ValueError\nTraceback ...\n")
    assert error_text(files) == "Your code: ValueError\nTraceback ..."
    files["stderr"].write_text("Traceback ...\n")
    assert error_text(files) == "Your code: ValueError\nTraceback ..."
    files["stderr"].write_text("a warning\n")
    assert error_text(files).endswith("\n\na warning")


def test_error_of_a_dispatch_names_electrons_and_reasons_and_is_bounded() -> None:
    failed = [(n, "energy", lambda: "ValueError: no\nwhere\n" + 100 * "more\n") for n in range(30)]
    text = errors.of_dispatch(failed)
    assert text.startswith("The following tasks failed:\n0: energy\n   ValueError: no\n   where\n")
    told = re.split(r"\n(?=\d+: )", text)[1:]
    assert [each.count("more") for each in told[:4]] == [100, 100, 100, 2]
    assert text.endswith("... and 10 more\n")
    assert errors.of_dispatch([]) == ""


# --- reloading ---------------------------------------------------------------------------------


class Pages:
    """Notes when pages were told of what."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []
        self.reloading = reloading.Reloading(self.tell)

    async def tell(self, dispatch_id: str) -> None:
        self.told.append((virtual_time.now(), dispatch_id))
        if dispatch_id == "broken":
            raise OSError("a page went away")

    def times(self, dispatch_id: str) -> list[float]:
        return [time for time, each in self.told if each == dispatch_id]


def test_first_change_is_told_at_once_and_the_last_one_too() -> None:
    async def story() -> list[float]:
        pages = Pages()
        for _ in range(50):  # within 2.5 seconds
            pages.reloading.changed("d", 3)
            await asyncio.sleep(0.05)
        last = virtual_time.now()
        await asyncio.sleep(10)
        times = pages.times("d")
        assert times[-1] >= last - 0.05
        return times

    times = virtual_time.run(story())
    assert times[0] == 0
    assert len(times) == 4
    assert all(later - earlier >= 0.99 for earlier, later in itertools.pairwise(times))


def test_page_of_a_thousand_electrons_reloads_every_four_seconds_at_most() -> None:
    async def story() -> list[float]:
        pages = Pages()
        for _ in range(1000):
            pages.reloading.changed("d", 1000)
            await asyncio.sleep(0.02)
        await asyncio.sleep(10)
        return pages.times("d")

    assert 5 <= len(virtual_time.run(story())) <= 7


def test_list_of_dispatches_does_not_reload_for_each_of_hundreds() -> None:
    async def story() -> Pages:
        pages = Pages()
        for number in range(100):
            pages.reloading.changed(str(number), 1)
        await asyncio.sleep(0.5)
        assert len(pages.told) == reloading.AT_ONCE
        await asyncio.sleep(20)
        return pages

    assert len({each for _, each in virtual_time.run(story()).told}) == 100


def test_page_that_cannot_be_told_does_not_stop_the_others() -> None:
    async def story() -> list[float]:
        pages = Pages()
        pages.reloading.changed("broken", 1)
        pages.reloading.changed("d", 1)
        await asyncio.sleep(3)
        return pages.times("d")

    assert virtual_time.run(story()) == [0]


# --- sublattices -------------------------------------------------------------------------------


def test_sublattice_names_the_dispatch_that_it_became() -> None:
    inner = NodeRecord(0, "scan", "DISPATCHING", "local", BEGAN, None, sub_dispatch_id="inner")
    (electron,) = seen(Board(), inner)["electrons"]
    assert (electron["phase"], electron["sub_dispatch_id"]) == ("running", "inner")
