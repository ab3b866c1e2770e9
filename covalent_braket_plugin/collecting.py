"""One task's way back, from a job that has ended to files that Covalent takes; all blocking.

Values stay files on the whole way: nothing that came from a bucket is unpickled here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covalent_braket_plugin import failure, glue, runtime
from covalent_braket_plugin.errors import BraketPluginError
from covalent_braket_plugin.jobs import Job
from covalent_braket_plugin.pipeline import Context, remove
from covalent_braket_plugin.protocol import Keys, Manifest, NodeOutcome, Outcome, Stream

__all__ = ["Collected", "collect", "collect_glue"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collected:
    """What came back, as files.

    Attributes:
        nodes: What became of each node.
        values: File of each completed node's value.
        stdout: File of the electron's stdout, if it wrote any.
        stderr: File of its stderr, with the remote traceback below.
        error: File that says in one paragraph why it failed; None if it did not.
        cancelled: Whether the job was cancelled.
    """

    nodes: Mapping[int, NodeOutcome]
    values: Mapping[int, Path]
    stdout: Path | None
    stderr: Path | None
    error: Path | None = None
    cancelled: bool = False


def collect(
    ctx: Context, job_arn: str, status: str, name: str, place: Path, keys: Keys | None = None
) -> Collected:
    """Bring back what a job left, and clean up behind it.

    Args:
        ctx: Settings and calls.
        job_arn: The job, which has ended.
        status: How it ended.
        name: The electron's function name.
        place: Directory for the files.
        keys: Where the task lies; asked of the job if not known.

    Raises:
        AwsError: AWS refused or did not answer.
        IntegrityError: What came back is damaged.
    """
    job: Job | None = None
    if keys is None:
        job = ctx.jobs.describe(job_arn)
        keys = job.keys
    outcome = ctx.jobs.fetch_outcome(keys)
    good = outcome is not None and outcome.status == "completed"
    if not good and job is None:
        job = ctx.jobs.describe(job_arn)
    collected = _files(ctx, _Found(name, job_arn, status, job, keys, outcome), place)
    if not ctx.settings.keep_payload:
        remove(ctx, keys, outcome)
    return collected


@dataclass(frozen=True)
class _Found:
    """A job that ended, and what it left."""

    name: str
    arn: str
    status: str
    job: Job | None
    keys: Keys
    outcome: Outcome | None


def _files(ctx: Context, found: _Found, place: Path) -> Collected:
    outcome, keys = found.outcome, found.keys
    nodes = {node.node_id: node for node in outcome.nodes} if outcome else {}
    values = {}
    if found.status != "CANCELLED":
        for node in nodes.values():
            if node.status == "completed":
                values[node.node_id] = place / f"value-{node.node_id}.tobj"
                ctx.jobs.fetch_value(keys, node, values[node.node_id])
    stdout, stderr, error = _texts(place)
    if outcome is not None:
        _fetch_stream(ctx, keys, outcome.stdout, stdout)
        _fetch_stream(ctx, keys, outcome.stderr, stderr)
        _append(stderr, failure.remote_traceback(outcome.error))
    elif found.job is not None:
        _append(stdout, _log_tail(ctx, found.job))
    _append(error, _error(found))
    return Collected(
        nodes=nodes,
        values=values,
        stdout=_written(stdout),
        stderr=_written(stderr),
        error=_written(error),
        cancelled=found.status == "CANCELLED",
    )


def _error(found: _Found) -> str:
    outcome, job = found.outcome, found.job
    if outcome is not None and outcome.status == "completed":
        return ""
    return failure.headline(
        found.name,
        outcome,
        job_arn=found.arn,
        job_name=job.name if job else "",
        status=found.status,
        failure_reason=job.failure_reason if job else "",
        events=job.events if job else (),
    )


def _texts(place: Path) -> tuple[Path, Path, Path]:
    files = place / "stdout.log", place / "stderr.log", place / "error.txt"
    for file in files:
        file.unlink(missing_ok=True)
    return files


def _written(file: Path) -> Path | None:
    return file if file.is_file() else None


def _fetch_stream(ctx: Context, keys: Keys, stream: Stream, target: Path) -> None:
    if stream.key:
        ctx.jobs.download(keys.bucket, stream.key, target)
    else:
        _append(target, stream.text)


def _append(target: Path, text: str) -> None:
    if text:
        with target.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)


def _log_tail(ctx: Context, job: Job) -> str:
    try:
        return ctx.jobs.log_tail(job, ctx.settings.log_group_name)
    except BraketPluginError as error:  # logs can never decide an electron's fate
        log.warning("The log of %s could not be read: %s", job.arn, error)
        return ""


def collect_glue(name: str, place: Path, ended: glue.Ended) -> Collected:
    """Read what a child process left in ``place``."""
    manifest = Manifest.from_json((place / runtime.MANIFEST_FILE).read_bytes())
    outcome = glue.outcome_of(place, manifest, ended)
    nodes = {node.node_id: node for node in outcome.nodes}
    stdout, stderr, error = _texts(place)
    _append(stdout, outcome.stdout.text)
    _append(stderr, outcome.stderr.text)
    _append(stderr, failure.remote_traceback(outcome.error))
    if outcome.error:
        _append(error, failure.headline(name, outcome))
    return Collected(
        nodes=nodes,
        values={key: place / node.key for key, node in nodes.items() if node.key},
        stdout=_written(stdout),
        stderr=_written(stderr),
        error=_written(error),
    )
