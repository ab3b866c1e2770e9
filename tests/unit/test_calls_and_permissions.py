"""The comparison of calls with permissions finds what is missing and what is too much."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from covalent_braket_plugin.local.server.call_record import CallRecord
from covalent_braket_plugin.local.server.calls import Call
from covalent_braket_plugin.permissions import CALLER, PUSHER, ROLE
from tests.support.braket_server import BraketServer
from tests.support.calls_and_permissions import (
    ACTIONS,
    UNSEEN,
    Calls,
    differences,
    read,
)

ROOT = Path(__file__).parents[2]

SEEN: Calls = {
    caller: frozenset(
        action
        for grant in table
        for action in grant.actions
        if action not in UNSEEN[whose] and action not in ("iam:PassRole", "braket:TagResource")
    )
    for caller, whose, table in (("dispatcher", "caller", CALLER), ("job", "role", ROLE))
}
"""What a run records in which everything happens once. S3's names differ in one case only."""


def with_calls(caller: str, *operations: str) -> Calls:
    return {**SEEN, caller: SEEN[caller] | set(operations)}


def without_calls(caller: str, *operations: str) -> Calls:
    return {**SEEN, caller: SEEN[caller] - set(operations)}


def test_a_run_in_which_everything_happens_is_fine() -> None:
    assert differences(SEEN) == []


def test_a_call_that_no_permission_allows_is_named() -> None:
    (line,) = differences(with_calls("dispatcher", "s3:PutBucketPolicy"))
    assert "s3:PutBucketPolicy was called" in line
    assert "caller or pusher's policy" in line


def test_a_call_of_a_job_that_its_role_may_not_make_is_named() -> None:
    (line,) = differences(with_calls("job", "s3:DeleteObjects"))
    assert "role's policy does not allow s3:DeleteObject:" in line


def test_a_permission_that_no_call_needed_is_named() -> None:
    (line,) = differences(without_calls("dispatcher", "braket:CancelJob"))
    assert "allows braket:CancelJob" in line


def test_an_operation_of_another_name_counts_for_its_actions() -> None:
    calls = without_calls("dispatcher", "s3:GetObject", "s3:PutObject")
    copied = {**calls, "dispatcher": calls["dispatcher"] | {"s3:UploadPartCopy"}}
    assert differences(copied) == []


def test_to_make_a_job_is_also_to_tag_it_and_to_pass_its_role() -> None:
    lines = differences(without_calls("dispatcher", "braket:CreateJob"))
    assert len(lines) == len(ACTIONS["braket:CreateJob"])


def test_calls_of_others_need_no_permission() -> None:
    assert differences({**SEEN, "other": frozenset({"s3:DeleteBucket"})}) == []


def test_every_exception_is_about_a_permission_that_we_ask_for() -> None:
    for whose, table in (("caller", CALLER), ("pusher", PUSHER), ("role", ROLE)):
        assert UNSEEN[whose].keys() <= {action for grant in table for action in grant.actions}


# What is recorded


def test_a_call_is_noted_once_and_a_jobs_by_its_credentials(tmp_path: Path) -> None:
    record = CallRecord.asked_for({"LOCAL_BRAKET_CALLS_DIR": str(tmp_path)})
    for _ in range(2):
        record.add(Call("s3", "PutObject", "us-east-1", "dispatcher"))
    record.add(Call("braket", "CreateQuantumTask", "us-east-1", "other", in_job=True))
    record.add(Call("s3", "ListBuckets", "us-east-1", "job"))
    (path,) = tmp_path.iterdir()
    assert path.read_text().splitlines() == [
        "dispatcher s3:PutObject",
        "job braket:CreateQuantumTask",
        "worker s3:ListBuckets",
    ]
    assert read(tmp_path)["job"] == {"braket:CreateQuantumTask"}


def test_nothing_is_noted_unasked(tmp_path: Path) -> None:
    CallRecord.asked_for({}).add(Call("s3", "PutObject", "us-east-1", "dispatcher"))
    assert list(tmp_path.iterdir()) == []


def test_the_local_brakets_of_this_run_take_notes(
    local_braket: BraketServer, calls_directory: Path
) -> None:
    local_braket.client("s3").list_buckets()
    assert "s3:ListBuckets" in read(calls_directory)["other"]


# A run of its own: the hooks are those of tests/conftest.py.


def outcome(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "tests").mkdir(exist_ok=True)
    (tmp_path / "tests/test_one.py").write_text("def test_one(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", *arguments],
        cwd=tmp_path, env={**kept, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_a_whole_run_fails_when_permissions_were_not_needed(tmp_path: Path) -> None:
    ended = outcome(tmp_path)
    assert ended.returncode == 1
    assert "allows braket:CancelJob, but no call of this run needed it" in ended.stdout


@pytest.mark.parametrize("choice", [["-k", "one"], ["tests/test_one.py"]])
def test_a_run_of_some_tests_is_not_compared(tmp_path: Path, choice: list[str]) -> None:
    ended = outcome(tmp_path, *choice)
    assert ended.returncode == 0
    assert "but no call of this run needed it" not in ended.stdout
