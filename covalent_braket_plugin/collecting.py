"""One task's way back, from a job that has ended to files that Covalent takes; all blocking.

Values stay files on the whole way: nothing that came from a bucket is unpickled here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from covalent_braket_plugin import failure, glue, runtime
from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.errors import BraketPluginError, IntegrityError
from covalent_braket_plugin.pipeline import Context, remove
from covalent_braket_plugin.protocol import Keys, Manifest, NodeOutcome, Outcome, Stream

__all__ = ["Collected", "Texts", "collect", "collect_glue"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Texts:
    """What users read about one node, as files; None where there is nothing to read.

    Attributes:
        stdout: The electron's stdout.
        stderr: Its stderr, with the remote traceback below.
        error: Why it failed or did not run, in one paragraph.
    """

    stdout: Path | None = None
    stderr: Path | None = None
    error: Path | None = None


@dataclass(frozen=True)
class Collected:
    """What came back, as files.

    Attributes:
        nodes: What became of each node.
        values: File of each completed node's value.
        texts: What there is to read about each node of the outcome.
        rest: The same for a node that the outcome does not name.
        cancelled: Whether the job was cancelled.
    """

    nodes: Mapping[int, NodeOutcome]
    values: Mapping[int, Path]
    texts: Mapping[int, Texts]
    rest: Texts
    cancelled: bool = False

    def texts_of(self, node_id: int) -> Texts:
        """Find what there is to read about a node."""
        return self.texts.get(node_id, self.rest)


def collect(
    ctx: Context,
    job_arn: str,
    status: str,
    name: str,
    place: Path,
    keys: Keys | None = None,
    nodes: Iterable[int] = (),
    job: Job | None = None,
) -> Collected:
    """Bring back what a job left, and clean up behind it.

    Args:
        ctx: Settings and calls.
        job_arn: The job, which has ended.
        status: How it ended.
        name: The electron's function name.
        place: Directory for the files.
        keys: Where the task lies; asked of the job if not known.
        nodes: The nodes that it is about; that of the keys if not known.
        job: What GetJob said when it had ended; asked for if it is needed and not known.

    Raises:
        AwsError: AWS refused or did not answer.
        IntegrityError: What came back is damaged; it is left where it is.
    """
    if keys is None:
        job = job or ctx.jobs.describe(job_arn)
        keys = job.keys
    outcome = ctx.jobs.fetch_outcome(keys)
    good = outcome is not None and outcome.status == "completed"
    if outcome is not None and good:
        _check_complete(outcome, keys, nodes)
    if not good and job is None:
        job = ctx.jobs.describe(job_arn)
    collected = _files(ctx, _Found(name, job_arn, status, job, keys, outcome), place)
    if not ctx.settings.keep_payload:
        remove(ctx, keys, outcome, nodes)
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


def _check_complete(outcome: Outcome, keys: Keys, nodes: Iterable[int]) -> None:
    wanted = set(nodes) or {node for node in (keys.node_id,) if node is not None}
    missing = wanted - {node.node_id for node in outcome.nodes}
    if missing:
        raise IntegrityError(
            f"{keys.uri(keys.outcome)} says completed and has nothing about node "
            f"{', '.join(map(str, sorted(missing)))}: it is damaged, or not ours. Nothing of the "
            "task was deleted."
        )


def _files(ctx: Context, found: _Found, place: Path) -> Collected:
    outcome, keys = found.outcome, found.keys
    nodes = {node.node_id: node for node in outcome.nodes} if outcome else {}
    values = {}
    if found.status != "CANCELLED":
        for node in nodes.values():
            if node.status == "completed":
                values[node.node_id] = place / f"value-{node.node_id}.tobj"
                ctx.jobs.fetch_value(keys, node, values[node.node_id])
    stdout, stderr = _fresh_streams(place)
    if outcome is not None:
        _fetch_stream(ctx, keys, outcome.stdout, stdout)
        _fetch_stream(ctx, keys, outcome.stderr, stderr)
    elif found.job is not None:
        _append(stdout, _log_tail(ctx, found.job))
    texts, rest = _texts(place, outcome, lambda node_id: _error(found, node_id))
    return Collected(nodes, values, texts, rest, cancelled=found.status == "CANCELLED")


def _error(found: _Found, node_id: int | None) -> str:
    job = found.job
    return failure.headline(
        found.name,
        found.outcome,
        node_id=node_id,
        job_arn=found.arn,
        job_name=job.name if job else "",
        status=found.status,
        failure_reason=job.failure_reason if job else "",
        events=job.event_types if job else (),
    )


def _fresh_streams(place: Path) -> tuple[Path, Path]:
    for pattern in ("stdout*.log", "stderr*.log", "error*.txt"):
        for file in place.glob(pattern):
            file.unlink()
    return place / "stdout.log", place / "stderr.log"


def _texts(
    place: Path, outcome: Outcome | None, error_of: Callable[[int | None], str]
) -> tuple[dict[int, Texts], Texts]:
    """Write what there is to read about each node, and about any other.

    There is one pair of streams for the whole group: it goes to the main node, and the traceback
    to the node that failed. Where these are not known, both go to every node.
    """
    main = outcome.main_node if outcome else None
    error = outcome.error if outcome else None
    failed = main if error is None or error.node_id is None else error.node_id

    def of(node_id: int | None, completed: bool) -> Texts:
        stdout, stderr = place / "stdout.log", place / "stderr.log"
        if node_id != main:
            stdout, stderr = place / f"stdout-{node_id}.log", place / f"stderr-{node_id}.log"
        if node_id == failed:
            _append(stderr, failure.remote_traceback(error))
        text = place / f"error-{node_id}.txt"
        _append(text, "" if completed else error_of(node_id))
        return Texts(_written(stdout), _written(stderr), _written(text))

    nodes = outcome.nodes if outcome else []
    texts = {node.node_id: of(node.node_id, node.status == "completed") for node in nodes}
    return texts, of(None, outcome is not None and outcome.status == "completed")


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
    stdout, stderr = _fresh_streams(place)
    _append(stdout, outcome.stdout.text)
    _append(stderr, outcome.stderr.text)
    texts, rest = _texts(
        place, outcome, lambda node_id: failure.headline(name, outcome, node_id=node_id)
    )
    values = {key: place / node.key for key, node in nodes.items() if node.key}
    return Collected(nodes, values, texts, rest)
