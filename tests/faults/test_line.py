"""A line that stays silent for longer than an electron is to wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bad_line import BadLine

pytestmark = pytest.mark.e2e


def test_error_after_a_long_silence_names_the_job_that_may_still_run(
    line: BadLine, place: Path
) -> None:
    dispatch_id = line.start_waiting(place, give_up_after=2)
    rule = {"kind": "error", "times": 0, "caller": "dispatcher"}
    line.stage.braket.faults(*({"operation": each, **rule} for each in ("GetJob", "SearchJobs")))
    line.stage.result(dispatch_id)
    (place / "release").touch()
    line.mend()
    ended = line.ended(dispatch_id)
    (job,) = ended.jobs
    assert ended.status == "FAILED"
    assert f"The job {job['jobArn']} may still run" in ended.error
    line.stage.braket.wait(job["jobArn"], "COMPLETED")
