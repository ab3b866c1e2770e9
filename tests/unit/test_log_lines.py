"""What a line of a job's log says."""

from __future__ import annotations

import json
import time

import pytest

from covalent_braket_plugin.job import update_status
from covalent_braket_plugin.monitoring.lines import Metric, metrics_in, update_in


def test_the_braket_sdk_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    from braket.jobs.metrics import log_metric

    log_metric(metric_name="energy", value=-1.5, timestamp=12.25, iteration_number=3)
    log_metric(metric_name="loss", value=2)
    lines = capsys.readouterr().out.splitlines()
    assert list(metrics_in(lines[0])) == [Metric("energy", -1.5, 12.25, 3)]
    assert [(each.name, each.value, each.iteration) for each in metrics_in(lines[1])] == [
        ("loss", 2.0, None)
    ]


def test_a_status_is_read_as_it_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    update_status('step "3" of 10;\nfünf')
    (line,) = capsys.readouterr().out.splitlines()
    update = update_in(line)
    assert update is not None
    assert update.text == 'step "3" of 10;\nfünf'


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Metrics - ",
        "Metrics - timestamp=1; x=y;",
        "metrics - x=1;",
        "Metrics - iteration_number=2;",
    ],
)
def test_other_lines_have_no_metrics(line: str) -> None:
    assert not list(metrics_in(line))


@pytest.mark.parametrize("line", ["", "Status - timestamp=1; x", 'Status - timestamp=.; "x"'])
def test_other_lines_have_no_status(line: str) -> None:
    assert update_in(line) is None


def test_a_metric_that_is_no_number_is_kept_as_such() -> None:
    (metric,) = metrics_in("Metrics - timestamp=1.5; x=nan; iteration_number=nan;")
    assert metric.name == "x"
    assert metric.value != metric.value
    assert metric.iteration is None


def test_a_step_that_was_given_as_the_time_is_a_step() -> None:
    """As by ``braket.jobs.metrics.log_metric("x", 1.0, 7)``, whose third argument is the time."""
    assert list(metrics_in("Metrics - timestamp=7; x=1.0;")) == [Metric("x", 1.0, None, 7)]
    told = "Metrics - timestamp=7; x=1.0; iteration_number=3;"
    assert list(metrics_in(told)) == [Metric("x", 1.0, 7, 3)]
    assert list(metrics_in("Metrics - timestamp=1.8e9; x=1.0;")) == [Metric("x", 1.0, 1.8e9)]


def test_a_time_or_an_iteration_that_nothing_can_hold_is_left_out() -> None:
    for text in ("nan", "inf", "-inf", "1e300"):
        line = f"Metrics - timestamp={text}; x=1; iteration_number={text};"
        assert list(metrics_in(line)) == [Metric("x", 1.0)]


@pytest.mark.parametrize(
    "line",
    [
        "Metrics - a=" + " " * 200_000,
        "Metrics - " + "a" * 200_000,
        "Metrics - " + "a=" * 100_000 + ";",
        "Metrics - " + "a-" * 100_000 + "=1;",
        "Metrics - x=" + "9" * 200_000 + ";",
        'Status - timestamp=1; "' * 10_000,
        'Status - timestamp=1; "' + '" ' * 100_000,
    ],
)
def test_no_line_takes_long(line: str) -> None:
    began = time.process_time()
    assert len(list(metrics_in(line))) <= 1
    assert update_in(line) is None
    assert time.process_time() - began < 1


def test_a_status_can_always_be_sent_on() -> None:
    update = update_in(f"Status - timestamp=1; {json.dumps(chr(0xDCFF) + 'a')}")
    assert update is not None
    assert update.text == "?a"
