"""Where the electron runs, from the environment that Braket gives a job.

Source: https://docs.aws.amazon.com/braket/latest/developerguide/braket-jobs-script-environment.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Context", "context"]

OUTSIDE = Path("braket")
"""Below the working directory: what stands for a job's directories where there is no job."""


@dataclass(frozen=True)
class Context:
    """A job, as seen from inside; outside a job, what stands for it.

    Attributes:
        in_job: Whether this is a Hybrid Job.
        job_name: Its name; empty outside a job.
        device_arn: ARN of its quantum device, or ``local:provider/name``; outside a job
            ``local:none/none``.
        bucket: Its S3 bucket; empty outside a job.
        results: Directory whose files come back as result files.
        inputs: Directory with a directory for each channel of input data.
        checkpoints: Directory that is kept in step with S3.
        task_results: S3 URI below which Braket keeps the results of quantum tasks; empty outside a
            job.
    """

    in_job: bool
    job_name: str
    device_arn: str
    bucket: str
    results: Path
    inputs: Path
    checkpoints: Path
    task_results: str


def context(environ: Mapping[str, str] | None = None) -> Context:
    """Say where this runs.

    Args:
        environ: The environment to read; this process's own if not given.
    """
    env = os.environ if environ is None else environ
    job_name = env.get("AMZN_BRAKET_JOB_NAME", "")
    return Context(
        in_job=bool(job_name),
        job_name=job_name,
        device_arn=env.get("AMZN_BRAKET_DEVICE_ARN") or "local:none/none",
        bucket=env.get("AMZN_BRAKET_OUT_S3_BUCKET", ""),
        results=_directory(env, "AMZN_BRAKET_JOB_RESULTS_DIR", "results"),
        inputs=_directory(env, "AMZN_BRAKET_INPUT_DIR", "input"),
        checkpoints=_directory(env, "AMZN_BRAKET_CHECKPOINT_DIR", "checkpoints"),
        task_results=env.get("AMZN_BRAKET_TASK_RESULTS_S3_URI", ""),
    )


def _directory(env: Mapping[str, str], name: str, otherwise: str) -> Path:
    return Path(env.get(name) or OUTSIDE / otherwise).absolute()
