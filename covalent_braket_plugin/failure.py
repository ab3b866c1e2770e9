"""What users read when an electron failed: pure text, made of the outcome and the job's words.

Two texts: ``headline`` goes where Covalent shows an error (one paragraph that says what happened,
where, and where to look), ``stderr_of`` is the electron's stderr with the remote traceback below.
"""

from __future__ import annotations

from covalent_braket_plugin.protocol import ErrorData, Outcome

__all__ = ["console_link", "headline", "remote_traceback"]

_PHASES = {
    "start": "before the electron was loaded",
    "fetch": "while fetching the payload",
    "verify": "while checking the payload",
    "load": "while unpickling the electron and its inputs",
    "bash": "in deps_bash",
    "pip": "in deps_pip",
    "call_before": "in call_before",
    "electron": "in the electron",
    "call_after": "in call_after",
    "pickle": "while pickling the result",
    "run": "while running the electron",
    "upload": "while uploading the result",
    "terminated": "when the job was stopped",
    "killed": "when its process died",
}


def console_link(job_arn: str) -> str:
    """Where the AWS console shows a job; empty for an ARN that names no region."""
    parts = job_arn.split(":")
    if len(parts) < 6 or not parts[3] or parts[4] == "0" * 12:
        return ""
    region = parts[3]
    return f"https://{region}.console.aws.amazon.com/braket/home?region={region}#/jobs/{job_arn}"


def headline(
    name: str,
    outcome: Outcome | None,
    *,
    job_arn: str = "",
    job_name: str = "",
    status: str = "",
    failure_reason: str = "",
    events: tuple[str, ...] = (),
) -> str:
    """Say in one paragraph why an electron failed.

    Args:
        name: The electron's function name.
        outcome: What the job left, if anything.
        job_arn: The job; empty for Covalent's own steps, which run locally.
        job_name: The job's name.
        status: The job's status.
        failure_reason: Braket's reason.
        events: The job's events.
    """
    lines = [_what_happened(name, outcome, status, failure_reason, events)]
    if outcome is not None and outcome.error is not None and outcome.error.location:
        lines.append(outcome.error.location)
    if job_arn:
        lines.append(f"Job {job_name} ({job_arn}), status {status}".replace("Job  (", "Job ("))
        if link := console_link(job_arn):
            lines.append(link)
    return "\n".join(lines) + "\n"


def _what_happened(
    name: str,
    outcome: Outcome | None,
    status: str,
    failure_reason: str,
    events: tuple[str, ...],
) -> str:
    if "MAX_RUNTIME_EXCEEDED" in events:
        return (
            f"{name}() ran into its time limit: {failure_reason or 'the job was stopped'}. "
            "Raise `time_limit` (seconds) on the executor, or do less in one electron."
        )
    if outcome is None:
        reason = failure_reason or "Braket gave no reason"
        return f"{name}() left no outcome, and its job ended {status}: {reason}"
    if outcome.error is None:
        return f"{name}() did not run, because an electron packed with it failed"
    error = outcome.error
    where = _PHASES.get(error.phase, error.phase)
    return f"{name}() failed {where}: {error.type}: {error.message}"


def remote_traceback(error: ErrorData | None) -> str:
    """The traceback as Python printed it where the electron ran; empty if there is none."""
    if error is None:
        return ""
    if error.traceback:
        return error.traceback
    return f"{error.type}: {error.message}\n"
