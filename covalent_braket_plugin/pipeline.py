"""One task's way out, from the files that Covalent staged to S3; all blocking.

`context` settles what is in force, `prepare` checks, packs and uploads; making the job is the
business of `lifecycle`, the way back is in `collecting`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from covalent_braket_plugin import (
    arguments,
    aws,
    bundle,
    inputs,
    local_endpoint,
    packing,
    preflight,
    request,
    roles,
    runtime,
)
from covalent_braket_plugin.costs import limits
from covalent_braket_plugin.costs.limits import Attempt
from covalent_braket_plugin.costs.prices import at_hand
from covalent_braket_plugin.devices import catalogue
from covalent_braket_plugin.devices.choice import Chosen
from covalent_braket_plugin.errors import (
    AwsError,
    BraketPluginError,
    LocalBraketError,
    NotFoundError,
    SettingError,
    VersionMismatchError,
)
from covalent_braket_plugin.inputs.progress import Tell, silent
from covalent_braket_plugin.job.hyperparameters import decode
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.packing import Group
from covalent_braket_plugin.payload import own_versions
from covalent_braket_plugin.protocol import Budget, InputChannel, Keys, Manifest, Task
from covalent_braket_plugin.settings import (
    Settings,
    check_complete,
    resolve,
    with_local,
    with_region,
)
from covalent_braket_plugin.storage import Storage

__all__ = [
    "LOCAL_BRAKET_GONE",
    "LOCAL_BRAKET_REPLACED",
    "Context",
    "Prepared",
    "bring_inputs",
    "check",
    "check_devices",
    "context",
    "discard",
    "prepare",
    "prepare_again",
    "prepare_for_device",
    "prepare_glue",
    "remove",
]

log = logging.getLogger(__name__)

LOCAL_BRAKET_GONE = (
    "The local Braket that ran this job has stopped, and its jobs are gone with it: it keeps them "
    "in memory. Dispatch the workflow again."
)
LOCAL_BRAKET_REPLACED = (
    "The local Braket stopped while this electron waited for a slot, and what was uploaded for it "
    "is gone: it keeps all in memory. Dispatch the workflow again."
)


@dataclass(frozen=True)
class Context:
    """Settings in force and the calls they lead to.

    Attributes:
        settings: What is in force.
        jobs: The calls about jobs.
        storage: The calls about what is in S3.
        local_pid: Process of the local Braket, which keeps all in memory; None on AWS.
        device_wanted: The device that was wanted, if the job gets another.
    """

    settings: Settings
    jobs: Jobs
    storage: Storage
    local_pid: int | None = None
    device_wanted: str = ""


@dataclass(frozen=True)
class Prepared:
    """A task that is uploaded and ready to be made a job.

    Attributes:
        keys: Where it lies.
        request: CreateJob's keywords.
    """

    keys: Keys
    request: dict[str, Any]


def context(
    given: Mapping[str, object],
    config: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    may_start: bool,
    device: Chosen | None = None,
) -> Context:
    """Settle every setting and find the clients for it.

    Args:
        given: What the executor was made with.
        config: The section ``[executors.braket]``.
        environ: Environment variables.
        may_start: Whether this is for new work: then the local Braket is started if it is wanted
            and does not run, AWS's files have to be whole, and names of devices are looked up.
        device: The device that was chosen for the job; None: the one in the settings.

    Raises:
        SettingError: A value breaks a rule.
        UnconfiguredError: No region is known.
        LocalBraketError: The local Braket cannot be used.
    """
    if device is not None:
        given = {**given, "quantum_device": device.arn, "region": device.region}
    settings = resolve(given, config, environ)
    check_complete(settings)
    local_pid = None
    if settings.local:
        running = _local_braket(may_start)
        settings, local_pid = with_local(settings, running), int(running["pid"])
    if may_start:
        settings = catalogue.located(settings)
        catalogue.check_live(settings)
    clients = aws.clients_for(settings, for_new_work=may_start)
    settings = with_region(settings, clients.region)
    wanted = device.wanted if device and device.wanted != device.arn else ""
    return Context(settings, Jobs(clients), Storage(clients), local_pid, wanted)


def check_devices(ctx: Context) -> None:
    """Check that the job may be made with each device that it may get; it may fetch prices.

    Raises:
        SettingError: A fallback device is elsewhere.
        CostLimitError: With one of them `max_cost` cannot be kept, or is needed.
    """
    settings, region = ctx.settings, ctx.jobs.clients.region
    catalogue.in_region(settings, region)
    others = settings.fallback_devices if settings.if_device_unavailable == "fallback" else ()
    for device in (settings.quantum_device, *others):
        limits.budget_of(replace(settings, quantum_device=device), region)


def _local_braket(may_start: bool) -> dict[str, Any]:
    if may_start:
        return local_endpoint.find_or_start()
    info = local_endpoint.find_again()
    if info is None:
        raise LocalBraketError(LOCAL_BRAKET_GONE)
    return info


# --- submit ----------------------------------------------------------------------------------


def prepare(ctx: Context, group: Group, task: Task, place: Path, tell: Tell = silent) -> Prepared:
    """Check, pack and upload a task; no job is made yet.

    Args:
        ctx: Settings and calls.
        group: The staged electrons.
        task: What the job is for.
        place: Directory for the payload's file; the file is gone afterwards.
        tell: Told how far the upload of input data is; what it raises gives it up.

    Raises:
        VersionMismatchError: The image cannot load what the electron was pickled with.
        CostLimitError: It may cost more than `max_cost`, or needs one and has none.
        SettingError: A setting breaks a limit of the service.
        UnconfiguredError: No role is named, and the account's default one was not found.
        AwsError: S3, STS, IAM or ECR refused.
    """
    settings = ctx.settings
    ctx = _showing_arguments(ctx, group)
    keys, budget = _checked(ctx, group, task)
    payload = place / runtime.PAYLOAD_FILE
    manifest = packing.build(
        group,
        payload,
        strict_versions=preflight.strict(settings)["cloudpickle"],
        strict_python=preflight.strict(settings)["python"],
        kms_key_id=settings.kms_key_id or "",
        budget=budget,
    )
    try:
        manifest = replace(manifest, inputs=_inputs(ctx, tell) or None)
        sha256 = _stage(ctx, keys, manifest, payload)
    finally:
        payload.unlink(missing_ok=True)
    log.info("%s: %s", task.name, limits.sentence(settings, ctx.jobs.clients.region, at_hand()))
    return Prepared(keys, _request(ctx, task, keys, sha256, manifest.inputs))


def check(ctx: Context, group: Group, task: Task) -> None:
    """Check a task as `prepare` does; nothing is uploaded.

    Args:
        ctx: Settings and calls.
        group: The staged electrons.
        task: What the job is for.

    Raises:
        BraketPluginError: As `prepare`.
    """
    _checked(_showing_arguments(ctx, group), group, task)


def bring_inputs(ctx: Context, group: Group, task: Task, tell: Tell) -> None:
    """Check a task as `prepare` does, and upload the local input data that it needs.

    `prepare` finds it there: this may take long, and is done once for all tasks with this data.

    Args:
        ctx: Settings and calls.
        group: The staged electrons.
        task: What the job is for.
        tell: Told now and then how far it is; what it raises gives it up.

    Raises:
        BraketPluginError: As `prepare`.
    """
    _checked(ctx, group, task)
    _inputs(ctx, tell)


def _checked(ctx: Context, group: Group, task: Task) -> tuple[Keys, Budget | None]:
    """Check all that can be checked before anything is uploaded."""
    settings = ctx.settings
    preflight.check_versions(group, settings, ctx.jobs.clients)
    budget = limits.budget_of(settings, ctx.jobs.clients.region)
    keys = Keys.of(_bucket(ctx), settings.s3_prefix, task)
    _request(ctx, task, keys, "0" * 64)
    if settings.input_data:
        inputs.look(settings.input_data, _target(ctx, keys.bucket))
    return keys, budget


def _inputs(ctx: Context, tell: Tell) -> list[InputChannel]:
    if not ctx.settings.input_data:
        return []
    try:
        return inputs.bring(ctx.settings.input_data, _target(ctx, _bucket(ctx)), tell)
    except NotFoundError as error:
        raise _no_bucket(_bucket(ctx), error) from error


def _target(ctx: Context, bucket: str) -> inputs.Target:
    settings = ctx.settings
    return inputs.Target(
        ctx.storage,
        bucket,
        settings.s3_prefix,
        settings.kms_key_id or "",
        may_create=settings.s3_bucket_name is None,
        service=ctx.local_pid,
    )


def prepare_again(
    ctx: Context, staged: Keys, task: Task, before: Attempt | None = None
) -> Prepared | None:
    """Ready a task whose payload is in S3 already.

    Such as for its next attempt, or if the server stopped before it became a job.

    Args:
        ctx: Settings and calls.
        staged: Where the payload is; it stays there.
        task: What the job is for; its attempt says where the payload is needed.
        before: What the attempt before cost, which has failed; None if there was none.

    Returns:
        None if the payload is not there any more.

    Raises:
        AwsError: S3, STS or IAM refused.
        CostLimitError: What the attempts before it left of `max_cost` is too little.
        SettingError: A setting breaks a limit of the service.
        UnconfiguredError: No role is named, and the account's default one was not found.
    """
    keys = staged.of_attempt(task.attempt)

    def changed(manifest: Manifest) -> Manifest:
        if before is None:
            return manifest
        earlier = limits.cost_at_most(before, manifest.budget, ctx.settings)
        budget = limits.budget_of(ctx.settings, ctx.jobs.clients.region, earlier)
        return replace(manifest, budget=budget)

    found = ctx.storage.reuse(staged, keys, changed)
    if found is None:
        return None
    sha256, manifest = found
    if manifest.inputs:
        target = _target(ctx, keys.bucket)
        inputs.bring_again(manifest.inputs, ctx.settings.input_data, target)
    worker = _worker(ctx.settings)
    if worker is not None:  # not copied: what lies there may be of another version of this package
        ctx.storage.stage_worker(keys, worker, ctx.settings.kms_key_id or "")
    if before is not None:
        ctx = _showing_arguments(ctx, before.job.hyperparameters)
    job_request = _request(ctx, task, keys, sha256, manifest.inputs)
    if before is not None and before.job.checkpoints:  # also where nobody knows of a redispatch
        job_request["checkpointConfig"]["s3Uri"] = before.job.checkpoints
    return Prepared(keys, job_request)


def prepare_for_device(ctx: Context, prepared: Prepared, task: Task) -> Prepared | None:
    """Ready a task that is uploaded for another device; all else about its job stays as it was.

    Args:
        ctx: Settings and calls, with the other device.
        prepared: The task in S3.
        task: What the job is for.

    Returns:
        None if the payload is not there any more.

    Raises:
        BraketPluginError: As `prepare_again`.
    """
    again = prepare_again(ctx, prepared.keys, task)
    if again is None:
        return None
    # The electron's arguments and its checkpoints are not to be told from the settings.
    kept = {name: prepared.request[name] for name in ("hyperParameters", "checkpointConfig")}
    return Prepared(again.keys, {**again.request, **kept})


def _showing_arguments(ctx: Context, found: Group | Mapping[str, str]) -> Context:
    """Add the electron's arguments, from it or from its last job, if they are to be shown."""
    settings = ctx.settings
    if not settings.log_arguments:
        return ctx
    if isinstance(found, Group):
        joined = arguments.with_arguments(settings.hyperparameters, found)
    else:
        joined = {**decode(found), **settings.hyperparameters}
    return replace(ctx, settings=replace(settings, hyperparameters=joined))


