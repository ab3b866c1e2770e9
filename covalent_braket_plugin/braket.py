"""`BraketExecutor`: Covalent's life cycle on one side, the rooms of this package on the other.

Covalent builds an executor anew for each phase of an electron, from the attributes as JSON: plain
values only, no clients, nothing secret. So nothing is kept here between phases but what the phases
hand each other, and what the whole process must know (`shared`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if "covalent" not in sys.modules:
    # Covalent loads all plugins while it is imported. If we are imported first, it would find us
    # half done, warn, and not know the executor: it gets a chance to import us whole, and Python
    # then hands out what stands in sys.modules.
    _half_done = sys.modules.pop(__name__)
    import covalent  # noqa: F401

    sys.modules.setdefault(__name__, _half_done)

from covalent._shared_files.config import get_config
from covalent._shared_files.exceptions import TaskCancelledError, TaskRuntimeError
from covalent.executor.base import AsyncBaseExecutor
from covalent.executor.schemas import ResourceMap, TaskSpec, TaskUpdate

from covalent_braket_plugin import covalent_compat, exchange, shared, staging
from covalent_braket_plugin.settings import BY_NAME, check_given, own_values, same, unknown
from covalent_braket_plugin.threads import in_thread

# Covalent imports this module whenever it is imported itself: what only a job needs is loaded
# with the first one.
if TYPE_CHECKING:
    from covalent_braket_plugin.asking import NewWorkMaker
    from covalent_braket_plugin.collecting import Collected
    from covalent_braket_plugin.devices.choice import Chosen
    from covalent_braket_plugin.direct import Returned
    from covalent_braket_plugin.packing import Group
    from covalent_braket_plugin.pipeline import Context
    from covalent_braket_plugin.protocol import Task

__all__ = ["EXECUTOR_PLUGIN_NAME", "BraketExecutor"]

EXECUTOR_PLUGIN_NAME = "BraketExecutor"

# Covalent writes these into its configuration file once and never changes them again, so that a
# default put here would outlive its reasons: unset stays unset, and is settled when we send.
_EXECUTOR_PLUGIN_DEFAULTS: dict[str, Any] = {}

covalent_compat.name_what_cannot_be_pickled()


def __getattr__(name: str) -> Any:
    """What ``covalent deploy`` looks for in this module, made when it does."""
    if name in ("ExecutorInfraDefaults", "ExecutorPluginDefaults"):
        from covalent_braket_plugin.covalent_compat import deploying
        from covalent_braket_plugin.deploy import models

        deploying.adapt()
        return getattr(models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class BraketExecutor(AsyncBaseExecutor):
    """Runs electrons as Amazon Braket Hybrid Jobs, on AWS or on the built-in local Braket.

    Every argument may be left out (None or ``""``): then the section ``[executors.braket]`` of
    Covalent's configuration file decides, then the environment, then the default. 0 is a value,
    and so is ``max_cost=None``.

    Args:
        local: Run on the local Braket, which is started if none runs; nothing else is needed.
        quantum_device: Device that the electron's quantum tasks use (default SV1): a name such as
            ``"Garnet"``, an ARN, one of ``braket.devices.Devices``, ``"local:provider/name"`` for a
            simulator inside the job, or ``"none"``.
        if_device_unavailable: ``"wait"`` (default) for a device that is offline or outside its
            hours, ``"fail"``, or take one of the others: ``"fallback"``.
        fallback_devices: Devices to take instead, in this order.
        max_device_wait: Longest time in seconds to wait for a device (default a day).
        classical_device: Instance type that the electron runs on (default ``ml.m5.large``).
        instance_count: Number of instances (default 1).
        storage: Size of the instance's volume in GB (default 30).
        time_limit: Longest run of the job in seconds, 1 to 432000 (default 300).
        max_cost: Most US dollars that an electron may cost, with all its attempts. Must be said for
            QPUs: None, if it is passed, means that there is no limit.
        poll_freq: Longest time in seconds between two questions whether the job has ended
            (default 30); young jobs are asked about sooner.
        max_parallel_jobs: Most jobs of this account, region and identity at the same time; later
            electrons wait. 0 (default): as many as Braket takes, learnt from its answers.
        queue_timeout: Longest time in seconds that an electron waits for a slot before it fails
            (default: as long as it must).
        give_up_after: For so many seconds AWS is asked again and again when it does not answer,
            before an electron fails (default 3600).
        retries: How often an electron is run again as a new job (default 0).
        retry_on: What that is for: ``"infrastructure"`` (default), ``"time_limit"``,
            ``"electron"``.
        resume_on: When an electron goes on from its checkpoints in a further job: the same words.
        resumes: How often it does so at most (default 20).
        checkpoint_key: Name for the checkpoints in S3, to go on with those of another dispatch.
        checkpoint_local_path: Directory in the job for checkpoints (default
            ``/opt/jobs/checkpoints``).
        on_stop: ``"leave"`` (default) or ``"cancel"`` jobs when Covalent's server is stopped.
        reattach: Whether a server that starts waits again for the jobs that were left (default
            True).
        region: AWS region.
        profile: Name of an AWS profile.
        credentials: Path of an AWS credentials file, for this executor only.
        assume_role_arn: Role to assume for all calls.
        external_id: External id that this role asks for.
        role_session_name: Name of the session in it (default ``covalent-braket``).
        s3_bucket_name: Bucket for payloads and results (default Braket's usual one,
            ``amazon-braket-{region}-{account}``).
        s3_prefix: Key prefix in the bucket.
        ecr_image_uri: Image of the job, in a private ECR repository (default AWS's own Braket
            image, to which the job brings the worker).
        braket_job_execution_role_name: Role of the job: name, path/name or ARN (default the one
            that Braket's console makes).
        log_group_name: CloudWatch log group in which the logs of jobs are read.
        job_name: Template of the job's name, such as ``"{lattice}-{electron}"``.
        reservation_arn: Reservation of the device that the job runs in.
        tags: Tags of the job, beside ours.
        hyperparameters: Hyperparameters of the job, beside ours; they are public.
        log_arguments: Show the electron's simple arguments as hyperparameters (default False).
        input_data: Data for the electron by channel: S3 URIs, or local files or folders.
        kms_key_id: Key that encrypts payloads and results.
        endpoint_url: Where AWS's services answer, if not at AWS.
        version_mismatch: ``"error"`` or ``"warn"`` if Python or cloudpickle of the electron and of
            the image differ.
        python_mismatch: The same for Python alone (default: as ``version_mismatch``).
        keep_payload: Leave payload and value in S3; the outcome stays in any case.
        repair_ui: Whether Covalent's server mends its UI and shows electrons live; the server reads
            it from the configuration file (default True).
        cache_dir: Directory for files in transit.
        log_stdout: Accepted for Covalent's base class.
        log_stderr: Accepted for Covalent's base class.

    Raises:
        SettingError: An argument breaks its rule.
        TypeError: There is no such argument.
    """

    SUPPORTS_MANAGED_EXECUTION = True

    def __init__(
        self,
        /,
        *,
        local: bool | None = None,
        quantum_device: str | None = None,
        if_device_unavailable: str | None = None,
        fallback_devices: Sequence[str] | None = None,
        max_device_wait: float | None = None,
        classical_device: str | None = None,
        instance_count: int | None = None,
        storage: int | None = None,
        time_limit: int | None = None,
        max_cost: float | str | None = "",
        poll_freq: float | None = None,
        max_parallel_jobs: int | None = None,
        queue_timeout: float | None = None,
        give_up_after: float | None = None,
        retries: int | None = None,
        retry_on: Sequence[str] | None = None,
        resume_on: Collection[str] | None = None,
        resumes: int | None = None,
        checkpoint_key: str | None = None,
        checkpoint_local_path: str | None = None,
        on_stop: str | None = None,
        reattach: bool | None = None,
        region: str | None = None,
        profile: str | None = None,
        credentials: str | None = None,
        assume_role_arn: str | None = None,
        external_id: str | None = None,
        role_session_name: str | None = None,
        s3_bucket_name: str | None = None,
        s3_prefix: str | None = None,
        ecr_image_uri: str | None = None,
        braket_job_execution_role_name: str | None = None,
        log_group_name: str | None = None,
        job_name: str | None = None,
        reservation_arn: str | None = None,
        tags: Mapping[str, str] | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        log_arguments: bool | None = None,
        input_data: Mapping[str, str | os.PathLike[str]] | None = None,
        kms_key_id: str | None = None,
        endpoint_url: str | None = None,
        version_mismatch: str | None = None,
        python_mismatch: str | None = None,
        keep_payload: bool | None = None,
        repair_ui: bool | None = None,
        cache_dir: str | None = None,
        log_stdout: str = "",
        log_stderr: str = "",
        **others: object,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in BY_NAME}
        if max_cost is None:  # said, and not left out: JSON has one word for both
            given["max_cost"] = "none"
        super().__init__(log_stdout=log_stdout, log_stderr=log_stderr)
        config = _config()
        _refuse_unknown(others, config)
        # Covalent's server makes executors from its configuration file, and one that raised then
        # would fail every electron: what stands there is checked when an electron is sent.
        for name, value in check_given(given, config).items():
            setattr(self, name, value)

    # --- Covalent's managed interface ----------------------------------------------------------

    def get_upload_uri(self, task_group_metadata: dict[str, Any], object_key: str) -> str:
        """Say where Covalent shall copy a file that we need: to our staging directory."""
        return f"file://{self._place(task_group_metadata) / object_key}"

    async def send(
        self,
        task_specs: list[TaskSpec],
        resources: ResourceMap,
        task_group_metadata: dict[str, Any],
    ) -> dict[str, Any]:
        """Make a job of a task group that Covalent has staged.

        Returns:
            What `poll` needs.

        Raises:
            BraketPluginError: The group cannot be made a job; the text says why.
            TaskCancelledError: It was cancelled meanwhile.
        """
        place = self._place(task_group_metadata)
        with shared.sending(task_group_metadata["dispatch_id"]):
            async with _nothing_left(place):
                group = await in_thread(
                    exchange.read_group, task_specs, resources, task_group_metadata
                )
                return await self._send_group(group, place)

    async def poll(self, task_group_metadata: dict[str, Any], data: Any) -> dict[str, Any]:
        """Wait until the job has ended, and bring back what it left.

        Returns:
            What `receive` needs.

        Raises:
            AwsError: AWS cannot be asked.
            TaskCancelledError: One of Covalent's own steps was cancelled, or a further attempt.
        """
        async with _nothing_left(self._place(task_group_metadata, data.get("config"))):
            if data.get("glue"):
                return await self._run_glue(task_group_metadata, data)
            collected = await self._finish(task_group_metadata, data, self._keep_handle)
            return {**data, "collected": collected}

    async def receive(self, task_group_metadata: dict[str, Any], data: Any) -> list[TaskUpdate]:
        """Hand over what a job left.

        Args:
            task_group_metadata: Covalent's words for the group.
            data: What `poll` returned; None if the group never became a job. A ``job_arn`` alone
                will do: then the job is waited for here. With ``reattach`` nothing is received:
                the server goes on with what an earlier one left of the dispatch.
        """
        if isinstance(data, dict) and data.get("reattach"):
            from covalent_braket_plugin import reattach

            await reattach.again(task_group_metadata["dispatch_id"], _config())
            return []
        if not isinstance(data, dict) or not (data.get("job_arn") or data.get("glue")):
            await in_thread(staging.remove, self._place(task_group_metadata))
            return exchange.updates(task_group_metadata, None)
        place = self._place(task_group_metadata, data.get("config"))
        async with _nothing_left(place):
            collected = data.get("collected") or await self._finish(task_group_metadata, data)
            updates = await in_thread(exchange.updates, task_group_metadata, collected)
        staging.retire(place)
        return updates

    async def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        """Cancel a node, whatever state it is in: not sent yet, queued, running, or ended.

        Args:
            task_metadata: Covalent's words for the node.
            job_handle: The job's ARN; None if there is no job yet.

        Returns:
            Whether its job ended CANCELLED, or will. False if it had ended otherwise, or if Braket
            could not be asked: then it is tried again in the background for a while.
        """
        from covalent_braket_plugin import cancelling

        node = task_metadata["dispatch_id"], task_metadata["node_id"]
        shared.cancel(*node)
        job_handle = shared.job_of(*node) or job_handle
        if not isinstance(job_handle, str):
            return True
        return await cancelling.cancel(
            self._context_maker(region=_region_of(job_handle)), job_handle
        )

    # --- the older interface, and direct use -----------------------------------------------------

    async def run(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Run one function as a job and wait for it.

        Nobody else can wait for the job: if the awaiting task is cancelled, as Ctrl-C does under
        `asyncio.run`, the job is cancelled too. That takes at most half a minute; if Braket does
        not answer so long, threads go on trying for 90 s at most.

        Args:
            function: A function; or Covalent's wrapper around a pickled one.
            args: Positional arguments, plain or as Covalent's TransportableObject.
            kwargs: Keyword arguments, the same.
            task_metadata: ``dispatch_id`` and ``node_id``.

        Returns:
            The value; pickled as a TransportableObject if the function came from Covalent.

        Raises:
            TaskRuntimeError: The function failed; the text is the reason with the traceback.
            TaskCancelledError: The job was cancelled.
            BraketPluginError: The function could not be made a job.
        """
        from covalent_braket_plugin import direct

        group_metadata = {
            "dispatch_id": task_metadata["dispatch_id"],
            "node_ids": [task_metadata["node_id"]],
            "task_group_id": task_metadata["node_id"],
        }
        place = self._place(group_metadata)
        try:
            async with _nothing_left(place):
                group = await in_thread(direct.stage, function, args, kwargs, task_metadata, place)
                sent = await self._send_group(group, place)
            async with self._cancelled_with_caller(task_metadata, sent):
                data = await self.poll(group_metadata, sent)
            outcome = await in_thread(
                direct.unpack, data["collected"], function, group.main.node_id
            )
        finally:
            await in_thread(staging.remove, place)
        return self._conclude(outcome)

    def _conclude(self, outcome: Returned) -> Any:
        if self.task_stdout is not None:
            self.task_stdout.write(outcome.stdout)
            self.task_stderr.write(outcome.stderr)
        if outcome.cancelled:
            raise TaskCancelledError
        if outcome.error:
            raise TaskRuntimeError(f"{outcome.error}\n{outcome.stderr}")
        return outcome.value

    # --- steps -----------------------------------------------------------------------------------

    async def _send_group(self, group: Group, place: Path) -> dict[str, Any]:
        from covalent_braket_plugin import lifecycle, pipeline
        from covalent_braket_plugin.monitoring import phases

        await in_thread(staging.sweep, place)
        if group.glue:
            await in_thread(pipeline.prepare_glue, group, place)
            return {"glue": True, "name": group.main.name}
        # What the file says now holds for this task to its end.
        config = _config()
        task = await in_thread(_task_of, group)
        phases.enter(task.dispatch_id, task.node_id, "staging", name=task.name)
        try:
            async with _end_shown(task.dispatch_id, task.node_id):
                sent = await lifecycle.send(
                    self._context_maker(config), group, task, place, self._keep_handle
                )
        except lifecycle.CancelledBeforeError as error:
            raise TaskCancelledError from error
        return {**sent, "config": config}

    def _cancelled_with_caller(
        self, metadata: Mapping[str, Any], sent: Mapping[str, Any]
    ) -> contextlib.AbstractAsyncContextManager[None]:
        from covalent_braket_plugin import cancelling

        arn: str | None = sent.get("job_arn")
        if arn is None:  # one of Covalent's own steps, which ends with its caller
            return contextlib.nullcontext()
        node = metadata["dispatch_id"], metadata["node_id"]
        make = self._context_maker(sent["config"], region=_region_of(arn))
        return cancelling.cancelled_with_caller(make, lambda: shared.job_of(*node) or arn)

    async def _keep_handle(self, job_arn: str) -> None:
        if hasattr(self, "_send_queue"):  # only Covalent's server keeps handles
            await self.set_job_handle(job_arn)

    async def _finish(
        self,
        metadata: dict[str, Any],
        data: dict[str, Any],
        keep_handle: Callable[[str], Awaitable[Any]] | None = None,
    ) -> Collected:
        from covalent_braket_plugin import attempts, lifecycle

        config = data.get("config")
        make = self._context_maker(config, region=_region_of(data["job_arn"]))
        place = self._place(metadata, config)
        nodes = metadata["node_ids"]
        data = {"dispatch_id": metadata["dispatch_id"], "node_id": nodes[0], **data}
        try:
            async with _end_shown(data["dispatch_id"], data["node_id"]):
                return await attempts.finish(make, data, place, nodes, keep_handle)
        except lifecycle.CancelledBeforeError as error:
            raise TaskCancelledError from error

    async def _run_glue(self, metadata: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        from covalent_braket_plugin import collecting

        place = self._place(metadata)
        nodes = metadata["node_ids"]
        ended = await shared.run_glue(
            place, exchange.variables(metadata), metadata["dispatch_id"], nodes
        )
        if ended is None:
            raise TaskCancelledError
        collected = await in_thread(collecting.collect_glue, data["name"], place, ended)
        return {**data, "collected": collected}

    def _context_maker(
        self, config: Mapping[str, Any] | None = None, region: str | None = None
    ) -> NewWorkMaker:
        from covalent_braket_plugin import pipeline

        attributes = {name: getattr(self, name, None) for name in BY_NAME}
        known = config

        def make(*, may_start: bool, device: Chosen | None = None) -> Context:
            config = _config() if known is None else known
            given = own_values(attributes, config)
            if region is not None:
                given["region"] = region
            return pipeline.context(given, config, os.environ, may_start=may_start, device=device)

        return make

    def _place(self, metadata: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> Path:
        config = _config() if config is None else config
        named = getattr(self, "cache_dir", None) or config.get("cache_dir")
        default = str(get_config("dispatcher.cache_dir"))
        return staging.place(named, default, metadata["dispatch_id"], metadata["task_group_id"])


# --- what needs no executor ------------------------------------------------------------------


def _config() -> dict[str, Any]:
    try:
        section = get_config("executors.braket")
    except KeyError:
        return {}
    return dict(section) if isinstance(section, Mapping) else {}


async def _woken() -> None:
    """Covalent's server runs, and has loaded us."""
    from covalent_braket_plugin import reattach

    covalent_compat.note_redispatches()
    covalent_compat.repair_ui(_config().get("repair_ui"))
    await reattach.wake(_config)


covalent_compat.when_up(_woken)


def _refuse_unknown(others: Mapping[str, object], config: Mapping[str, object]) -> None:
    """An unknown name in the configuration is an old one, in a program it is a mistake."""
    for name, meant in unknown(others):
        hint = f" Did you mean {meant!r}?" if meant else ""
        if name in config and same(others[name], config[name]):
            warnings.warn(f"[executors.braket] {name} is not a setting.{hint}", stacklevel=3)
        else:
            raise TypeError(f"BraketExecutor has no setting {name!r}.{hint}")


@contextlib.asynccontextmanager
async def _nothing_left(place: Path) -> AsyncIterator[None]:
    """Remove a group's files if something goes wrong: Covalent will not ask for them again.

    Not if the server stops: the next one may. Of an error Covalent shows the text only, so that
    says all.
    """
    from covalent_braket_plugin import failure

    try:
        yield
    except TaskCancelledError:
        await in_thread(staging.remove, place)
        raise
    except Exception as error:
        await in_thread(staging.remove, place)
        told = failure.explained(error)
        if told is error:
            raise
        raise told from error


@contextlib.asynccontextmanager
async def _end_shown(dispatch_id: str, node_id: int) -> AsyncIterator[None]:
    """Show to those who watch that an electron went wrong or was cancelled on its way."""
    from covalent_braket_plugin import failure, lifecycle, node_log
    from covalent_braket_plugin.monitoring import phases

    try:
        yield
    except Exception as error:
        await node_log.finish(dispatch_id, node_id)
        if isinstance(error, lifecycle.CancelledBeforeError):
            phases.enter(dispatch_id, node_id, "cancelled")
        else:
            phases.failed(dispatch_id, node_id, str(failure.explained(error)))
        raise


def _region_of(job_arn: str) -> str | None:
    parts = job_arn.split(":")
    return parts[3] if len(parts) > 5 else None


def _task_of(group: Group) -> Task:
    from covalent_braket_plugin.protocol import Task

    name = covalent_compat.lattice_name(group.dispatch_id)
    origin = covalent_compat.origin_of(group.dispatch_id)
    return Task(group.dispatch_id, group.main.node_id, 1, group.main.name, name, origin)
