"""One task, from the files that Covalent staged to the files that it takes back; all blocking.

`prepare` packs and uploads, `submit` makes the job, `collect` brings back what it left. Both of
the executor's faces, Covalent's managed interface and ``run()``, go through here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covalent_braket_plugin import aws, failure, glue, local_endpoint, packing, request, runtime
from covalent_braket_plugin.errors import (
    AwsError,
    BraketPluginError,
    LocalBraketError,
    NotFoundError,
    SettingError,
    VersionMismatchError,
)
from covalent_braket_plugin.jobs import Job, Jobs
from covalent_braket_plugin.packing import Group
from covalent_braket_plugin.protocol import (
    Keys,
    Manifest,
    NodeOutcome,
    Outcome,
    Stream,
    Task,
    image_versions,
    version_mismatch,
)
from covalent_braket_plugin.settings import (
    Settings,
    check,
    require_aws,
    resolve,
    with_local,
    with_region,
)

__all__ = [
    "Collected",
    "Context",
    "Prepared",
    "collect",
    "collect_glue",
    "context",
    "discard",
    "prepare",
    "prepare_glue",
    "submit",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """Settings in force and the calls they lead to."""

    settings: Settings
    jobs: Jobs


@dataclass(frozen=True)
class Prepared:
    """A task that is uploaded and ready to be made a job.

    Attributes:
        keys: Where it lies.
        request: CreateJob's keywords.
    """

    keys: Keys
    request: dict[str, Any]


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


def context(
    given: Mapping[str, object],
    config: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    may_start: bool,
) -> Context:
    """Settle every setting and find the clients for it.

    Args:
        given: What the executor was made with.
        config: The section ``[executors.braket]``.
        environ: Environment variables.
        may_start: Whether to start the local Braket if it is wanted and does not run.

    Raises:
        SettingError: A value breaks a rule.
        UnconfiguredError: Settings are missing that AWS needs.
        LocalBraketError: The local Braket cannot be used.
    """
    settings = resolve(given, config, environ)
    check(settings)
    if settings.local:
        settings = with_local(settings, _local_braket(may_start))
    require_aws(settings)
    clients = aws.clients_for(settings)
    settings = with_region(settings, clients.region)
    return Context(settings, Jobs(clients))


def _local_braket(may_start: bool) -> dict[str, Any]:
    if may_start:
        return local_endpoint.find_or_start()
    info = local_endpoint.find()
    if info is None:
        raise LocalBraketError(
            "The local Braket that ran this job has stopped, and its jobs are gone with it: it "
            "keeps them in memory. Dispatch the workflow again."
        )
    return info


# --- submit ----------------------------------------------------------------------------------


def prepare(ctx: Context, group: Group, task: Task, place: Path) -> Prepared:
    """Check, pack and upload a task; no job is made yet.

    Args:
        ctx: Settings and calls.
        group: The staged electrons.
        task: What the job is for.
        place: Directory for the payload's file; the file is gone afterwards.

    Raises:
        VersionMismatchError: The image cannot load what the electron was pickled with.
        SettingError: A setting breaks a limit of the service.
        AwsError: S3 or STS refused.
    """
    settings = ctx.settings
    _preflight(group, settings)
    keys = Keys.of(_bucket(ctx), settings.s3_prefix, task)
    # All limits are checked before anything is uploaded; only the digest is filled in later.
    _request(ctx, task, keys, "0" * 64)
    payload = place / runtime.PAYLOAD_FILE
    manifest = packing.build(
        group,
        payload,
        strict_versions=settings.version_mismatch == "error",
        kms_key_id=settings.kms_key_id or "",
    )
    try:
        sha256 = _stage(ctx, keys, manifest, payload)
    finally:
        payload.unlink(missing_ok=True)
    return Prepared(keys, _request(ctx, task, keys, sha256))


def _stage(ctx: Context, keys: Keys, manifest: Manifest, payload: Path) -> str:
    named = ctx.settings.s3_bucket_name
    try:
        return ctx.jobs.stage(keys, manifest, payload, may_create=named is None)
    except NotFoundError as error:
        fix = "Create it, name another, or leave it out for Braket's usual bucket."
        rule = f"the bucket must exist and this identity must see it ({error})"
        raise SettingError("s3_bucket_name", keys.bucket, rule, fix) from error


def _bucket(ctx: Context) -> str:
    named = ctx.settings.s3_bucket_name
    clients = ctx.jobs.clients
    return named or f"amazon-braket-{clients.region}-{clients.account_id()}"


def _request(ctx: Context, task: Task, keys: Keys, sha256: str) -> dict[str, Any]:
    clients = ctx.jobs.clients
    role = ctx.settings.braket_job_execution_role_name or ""
    account = "" if role.startswith("arn:") else clients.account_id()
    return request.create_job_request(
        ctx.settings,
        task,
        keys.uri(keys.manifest),
        sha256,
        keys.output_uri,
        account_id=account,
        partition=clients.partition,
    )


def _preflight(group: Group, settings: Settings) -> None:
    """Refuse before a job is paid for what would crash in the container."""
    image = settings.ecr_image_uri or ""
    held = image_versions(image)
    problem = version_mismatch(group.versions, held)
    if problem is None:
        return
    text = (
        f"{group.main.name}() was not submitted: {problem} in the image {image}. Use an image "
        f"with Python {group.versions.python}, or run the workflow with the image's versions. "
        'version_mismatch="warn" submits it all the same.'
    )
    if settings.version_mismatch == "error":
        raise VersionMismatchError(text)
    log.warning("%s", text)


def submit(ctx: Context, prepared: Prepared) -> str:
    """Make the job.

    Returns:
        Its ARN.

    Raises:
        AwsError: Braket refused; what was uploaded is gone again.
    """
    try:
        return ctx.jobs.create(prepared.request)
    except AwsError as error:
        if not error.transient:
            discard(ctx, prepared.keys)
        raise


def discard(ctx: Context, keys: Keys) -> None:
    """Delete what was uploaded for a task that will not become a job; never fails."""
    if not ctx.settings.keep_payload:
        _remove(ctx, keys, None)


# --- collect ---------------------------------------------------------------------------------


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
        _remove(ctx, keys, outcome)
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


def _remove(ctx: Context, keys: Keys, outcome: Outcome | None) -> None:
    nodes = [node.node_id for node in outcome.nodes] if outcome else []
    try:
        ctx.jobs.remove(keys, outcome, nodes)
    except BraketPluginError as error:
        log.warning("%s was not cleaned up: %s", keys.uri(keys.base), error)


# --- Covalent's own little electrons ---------------------------------------------------------


def prepare_glue(group: Group, place: Path) -> None:
    """Pack a group of glue electrons for a local child process."""
    manifest = packing.build(group, place / runtime.PAYLOAD_FILE)
    (place / runtime.MANIFEST_FILE).write_bytes(manifest.to_json())


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
