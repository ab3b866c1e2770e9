"""The text of a failure, as the node's error in Covalent and ``covalent-braket jobs show`` have it.

The first line says what sort of failure it is and what happened, the others where it stands, what
to do, which job it was, in which phase it failed and how long each phase took. It is made of what
the service and the job's outcome say, so that anybody gets the same text at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.errors import BraketPluginError, NoOutcomeError
from covalent_braket_plugin.failure.advice import advice, missing
from covalent_braket_plugin.failure.classes import FailureClass, class_of
from covalent_braket_plugin.failure.phases import (
    braket_phases,
    last_phase,
    seconds_text,
    worker_phases,
)
from covalent_braket_plugin.protocol import STOPPED, ErrorData, Keys, Outcome

__all__ = [
    "console_link",
    "no_outcome",
    "remote_traceback",
    "report",
    "standing",
    "summary",
]

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
    "time_limit": "shortly before its time limit",
    "killed": "when its process died",
}

_KILLED = re.compile(r"exit ?code:? (137|247|-9)\b", re.IGNORECASE)
"""SIGKILL, as a shell counts it, as AWS's container program does, and as Python does."""


def console_link(job_arn: str) -> str:
    """Where the AWS console shows a job; empty for an ARN that names no region."""
    parts = job_arn.split(":")
    if len(parts) < 6 or not parts[3] or parts[4] == "0" * 12:
        return ""
    region = parts[3]
    return f"https://{region}.console.aws.amazon.com/braket/home?region={region}#/jobs/{job_arn}"


def report(
    job: Job | None,
    outcome: Outcome | None,
    *,
    name: str = "",
    node_id: int | None = None,
    problem: Exception | None = None,
    history: Sequence[str] = (),
) -> str:
    """Write all that there is to say about a failure, in lines that always have the same order.

    Args:
        job: The job as GetJob describes it; None for Covalent's own steps, which run locally.
        outcome: What it left, if anything.
        name: The electron's function name, if neither the outcome nor the job's tags say it.
        node_id: The node of the group whose fate it is; None: the main electron.
        problem: What is wrong with what the job left, where that is the reason; what is said to
            stand there then stays in S3. `NoOutcomeError` says no more than an outcome of None.
        history: What became of the attempts before this one, a line each; as they stand below the
            electron's stderr.
    """
    if isinstance(problem, NoOutcomeError):
        problem = None
    lines = [_first(job, outcome, name, node_id, problem)]
    error = outcome.error if outcome is not None else None
    if error is not None and error.location and problem is None:
        lines.append(f"Line: {error.location}")
    if lacks := missing(_reason(job, outcome, problem), in_job=True):
        lines.append(f"Missing: {lacks}")
    if hint := advice(class_of(job, outcome, problem), _reason(job, outcome, problem), in_job=True):
        lines.append(f"What to do: {hint}")
    if job is not None:
        lines += _of_job(job, outcome, problem)
    return "\n".join((*lines, *history)) + "\n"


def standing(job: Job, outcome: Outcome | None) -> str:
    """Write how a job stands that has not failed, in lines as those of `report`."""
    name = _call(_name_of(job, outcome, ""))
    first = f"{name} completed" if job.status == "COMPLETED" else f"{name} is {job.status}"
    return "\n".join((first, *_identity(job), *_phases(job, outcome))) + "\n"


def summary(
    job: Job | None,
    outcome: Outcome | None,
    *,
    name: str = "",
    node_id: int | None = None,
    problem: Exception | None = None,
) -> str:
    """Say the same in one line: the first of `report`, which takes the same arguments."""
    text = report(job, outcome, name=name, node_id=node_id, problem=problem)
    return text.partition("\n")[0]


def _first(
    job: Job | None,
    outcome: Outcome | None,
    name: str,
    node_id: int | None,
    problem: Exception | None,
) -> str:
    kind = class_of(job, outcome, problem)
    if problem is not None:
        return f"{kind}: {type(problem).__name__}: {problem}"
    what = _what_happened(job, outcome, _name_of(job, outcome, name), node_id)
    if kind is FailureClass.PERMISSIONS:
        lacks = missing(_reason(job, outcome, None), in_job=True, short=True)
        what = f"{lacks}: {what}" if lacks else what
    return f"{kind}: {what}"


def _name_of(job: Job | None, outcome: Outcome | None, given: str) -> str:
    main = outcome.main_node if outcome is not None else None
    nodes = outcome.nodes if outcome is not None else []
    named = next((node.name for node in nodes if node.node_id == main and node.name), "")
    tagged = job.tags.get("covalent:electron", "") if job is not None else ""
    return named or tagged or given or "The electron"


