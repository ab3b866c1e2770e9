from __future__ import annotations

import pytest

from covalent_braket_plugin import failure
from covalent_braket_plugin.protocol import ErrorData, NodeOutcome, Outcome

ARN = "arn:aws:braket:us-east-1:123456789012:job/0b4f4e1a"


def outcome(error: ErrorData | None, status: str = "failed") -> Outcome:
    return Outcome(status, [NodeOutcome(0, "failed")], error=error)  # type: ignore[arg-type]


def test_error_of_the_user_says_type_message_line_and_job() -> None:
    error = ErrorData("ValueError", "no", "Traceback ...", 'File "f.py", line 3, in f', "electron")
    text = failure.headline("f", outcome(error), job_arn=ARN, job_name="f-1", status="FAILED")
    assert text.splitlines()[0] == "f() failed in the electron: ValueError: no"
    assert 'File "f.py", line 3, in f' in text
    assert f"Job f-1 ({ARN}), status FAILED" in text
    assert "https://us-east-1.console.aws.amazon.com/braket/" in text


def test_time_limit_names_the_setting() -> None:
    text = failure.headline("f", None, status="FAILED", events=("MAX_RUNTIME_EXCEEDED",))
    assert "time limit" in text
    assert "`time_limit`" in text


def test_job_without_an_outcome_gives_brakets_reason() -> None:
    text = failure.headline("f", None, status="FAILED", failure_reason="AlgorithmError: x")
    assert "left no outcome" in text
    assert "AlgorithmError: x" in text


def test_packed_electron_that_did_not_run_says_so() -> None:
    assert "did not run" in failure.headline("f", outcome(None))


@pytest.mark.parametrize("phase", ["bash", "pip", "load", "verify", "pickle", "killed"])
def test_every_phase_has_words(phase: str) -> None:
    text = failure.headline("f", outcome(ErrorData("E", "m", phase=phase)))
    assert f"failed {phase}" not in text


@pytest.mark.parametrize(
    "arn", ["", "job", "arn:aws:braket:us-east-1:000000000000:job/x"], ids=["none", "odd", "local"]
)
def test_no_link_where_there_is_no_console(arn: str) -> None:
    assert failure.console_link(arn) == ""


def test_traceback_falls_back_to_type_and_message() -> None:
    assert failure.remote_traceback(ErrorData("Killed", "by SIGKILL")) == "Killed: by SIGKILL\n"
    assert failure.remote_traceback(None) == ""
