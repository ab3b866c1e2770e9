from __future__ import annotations

import subprocess
import sys
import time

import pytest

from covalent_braket_plugin import steps


def test_output_of_a_command_comes_while_it_runs() -> None:
    code = "from covalent_braket_plugin import steps; steps.run_bash(['echo first; sleep 20'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        start = time.monotonic()
        assert process.stdout.readline() == b"first\n"
        assert time.monotonic() - start < 10
        process.kill()


def test_error_has_the_last_words_only(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(steps.StepFailedError, match="exit code 3") as raised:
        steps.run_bash(["seq 100000; echo the reason; exit 3"])
    text = str(raised.value)
    assert text.endswith("100000\nthe reason")
    assert "[...]" in text
    assert len(text) < 17_000
    assert len(capfd.readouterr().out) > 500_000


def test_command_left_in_the_background_does_not_hold_us_up(
    capfd: pytest.CaptureFixture[str],
) -> None:
    start = time.monotonic()
    steps.run_bash(["(sleep 1.5; echo later) & echo now"])
    assert time.monotonic() - start < 1.4
    out = capfd.readouterr().out
    assert out == "now\n"


def test_no_command_after_one_that_failed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(steps.StepFailedError):
        steps.run_bash(["false", "echo never"])
    assert capfd.readouterr().out == ""
