"""What a watched dispatch looks like, from what the server tells."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from covalent_braket_plugin.cli.watch_view import clean, differs, news, picture

BEGAN, LATER, NOW = (f"2026-01-01T10:00:{second:02}+00:00" for second in (0, 5, 30))


def electron(node_id: int = 0, **changes: Any) -> dict[str, Any]:
    usual = {
        "node_id": node_id,
        "name": "energy",
        "phase": "running",
        "note": "",
        "since": LATER,
        "history": [["staging", BEGAN], ["running", LATER]],
        "seconds": 25.0,
        "attempt": 1,
        "status_text": "",
        "last_line": "",
        "error": "",
        "cost_usd": None,
        "job_arn": "",
        "console_url": "",
        "metrics": {},
    }
    return {**usual, **changes}


def told(*electrons: dict[str, Any], **changes: Any) -> dict[str, Any]:
    usual = {"dispatch_id": "id", "workflow": "flow", "status": "RUNNING", "cost_usd": None}
    return {**usual, "began": BEGAN, "now": NOW, "electrons": list(electrons), **changes}


def drawn(view: dict[str, Any], rows: int = 20, width: int = 200) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=True, color_system="standard").print(
        picture(view, rows)
    )
    return stream.getvalue()


def test_row_shows_phase_status_metrics_last_line_and_cost() -> None:
    metrics = {"energy": [[1, 0.5, -1.0], [2, 0.6, -1.13725]]}
    shown = drawn(
        told(
            electron(status_text="step 2", last_line="hello", cost_usd=0.0012, metrics=metrics),
            electron(3, phase="waiting", note="4 electrons ahead, 3 of 3 jobs running"),
            electron(4, phase="failed", error="Your code: ValueError: no\nmore", attempt=2),
            cost_usd=0.0012,
        )
    )
    for words in (
        "flow id: RUNNING",
        "energy=-1.13725 (iteration 2)",
        "step 2",
        "hello",
        "$0.0012",
        "4 electrons ahead, 3 of 3 jobs running",
        "failed (attempt 2)",
        "Your code: ValueError: no",
        "3 electrons: 1 running, 1 waiting, 1 failed; 0:30; cost so far $0.0012",
    ):
        assert words in shown
    assert "more" not in shown


def test_where_there_is_no_room_for_all_those_that_do_something_are_shown() -> None:
    many = [electron(number, phase="completed") for number in range(300)]
    many[250]["phase"], many[270]["phase"] = "running", "failed"
    shown = drawn(told(*many), rows=3)
    assert "250" in shown
    assert "270" in shown
    assert "297 of them not shown" in shown


@pytest.mark.parametrize("width", [60, 80, 200])
def test_an_electron_takes_one_line_however_narrow_the_terminal_is(width: int) -> None:
    note = "12 electrons ahead, 3 of 3 jobs running"
    many = [electron(number, phase="waiting", note=note, cost_usd=0.1) for number in range(9)]
    lines = drawn(told(*many), width=width).splitlines()
    assert [line.split()[:3] for line in lines[2:11]] == [
        [str(number), "energy", "waiting"] for number in range(9)
    ]
    assert all("12 elec" in line for line in lines[2:11])
    assert "metrics" not in lines[1]  # there are none


def test_what_electrons_print_never_reaches_the_terminal_as_commands() -> None:
    hostile = "\x1b]0;owned\x07\x9b31m[red]\u202edone\r\x00"
    names = ("name", "note", "status_text", "last_line")
    view = told(
        electron(0, **dict.fromkeys(names, hostile)),
        electron(1, phase="failed", error=hostile, history=[], metrics={hostile: [[1, 1, 1.0]]}),
        workflow=hostile,
    )
    harmless = told(
        electron(0, **dict.fromkeys(names, "x")),
        electron(1, phase="failed", error="x", metrics={"x": [[1, 1, 1.0]]}),
    )
    escapes = drawn(harmless).count("\x1b")
    for text in ("\n".join(news(None, view)), clean(hostile)):
        assert not set(text) & set("\x1b\x07\x9b\u202e\r\x00")
    shown = drawn(view)
    assert not set(shown) & set("\x07\x9b\u202e\r\x00")
    assert shown.count("\x1b") == escapes  # our own colours only
    assert "[red]" in shown


def test_what_jobs_of_the_local_braket_would_cost_is_said_to_be_nothing_here() -> None:
    on_aws = electron(job_arn="arn:aws:braket:...", console_url="https://console.aws.amazon.com")
    assert "cost so far $0.0012" in drawn(told(on_aws, cost_usd=0.0012))
    assert "nothing here" not in drawn(told(on_aws, cost_usd=0.0012))
    local = electron(job_arn="arn:aws:braket:...")
    assert "cost so far $0.0012 on AWS, nothing here" in drawn(told(local, cost_usd=0.0012))


def test_what_a_job_of_before_cost_is_said_to_be_missing() -> None:
    def ended(number: int, usd: float | None) -> dict[str, Any]:
        url = "https://console.aws.amazon.com"
        job = {"job_arn": "arn:aws:braket:...", "console_url": url, "cost_usd": usd}
        return electron(number, **{"phase": "completed", **job})

    known = ended(0, 0.0012)
    assert "cost so far $0.0012" in drawn(told(known, cost_usd=0.0012))
    shown = drawn(told(known, ended(1, None), cost_usd=0.0012))
    assert "cost so far at least $0.0012" in shown


def test_lines_say_what_is_new_and_nothing_twice() -> None:
    first = told(electron(phase="waiting", note="2 electrons ahead", history=[["waiting", BEGAN]]))
    lines = [line.partition("  ")[2] for line in news(None, first)]
    assert lines == ["energy (node 0): waiting: 2 electrons ahead", "flow id: RUNNING"]
    assert news(first, first) == []
    second = told(electron(phase="waiting", note="1 electron ahead", history=[["waiting", BEGAN]]))
    assert news(first, second)[0].endswith("energy (node 0): waiting: 1 electron ahead")
    third = told(
        electron(
            phase="failed",
            status_text="step 1",
            error="Your code: no\nmore",
            history=[["waiting", BEGAN], ["running", LATER], ["failed", NOW]],
        ),
        status="FAILED",
    )
    assert [line.partition("  ")[2] for line in news(second, third)] == [
        "energy (node 0): running",
        "energy (node 0) says: step 1",
        "energy (node 0): failed: Your code: no",
        "flow id: FAILED",
    ]


def test_lines_are_in_the_order_in_which_it_happened() -> None:
    times = [f"2026-01-01T10:00:00.{tenths}+00:00" for tenths in (1, 2, 3)]
    first = electron(0, history=[["staging", times[0]], ["queued", times[2]]], phase="queued")
    second = electron(1, history=[["staging", times[1]]], phase="staging")
    lines = [line.partition("  ")[2] for line in news(None, told(first, second))]
    assert lines == ["energy (node 0): staging", "energy (node 1): staging",
                     "energy (node 0): queued", "flow id: RUNNING"]  # fmt: skip


def test_line_says_where_another_attempt_begins() -> None:
    phases = ["staging", "running", "staging", "running"]
    twice = electron(history=[[phase, BEGAN] for phase in phases], attempt=2)
    lines = [line.partition(": ")[2] for line in news(None, told(twice))]
    assert lines[:4] == ["staging", "running", "staging, attempt 2", "running"]


def test_time_alone_is_nothing_new() -> None:
    before = told(electron())
    assert differs(None, before)
    assert not differs(before, told(electron(seconds=26.0), now=BEGAN))
    assert differs(before, told(electron(last_line="hello")))