def _stage(ctx: Context, keys: Keys, manifest: Manifest, payload: Path) -> str:
    named = ctx.settings.s3_bucket_name
    try:
        worker = _worker(ctx.settings)
        return ctx.storage.stage(keys, manifest, payload, worker, may_create=named is None)
    except NotFoundError as error:
        raise _no_bucket(keys.bucket, error) from error
    except AwsError:
        discard(ctx, keys)  # the payload may be there, and the manifest not
        raise


def _no_bucket(bucket: str, error: NotFoundError) -> SettingError:
    fix = "Create it, name another, or leave it out for Braket's usual bucket."
    rule = f"the bucket must exist and this identity must see it ({error})"
    return SettingError("s3_bucket_name", bucket, rule, fix)


def _worker(settings: Settings) -> bytes | None:
    return bundle.archive() if settings.script_mode else None


def _bucket(ctx: Context) -> str:
    named = ctx.settings.s3_bucket_name
    clients = ctx.jobs.clients
    return named or f"amazon-braket-{clients.region}-{clients.account_id()}"


def _request(
    ctx: Context,
    task: Task,
    keys: Keys,
    sha256: str,
    channels: Sequence[InputChannel] | None = None,
) -> dict[str, Any]:
    role = roles.role_of(ctx.settings, ctx.jobs.clients)
    return request.create_job_request(
        ctx.settings,
        task,
        keys,
        sha256,
        role,
        channels=channels or (),
        device_wanted=ctx.device_wanted,
    )


