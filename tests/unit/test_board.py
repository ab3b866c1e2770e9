"""What the server knows of its electrons."""

from __future__ import annotations

from covalent_braket_plugin.monitoring.board import (
    ALL_POINTS,
    DISPATCHES,
    NAMES,
    POINTS,
    Board,
    newest,
)
from covalent_braket_plugin.monitoring.lines import Metric


def test_a_new_phase_begins_now_and_ends_the_note_of_the_one_before() -> None:
    board = Board()
    board.set("d", 1, name="energy")
    board.set("d", 1, phase="waiting", note="4 electrons ahead")
    board.set("d", 1, phase="waiting", note="3 electrons ahead")
    entry = board.set("d", 1, phase="running", job_arn="arn")
    assert (entry.name, entry.note, entry.job_arn) == ("energy", "", "arn")
    assert [phase for phase, _ in entry.history] == ["staging", "waiting", "running"]
    assert entry.since == entry.history[-1][1]


def test_it_forgets_the_oldest_dispatches_with_their_metrics() -> None:
    board = Board()
    for number in range(DISPATCHES + 1):
        board.set(str(number), 0)
        board.add_metric(str(number), 0, Metric("x", 1.0))
    assert not board.entries("0")
    assert not board.metrics("0", 0)
    assert board.metrics("1", 0)


def test_of_a_long_series_the_newest_values_are_kept() -> None:
    board = Board()
    board.set("d", 0)
    for number in range(POINTS + 5):
        board.add_metric("d", 0, Metric("x", float(number)))
    points = board.metrics("d", 0)["x"]
    assert (len(points), points[-1].value) == (POINTS, POINTS + 4.0)


def test_metrics_of_very_many_electrons_take_no_more_room_than_those_of_some() -> None:
    board = Board()
    for node in range(2 * ALL_POINTS // POINTS):
        board.set("d", node)
        board.add_metric("d", node, Metric("x", 0.0))
    for number in range(POINTS):
        board.add_metric("d", 0, Metric("x", float(number)))
    assert len(board.metrics("d", 0)["x"]) == POINTS // 2
    for number in range(NAMES + 5):
        board.add_metric("d", 1, Metric(f"m{number}", 1.0))
    assert len(board.metrics("d", 1)) == NAMES


def test_metrics_of_an_electron_that_is_forgotten_are_not_kept() -> None:
    board = Board()
    board.add_metric("d", 0, Metric("x", 1.0))
    assert not board.metrics("d", 0)


def test_what_is_handed_over_at_the_end_is_no_more_than_what_is_kept() -> None:
    values = [Metric(f"m{number % 3}", float(number)) for number in range(6 * POINTS)]
    values += [Metric(f"n{number}", 1.0) for number in range(2 * NAMES)]
    whole, short = Board(), Board()
    for board, given in ((whole, values), (short, newest(values))):
        board.set("d", 0)
        board.replace_metrics("d", 0, given)
    assert len(newest(values)) == 3 * POINTS + NAMES - 3
    assert short.metrics("d", 0) == whole.metrics("d", 0)
