"""The module for code in electrons: what needs neither a job nor a device."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as qml
import pytest

from covalent_braket_plugin import job
from covalent_braket_plugin.errors import CostLimitError, ParallelCostError, ParallelError
from covalent_braket_plugin.job.hyperparameters import decode, encode
from covalent_braket_plugin.monitoring.lines import Metric, metrics_in

# --- metrics ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (True, 1.0),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.array(0.1), 0.1),
        (np.array([0.1]), 0.1),
        (qml.numpy.array(0.1, requires_grad=True), 0.1),
        (-1e-300, -1e-300),
        (math.inf, math.inf),
    ],
)
def test_a_number_of_any_kind_is_read_back_as_it_was_logged(
    value: Any, number: float, capsys: pytest.CaptureFixture[str]
) -> None:
    job.log_metric("energy_2", value, np.int64(3), 12.25)
    (line,) = capsys.readouterr().out.splitlines()
    assert list(metrics_in(line)) == [Metric("energy_2", number, 12.25, 3)]


def test_nan_is_logged_since_a_run_that_diverges_must_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job.log_metric("energy", math.nan)
    (metric,) = metrics_in(capsys.readouterr().out)
    assert math.isnan(metric.value)
    assert metric.timestamp is not None
    assert metric.iteration is None


def test_braket_reads_our_line_as_it_reads_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    from braket.jobs.metrics import log_metric

    job.log_metric("energy", -1.5, 3, 12.25)
    log_metric("energy", -1.5, 12.25, 3)
    ours, brakets = capsys.readouterr().out.splitlines()
    assert ours == brakets


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a b", 1), "cannot be named 'a b'"),
        (("", 1), "cannot be named ''"),
        (("timestamp", 1), "neither of timestamp and iteration_number"),
        (("größe", 1), "cannot be named"),
        ((3, 1), "cannot be named 3"),
        (("e", "high"), "e='high' is not a number"),
        (("e", None), "e=None is not a number"),
        (("e", 1j), "not a number"),
        (("e", [1, 2]), "not a number"),
        (("e", np.ones(2)), "size 1"),
        (("e", 10**400), "too large"),
        (("e", 1, 1.5), "iteration=1.5 is not a whole number"),
        (("e", 1, 2**60), "too large"),
        (("e", 1, None, "noon"), "timestamp='noon' is not a number"),
    ],
)
def test_what_is_no_metric_is_refused_with_what_is_wrong(
    arguments: tuple[Any, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=words):
        job.log_metric(*arguments)
    assert capsys.readouterr().out == ""


# --- environment --------------------------------------------------------------------------------


def test_the_environment_is_described_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMZN_BRAKET_JOB_NAME", "energy-1")
    monkeypatch.setenv("AMZN_BRAKET_JOB_TOKEN", "s3cr3t")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    text = job.describe_environment()
    assert "AMZN_BRAKET_JOB_NAME=energy-1" in text
    assert "AMZN_BRAKET_JOB_TOKEN=(set, not shown)" in text
    assert "s3cr3t" not in text
    assert "amazon-braket-sdk 1." in text
    assert "Not in a Hybrid Job" not in text


def test_outside_a_job_the_description_says_so() -> None:
    assert job.describe_environment().startswith("Not in a Hybrid Job.\nPython 3.")


def test_the_module_imports_nothing_heavy() -> None:
    code = (
        "import sys; from covalent_braket_plugin import job; job.describe_environment();"
        "job.context(); print({name.partition('.')[0] for name in sys.modules}"
        " & {'braket', 'boto3', 'botocore', 'numpy', 'pennylane', 'covalent', 'asyncio'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- errors -------------------------------------------------------------------------------------


def test_an_error_of_many_names_the_first_three() -> None:
    error = ParallelError([1, *[None] * 5], {n: ValueError(f"no {n}") for n in range(1, 6)})
    assert "5 of 6 circuits failed (number 1: ValueError: no 1; number 2" in str(error)
    assert "number 3: ValueError: no 3; and 2 more)" in str(error)


def test_a_cost_limit_among_the_errors_makes_it_a_cost_limit() -> None:
    def too_much() -> None:
        raise CostLimitError("too much")

    with pytest.raises(CostLimitError) as refused:
        job.run_parallel([lambda: 1, too_much])
    assert isinstance(refused.value, ParallelCostError)
    assert refused.value.results == [1, None]


def test_a_cost_limit_is_never_tried_again() -> None:
    calls = []

    def too_much() -> None:
        calls.append(1)
        raise CostLimitError("too much")

    with pytest.raises(CostLimitError):
        job.run_with_retry(too_much, base_seconds=60)
    assert calls == [1]


def test_the_last_error_is_raised_after_all_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def never() -> None:
        calls.append(1)
        raise TimeoutError(str(len(calls)))

    with pytest.raises(TimeoutError, match="3"):
        job.run_with_retry(never, base_seconds=0.001)
    assert len(calls) == 3
    assert capsys.readouterr().err.count("failed, again in") == 2


def test_no_attempt_is_refused() -> None:
    with pytest.raises(ValueError, match="attempts=0 is not valid"):
        job.run_with_retry(lambda: 1, attempts=0)


def test_an_interrupt_begins_no_more_circuits() -> None:
    program = """