def discard(ctx: Context, keys: Keys) -> None:
    """Delete what was uploaded for a task that will not become a job; never fails."""
    if not ctx.settings.keep_payload:
        remove(ctx, keys, ())


def remove(
    ctx: Context, keys: Keys, nodes: Iterable[int], *, record: bool = True, archive: bool = False
) -> None:
    """Delete what a task left in S3; see `Storage.remove`.

    It never fails, since what matters is done by then.
    """
    try:
        ctx.storage.remove(keys, sorted(set(nodes)), record=record, archive=archive)
    except NotFoundError:  # not even the bucket is there
        return
    except BraketPluginError as error:
        log.warning("%s was not cleaned up: %s", keys.uri(keys.base), error)


# --- Covalent's own little electrons ---------------------------------------------------------


def prepare_glue(group: Group, place: Path) -> None:
    """Pack a group of glue electrons for a local child process.

    Raises:
        VersionMismatchError: This Python cannot load what was pickled; it would crash.
    """
    problems = packing.check_versions(group, own_versions())
    if problems:
        raise VersionMismatchError(
            f"Covalent's own step {group.main.name}() cannot run beside its server: "
            f"{problems[0].text}. Run the server, the workflow and the jobs with the same "
            "Python."
        )
    manifest = packing.build(group, place / runtime.PAYLOAD_FILE)
    (place / runtime.MANIFEST_FILE).write_bytes(manifest.to_json())
