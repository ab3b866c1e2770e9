"""One task's way back, from a job that has ended to files that Covalent takes; all blocking.

Values stay files on the whole way: nothing that came from a bucket is unpickled here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from covalent_braket_plugin import failure, glue, runtime
from covalent_braket_plugin.descriptions import Job, JobSummary
from covalent_braket_plugin.errors import (
    BraketPluginError,
    IntegrityError,
    NoOutcomeError,
    UncommittedError,
    may_pass,
)
from covalent_braket_plugin.monitoring import logs
from covalent_braket_plugin.pipeline import Context, remove
from covalent_braket_plugin.protocol import (
    Counted,
    Keys,
    Manifest,
    NodeOutcome,
    Outcome,
    Stream,
)

__all__ = ["Collected", "Texts", "add", "clear", "collect", "collect_glue", "left"]

LOG_TAIL_LINES = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Texts:
    """What users read about one node, as files; None where there is nothing to read.

    Attributes:
        stdout: The electron's stdout.
        stderr: Its stderr, with the remote traceback below.
        error: Why it failed or did not run: `covalent_braket_plugin.failure.report`.
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
        kind: Why it did not complete; empty if it did.
        summary: The same in one line.
        cleared: Whether nothing of it is needed in S3 any more.
        result_files: How many files the electron left as results; None if that is not known.
        spent: What was counted of its quantum tasks; None if nothing was.
        checkpoints: How many files of checkpoints it had; 0 also if that is not known.
        job: Its job; None for Covalent's own steps, which run locally.
        keys: Where the task lies; None for those.
    """

    nodes: Mapping[int, NodeOutcome]
    values: Mapping[int, Path]
    texts: Mapping[int, Texts]
    rest: Texts
    kind: failure.Kind = ""
    summary: str = ""
    cleared: bool = True
    result_files: int | None = None
    spent: Counted | None = None
    checkpoints: int = 0
    job: Job | None = None
    keys: Keys | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self.kind == "cancelled"

    def texts_of(self, node_id: int) -> Texts:
        """Find what there is to read about a node."""
        return self.texts.get(node_id, self.rest)


def collect(
    ctx: Context,
    job: JobSummary,
    name: str,
    place: Path,
    keys: Keys | None = None,
    nodes: Iterable[int] = (),
    history: Sequence[str] = (),
) -> Collected:
    """Bring back what a job left; it stays in S3 until `clear`.

    What is missing or damaged is a failure like others, and nothing of it is used.

    Args:
        ctx: Settings and calls.
        job: The job, which has ended; asked about again where more must be known of it.
        name: The electron's function name.
        place: Directory for the files.
        keys: Where the task lies; the job's hyperparameters say it if not given.
        nodes: The nodes that it is about; that of the keys if not known.
        history: What became of the attempts before this one, a line each.

    Raises:
        AwsError: AWS refused or did not answer.
        IntegrityError: The job is not one of ours.
    """
    if keys is None:
        job = _described(ctx, job)
        keys = job.keys
    found = _found(ctx, job, name, keys, nodes, history)
    try:
        values = {} if found.problem else _values(ctx, found, place)
    except IntegrityError as error:
        found, values = replace(found, problem=error), {}
    return _files(ctx, found, place, values)


def left(ctx: Context, job: Job) -> tuple[Outcome | None, IntegrityError | None]:
    """Tell what an ended job left, and what is wrong with that; values stay where they are.

    Both are what `failure.report` needs for the text that Covalent shows with the electron.

    Raises:
        AwsError: S3 refused or did not answer.
        IntegrityError: The job is not one of ours.
    """
    found = _found(ctx, job, job.tags.get("covalent:electron", ""), job.keys)
    return found.outcome, found.problem


def _found(
    ctx: Context,
    job: JobSummary,
    name: str,
    keys: Keys,
    nodes: Iterable[int] = (),
    history: Sequence[str] = (),
) -> _Found:
    nodes = tuple(nodes) or tuple(node for node in (keys.node_id,) if node is not None)
    try:
        outcome, problem = ctx.storage.fetch_outcome(keys, job.created_at), None
    except IntegrityError as error:
        outcome, problem = None, error
    found = _Found(name, _described(ctx, job, outcome), keys, tuple(history), outcome, problem)
    return replace(found, problem=problem or _what_is_missing(ctx, found, nodes))


def _described(ctx: Context, job: JobSummary, outcome: Outcome | None = None) -> Job:
    """Ask for all about a job, unless it is known or nobody needs it."""
    if isinstance(job, Job):
        return job
    if outcome is not None and outcome.status == "completed":
        return Job(**vars(job))
    return ctx.jobs.describe(job.arn)


def add(collected: Collected, line: str) -> None:
    """Add a line to what users read about each node that failed."""
    for texts in (*collected.texts.values(), collected.rest):
        if texts.error is not None:
            _append(texts.error, f"{line}\n")


def clear(ctx: Context, collected: Collected, nodes: Iterable[int] = ()) -> None:
    """Delete what a task left in S3, unless it is still of use; never fails.

    The outcome and long streams stay, as the job's record: the service itself knows no more of a
    job than a line about its failure.
    """
    if collected.keys is not None and collected.cleared and not ctx.settings.keep_payload:
        known = set(collected.nodes).union(nodes)
        archive = collected.result_files == 0
        remove(ctx, collected.keys, known, record=False, archive=archive)
        if not collected.kind and (collected.checkpoints or collected.keys.attempt > 1):
            _clear_checkpoints(ctx, collected.keys, collected.job)


def _clear_checkpoints(ctx: Context, keys: Keys, job: Job | None) -> None:
    """Delete what a completed electron saved on its way: run once more, it begins anew."""
    try:
        job = ctx.jobs.describe(job.arn) if job is not None and not job.checkpoints else job
        saved = keys.own_checkpoints(job.checkpoints) if job is not None else None
        if saved is not None:
            ctx.storage.remove_below(saved)
    except BraketPluginError as error:
        log.warning("The checkpoints of %s were not removed: %s", keys.uri(keys.base), error)


@dataclass(frozen=True)
class _Found:
    """A job that ended, and what it left."""

    name: str
    job: Job
    keys: Keys
    history: tuple[str, ...]
    outcome: Outcome | None = None
    problem: IntegrityError | None = None

    @property
    def kind(self) -> failure.Kind:
        if self.problem is not None:
            return "infrastructure"
        return failure.kind_of(self.outcome, self.job.status, self.job.event_types)


def _what_is_missing(ctx: Context, found: _Found, nodes: Iterable[int]) -> IntegrityError | None:
    """Say what an ended job should have left and did not; None if all is there, or excused."""
    outcome, keys = found.outcome, found.keys
    if outcome is None:
        if found.kind in ("cancelled", "time_limit"):
            return None
        text = failure.no_outcome(found.name, found.job)
        if ctx.storage.exists(keys.bucket, [keys.value(node) for node in nodes]):
            where = keys.uri(keys.base)
            return UncommittedError(
                f"{text}. It left a value, which may be half done and is not used: see {where}"
            )
        return NoOutcomeError(text)
    missing = set(nodes) - {node.node_id for node in outcome.nodes}
    if outcome.status == "completed" and missing:
        return IntegrityError(
            f"{keys.uri(keys.outcome)} says completed and has nothing about node "
            f"{', '.join(map(str, sorted(missing)))}: it is damaged, or not ours"
        )
    return _what_is_elsewhere(outcome, keys)


def _what_is_elsewhere(outcome: Outcome, keys: Keys) -> IntegrityError | None:
    """Refuse an outcome that names what lies with another task: we may read more than the job."""
    named = {node.key: keys.value(node.node_id) for node in outcome.nodes if node.key}
    named |= {outcome.stdout.key: keys.stream("stdout"), outcome.stderr.key: keys.stream("stderr")}
    for key, due in named.items():
        if key not in ("", due):
            return IntegrityError(
                f"{keys.uri(keys.outcome)} names {key} where {due} is due: it is damaged, or of "
                "another job"
            )
    return None


def _values(ctx: Context, found: _Found, place: Path) -> dict[int, Path]:
    values: dict[int, Path] = {}
    if found.outcome is not None and found.kind != "cancelled":
        for node in found.outcome.nodes:
            if node.status == "completed":
                values[node.node_id] = place / f"value-{node.node_id}.tobj"
                ctx.storage.fetch_value(found.keys, node, values[node.node_id])
    return values


def _files(ctx: Context, found: _Found, place: Path, values: Mapping[int, Path]) -> Collected:
    outcome = found.outcome
    nodes = {node.node_id: node for node in outcome.nodes} if outcome else {}
    stdout, stderr = _fresh_streams(place)
    if outcome is not None and _what_is_elsewhere(outcome, found.keys) is None:
        _fetch_stream(ctx, found.keys, outcome.stdout, stdout)
        _fetch_stream(ctx, found.keys, outcome.stderr, stderr)
    else:
        _append(stdout, _log_tail(ctx, found.job))
    _append(stderr, "".join(f"{line}\n" for line in found.history))
    if found.kind == "cancelled":  # of what was cancelled Covalent keeps no error
        _append(stderr, _error(found, None))
    texts, rest = _texts(
        place, outcome, lambda node_id: _error(found, node_id), usable=found.problem is None
    )
    kept = found.problem is not None and not isinstance(found.problem, NoOutcomeError)
    return Collected(
        nodes,
        values,
        texts,
        rest,
        kind=found.kind,
        summary=_error(found, None).partition("\n")[0] if found.kind else "",
        cleared=not kept,
        result_files=outcome.result_files if outcome else None,
        spent=outcome.spent if outcome else None,
        checkpoints=outcome.checkpoints if outcome else 0,
        job=found.job,
        keys=found.keys,
    )


def _error(found: _Found, node_id: int | None) -> str:
    return failure.report(
        found.job, found.outcome, name=found.name, node_id=node_id, problem=found.problem
    )


def _fresh_streams(place: Path) -> tuple[Path, Path]:
    for pattern in ("stdout*.log", "stderr*.log", "error*.txt"):
        for file in place.glob(pattern):
            file.unlink()
    return place / "stdout.log", place / "stderr.log"


def _texts(
    place: Path,
    outcome: Outcome | None,
    error_of: Callable[[int | None], str],
    *,
    usable: bool = True,
) -> tuple[dict[int, Texts], Texts]:
    """Write what there is to read about each node, and about any other.

    There is one pair of streams for the whole group: it goes to the main node, and the traceback
    to the node that failed. Where these are not known, both go to every node. Of an outcome that
    is not usable, no node is completed.
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
        _append(text, "" if completed and usable else error_of(node_id))
        return Texts(_written(stdout), _written(stderr), _written(text))

    nodes = outcome.nodes if outcome else []
    texts = {node.node_id: of(node.node_id, node.status == "completed") for node in nodes}
    return texts, of(None, outcome is not None and outcome.status == "completed")