import os, signal, time
from covalent_braket_plugin import job

def one():
    if not begun:
        os.kill(os.getpid(), signal.SIGINT)
    begun.append(1)
    time.sleep(0.05)

begun = []
try:
    job.run_parallel([one] * 200)
except KeyboardInterrupt:
    print("interrupted", len(begun) < 20)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "interrupted True\n", done.stderr


# --- hyperparameters ----------------------------------------------------------------------------

VALUES = [
    *("x", "7", "-1.5e3", "true", "null", "NaN", "", " ", "a b", "a\nb", "\u2028", '"7"', "[1]"),
    *("{}", "ü", "€" * 100, "\x00", "\\n", "'", "s3://b/k", "1_000", "Infinity", "0x1f", "00"),
    *(0, -3, 2**70, 0.1, 1e-300, 1e300, True, False, None),
    *([], [1, [2.5, None]], {}, {"a": {"b": [True]}}, ["7"], {"7": "7"}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_hyperparameter_comes_back_as_it_was_given(value: Any) -> None:
    sent = encode({"value": value, "other": "7"})
    assert all(text and len(text.splitlines()) == 1 for text in sent.values())
    back = decode(json.loads(json.dumps(sent)))
    assert back == {"value": value, "other": "7"}
    assert type(back["value"]) is type(value)


def test_nan_and_infinity_come_back_too() -> None:
    back = decode(encode({"a": math.nan, "b": math.inf}))
    assert math.isnan(back["a"])
    assert back["b"] == math.inf


def test_text_is_shown_in_the_console_as_it_is() -> None:
    assert encode({"name": "h2", "depth": "3"})["depth"] == "3"


@pytest.mark.parametrize("damaged", ["{", "3", '{"a": 1}', "[[1]]", ""])
def test_a_damaged_list_of_texts_does_not_stop_an_electron(damaged: str) -> None:
    assert decode({"depth": "3", "covalent_text": damaged}) == {"depth": 3}


def test_what_is_ours_or_sagemakers_is_not_the_users() -> None:
    found = {"covalent_manifest": "s3://b/k", "sagemaker_program": "x", "depth": "3"}
    assert decode(found) == {"depth": 3}


def test_outside_a_job_there_are_no_hyperparameters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert job.hyperparameters() == {}
    monkeypatch.setenv("AMZN_BRAKET_HP_FILE", str(tmp_path / "none.json"))
    assert job.hyperparameters() == {}


# --- what cannot be meant -----------------------------------------------------------------------


def test_one_program_instead_of_a_list_is_refused_before_its_characters_are_sent() -> None:
    with pytest.raises(TypeError, match="give a list"):
        job.run_parallel("OPENQASM 3.0; qubit q; h q;")


def test_a_device_by_its_name_is_refused_where_one_of_the_sdk_is_wanted() -> None:
    with pytest.raises(TypeError, match="device='SV1' is no device"):
        job.run_parallel([], device="SV1")


def test_one_device_to_fall_back_on_has_to_be_in_a_list() -> None:
    with pytest.raises(TypeError, match="give a list"):
        job.run_with_fallback("OPENQASM 3.0; qubit q; h q;", "SV1")


@pytest.mark.parametrize("channel", ["../..", "", ".", "/etc"])
def test_a_path_is_no_channel_of_input_data(
    channel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "braket/input/train").mkdir(parents=True)
    assert job.input_dir("train").is_dir()
    with pytest.raises(FileNotFoundError, match="Channels: train"):
        job.input_dir(channel)
