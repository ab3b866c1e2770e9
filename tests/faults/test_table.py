"""Each fault in each phase: the table, through a real Covalent server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.table import TABLE, Case
from tests.support.bad_line import ANSWER, Ended

pytestmark = pytest.mark.e2e


CASES = [pytest.param(case, marks=[pytest.mark.slow] if case.slow else []) for case in TABLE]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_passes_loses_nothing_and_what_lasts_is_said(
    outcome_of: Callable[[Case], Ended], case: Case
) -> None:
    ended = outcome_of(case)
    assert ended.status == case.ends, ended.error
    assert ended.unused == []
    assert len(ended.jobs) == case.jobs
    said = ended.log if case.phase == "cancel" else ended.error
    for text in case.says:
        assert text in said
    if ended.status == "COMPLETED":
        assert ended.value == ANSWER
        assert ended.job_statuses == ["COMPLETED"]
    if ended.status == "CANCELLED":
        assert ended.job_statuses == ["CANCELLED"]
    if case.phase == "wait" and case.ends == "FAILED":  # it may run on
        assert ended.jobs[0]["jobArn"] in ended.error
    if case.jobs == 0:
        assert ended.left == []
    if case.ends != "FAILED":
        assert {key.rpartition("/")[2] for key in ended.left} <= {"outcome.json"}