def _written(file: Path) -> Path | None:
    return file if file.is_file() else None


def _fetch_stream(ctx: Context, keys: Keys, stream: Stream, target: Path) -> None:
    if not stream.key:
        _append(target, stream.text)
        return
    try:
        ctx.storage.download(keys.bucket, stream.key, target)
    except BraketPluginError as error:
        if may_pass(error):
            raise
        # What was printed can never decide an electron's fate.
        log.warning("%s could not be read: %s", keys.uri(stream.key), error)
        target.unlink(missing_ok=True)
        _append(target, f"{keys.uri(stream.key)} could not be read: {error}\n")


def _append(target: Path, text: str) -> None:
    if text:
        with target.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)


def _log_tail(ctx: Context, job: Job) -> str:
    try:
        clients, group = ctx.jobs.clients, ctx.settings.log_group_name
        stream = logs.job_log(clients, group, job.name, job.arn)
        lines = logs.newest(clients, group, stream, LOG_TAIL_LINES) if stream else ()
    except BraketPluginError as error:  # logs can never decide an electron's fate
        log.warning("The log of %s could not be read: %s", job.arn, error)
        return ""
    return "".join(f"{line.text.rstrip()}\n" for line in lines)


def collect_glue(name: str, place: Path, ended: glue.Ended) -> Collected:
    """Read what a child process left in ``place``."""
    manifest = Manifest.from_json((place / runtime.MANIFEST_FILE).read_bytes())
    outcome = glue.outcome_of(place, manifest, ended)
    nodes = {node.node_id: node for node in outcome.nodes}
    stdout, stderr = _fresh_streams(place)
    _append(stdout, outcome.stdout.text)
    _append(stderr, outcome.stderr.text)
    texts, rest = _texts(
        place, outcome, lambda node_id: failure.report(None, outcome, name=name, node_id=node_id)
    )
    values = {key: place / node.key for key, node in nodes.items() if node.key}
    return Collected(nodes, values, texts, rest)