def _reason(job: Job | None, outcome: Outcome | None, problem: Exception | None) -> str:
    if problem is not None:
        return str(problem)
    if outcome is not None:
        return "" if outcome.error is None else f"{outcome.error.type}: {outcome.error.message}"
    return job.failure_reason if job is not None else ""


def _what_happened(job: Job | None, outcome: Outcome | None, name: str, node_id: int | None) -> str:
    if job is not None and job.status == "CANCELLED":
        return f"the job of {_call(name)} was cancelled"
    if job is not None and "MAX_RUNTIME_EXCEEDED" in job.event_types:
        reason = job.failure_reason.rstrip(".") or "the job was stopped"
        return f"{_call(name)} ran into its time limit: {reason}"
    if outcome is None:
        return no_outcome(name, job)
    node_id = outcome.main_node if node_id is None else node_id
    own = next((node.name for node in outcome.nodes if node.node_id == node_id), "") or name
    error = outcome.error
    if error is None:
        return f"{_call(own)} did not run, because an electron packed with it failed"
    where = _PHASES.get(error.phase, error.phase)
    told = error.phase not in ("terminated", "time_limit") and error.type != STOPPED
    if outcome.status == "terminated" and told:
        where += ", told to stop"
    said = f"{error.type}: {error.message}" if error.message else error.type
    failed = f"{_call(error.name or name)} failed {where}: {said}"
    if error.node_id is None or node_id is None or error.node_id == node_id:
        return failed
    return f"{_call(own)} did not run, because {failed}"


def no_outcome(name: str, job: Job | None) -> str:
    """Say that a job ended without leaving what it should."""
    # Of several lines where AWS's container program wrote it; the first line has to say it all.
    reason = " ".join((job.failure_reason if job else "").split()) or "Braket gave no reason"
    often = " (SIGKILL; often the instance's memory was used up)" if _KILLED.search(reason) else ""
    status = job.status if job else ""
    return f"{_call(name)} left no outcome, and its job ended {status}: {reason}{often}"


def _call(name: str) -> str:
    # Covalent names its own electrons by what they do, such as "energies()[0]".
    return f"{name}()" if name.isidentifier() or name == "<lambda>" else name


def _of_job(job: Job, outcome: Outcome | None, problem: Exception | None) -> Iterator[str]:
    yield from _identity(job)
    if phase := _phase(job, outcome):
        yield f"Failed while: {phase}"
    yield from _phases(job, outcome)
    if outcome is not None and outcome.result_files:
        how = f"covalent-braket jobs artifacts {job.arn.rpartition('/')[2][:8]}"
        yield f"Files that it left: {outcome.result_files} ({how})"
    keys = _keys(job)
    if problem is not None and keys is not None:
        yield f"What is there stays there: {keys.uri(keys.base)}"


def _identity(job: Job) -> Iterator[str]:
    keys = _keys(job)
    attempt = f", attempt {keys.attempt}" if keys is not None and keys.attempt > 1 else ""
    billed = "" if job.billable_seconds is None else f", billed {job.billable_seconds:.1f} s"
    yield f"Job: {job.name}{attempt}"
    yield f"ARN: {job.arn}"
    yield f"Status: {job.status}{billed}"
    if link := console_link(job.arn):
        yield f"Console: {link}"


def _phases(job: Job, outcome: Outcome | None) -> Iterator[str]:
    yield from _durations("Braket's phases", braket_phases(job))
    yield from _durations("In the job", worker_phases(outcome))


def _keys(job: Job) -> Keys | None:
    try:
        return job.keys
    except BraketPluginError:  # it is not one of ours, or was not described
        return None


def _phase(job: Job, outcome: Outcome | None) -> str:
    if outcome is not None and outcome.status == "completed":
        return "bringing back what the job left"
    if outcome is not None and outcome.error is not None:
        return f"running, {_PHASES.get(outcome.error.phase, outcome.error.phase)}"
    if job.failure_reason.startswith("AlgorithmError"):  # SageMaker's word for a program's end
        return "running"
    return last_phase(job)


def _durations(title: str, phases: Iterable[tuple[str, float]]) -> Iterator[str]:
    texts = [f"{name} {seconds_text(seconds)}" for name, seconds in phases]
    if texts:
        yield f"{title}: {', '.join(texts)}"


def remote_traceback(error: ErrorData | None) -> str:
    """The traceback as Python printed it where the electron ran; empty if there is none."""
    if error is None:
        return ""
    if error.traceback:
        return error.traceback
    return f"{error.type}: {error.message}\n"
