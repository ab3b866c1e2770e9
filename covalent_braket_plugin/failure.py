"""What users read when an electron failed: pure text, made of the outcome and the job's words.

Two texts: `headline` goes where Covalent shows an error (one paragraph that says what happened,
where, and where to look), `remote_traceback` below the stderr of the electron that failed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from covalent_braket_plugin.protocol import ErrorData, Outcome

__all__ = ["Kind", "console_link", "headline", "kind_of", "no_outcome", "remote_traceback"]

Kind = Literal["", "electron", "environment", "time_limit", "cancelled", "infrastructure"]
"""Why a task did not complete: the user's code, what it was loaded with, its time limit, somebody's
wish, or anything between Covalent and that code; empty if it did complete."""

_OWN_PHASES = frozenset(
    {"bash", "pip", "call_before", "electron", "call_after", "pickle", "run", "killed"}
)
_ENVIRONMENT_ERRORS = frozenset({"VersionMismatchError", "SerializationError", "ProtocolError"})

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


def kind_of(outcome: Outcome | None, status: str, events: Collection[str]) -> Kind:
    """Tell why a task did not complete.

    Args:
        outcome: What the job left, if anything.
        status: The job's status.
        events: Types of the job's events.
    """
    if outcome is not None and outcome.status == "completed":
        return ""
    if status == "CANCELLED":
        return "cancelled"
    if "MAX_RUNTIME_EXCEEDED" in events:
        return "time_limit"
    error = outcome.error if outcome is not None else None
    if error is None or outcome is None or outcome.status == "terminated":
        return "infrastructure"
    if error.phase == "load" or error.type in _ENVIRONMENT_ERRORS:
        return "environment"
    return "electron" if error.phase in _OWN_PHASES else "infrastructure"


def headline(
    name: str,
    outcome: Outcome | None,
    *,
    node_id: int | None = None,
    job_arn: str = "",
    job_name: str = "",
    status: str = "",
    failure_reason: str = "",
    events: Collection[str] = (),
    problem: Exception | None = None,
    billed_seconds: float | None = None,
) -> str:
    """Say in one paragraph why an electron failed.

    Args:
        name: The function name of the group's main electron.
        outcome: What the job left, if anything.
        node_id: The node of the group whose fate it is; None: the main electron.
        job_arn: The job; empty for Covalent's own steps, which run locally.
        job_name: The job's name.
        status: The job's status.
        failure_reason: Braket's reason.
        events: Types of the job's events.
        problem: What is wrong with what the job left, where that is the reason.
        billed_seconds: What is paid for, if it is known.
    """
    if problem is not None:
        lines = [f"{type(problem).__name__}: {problem}"]
    else:
        lines = [_what_happened(name, outcome, node_id, status, failure_reason, events)]
    if outcome is not None and outcome.error is not None and outcome.error.location:
        lines.append(outcome.error.location)
    if job_arn:
        billed = "" if billed_seconds is None else f", billed {billed_seconds:.1f} s"
        named = f"Job {job_name} ({job_arn})" if job_name else f"Job ({job_arn})"
        lines.append(f"{named}, status {status}{billed}")
        if link := console_link(job_arn):
            lines.append(link)
    return "\n".join(lines) + "\n"


def _what_happened(
    name: str,
    outcome: Outcome | None,
    node_id: int | None,
    status: str,
    failure_reason: str,
    events: Collection[str],
) -> str:
    if "MAX_RUNTIME_EXCEEDED" in events:
        return (
            f"{_call(name)} ran into its time limit: "
            f"{failure_reason.rstrip('.') or 'the job was stopped'}. "
            "Raise `time_limit` (seconds) on the executor, or do less in one electron."
        )
    if outcome is None:
        return no_outcome(name, status, failure_reason)
    node_id = outcome.main_node if node_id is None else node_id
    own = next((node.name for node in outcome.nodes if node.node_id == node_id), "") or name
    error = outcome.error
    if error is None:
        return f"{_call(own)} did not run, because an electron packed with it failed"
    where = _PHASES.get(error.phase, error.phase)
    failed = f"{_call(error.name or name)} failed {where}: {error.type}: {error.message}"
    if error.node_id is None or node_id is None or error.node_id == node_id:
        return failed
    return f"{_call(own)} did not run, because {failed}"


def no_outcome(name: str, status: str, failure_reason: str) -> str:
    """Say that a job ended without leaving what it should."""
    reason = failure_reason or "Braket gave no reason"
    return f"{_call(name)} left no outcome, and its job ended {status}: {reason}"


def _call(name: str) -> str:
    # Covalent names its own electrons by what they do, such as "energies()[0]".
    return f"{name}()" if name.isidentifier() or name == "<lambda>" else name


def remote_traceback(error: ErrorData | None) -> str:
    """The traceback as Python printed it where the electron ran; empty if there is none."""
    if error is None:
        return ""
    if error.traceback:
        return error.traceback
    return f"{error.type}: {error.message}\n"
