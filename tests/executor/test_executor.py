"""`BraketExecutor` by itself: both of its faces on a real local Braket, in this process."""

from __future__ import annotations

import asyncio
import functools
import io
import threading
import uuid
import warnings
from pathlib import Path
from typing import Any

import covalent as ct
import pytest
from covalent._shared_files.config import set_config
from covalent._shared_files.exceptions import TaskCancelledError, TaskRuntimeError
from covalent._workflow.transportable_object import TransportableObject
from covalent.executor.schemas import ResourceMap, TaskSpec, TaskUpdate
from covalent.executor.utils.wrappers import wrapper_fn

from covalent_braket_plugin import tobj
from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.errors import (
    AwsError,
    SerializationError,
    SettingError,
    UnconfiguredError,
    VersionMismatchError,
)
from tests.support.braket_server import BraketServer, eventually

LOCK = threading.Lock()


@pytest.fixture(autouse=True)
def _use_the_local_braket(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))


@pytest.fixture
def executor(tmp_path: Path) -> BraketExecutor:
    return BraketExecutor(local=True, cache_dir=str(tmp_path))


def metadata() -> dict[str, Any]:
    return {"dispatch_id": str(uuid.uuid4()), "node_id": 0}


def unpickled(value: TransportableObject) -> object:
    return value.get_deserialized()


def add(x: int, y: int = 1) -> int:
    print("adding")
    return x + y


# --- run() --------------------------------------------------------------------------------------


async def test_plain_function_gives_its_plain_value(executor: BraketExecutor) -> None:
    assert await executor.run(add, [1], {"y": 5}, metadata()) == 6


async def test_nothing_of_a_run_is_left_on_disk(executor: BraketExecutor, tmp_path: Path) -> None:
    await executor.run(add, [1], {}, metadata())
    left = await asyncio.to_thread(lambda: list(tmp_path.rglob("*")))
    assert [path.name for path in left] in ([], ["braket"])


async def test_covalents_wrapper_gives_a_pickled_value(executor: BraketExecutor) -> None:
    before = ct.DepsCall(lambda: 20, retval_keyword="y").apply()
    bash = ct.DepsBash("echo from bash").apply()
    wrapped = functools.partial(wrapper_fn, TransportableObject(add), [bash, before], [])
    executor._task_stdout, executor._task_stderr = io.StringIO(), io.StringIO()
    value = await executor.run(wrapped, [TransportableObject(1)], {}, metadata())
    assert isinstance(value, TransportableObject)
    assert unpickled(value) == 21
    assert executor.task_stdout.getvalue() == "from bash\nadding\n"


async def test_failure_is_covalents_error_with_reason_and_traceback(
    executor: BraketExecutor,
) -> None:
    def breaks() -> None:
        raise ValueError("not finite")

    executor._task_stdout, executor._task_stderr = io.StringIO(), io.StringIO()
    with pytest.raises(TaskRuntimeError, match="ValueError: not finite"):
        await executor.run(breaks, [], {}, metadata())
    assert "Traceback" in executor.task_stderr.getvalue()


async def test_unpicklable_argument_is_named(executor: BraketExecutor) -> None:
    with pytest.raises(SerializationError, match=r"y cannot be pickled.*a _thread\.lock"):
        await executor.run(add, [1], {"y": {"deep": [LOCK]}}, metadata())


async def test_unpicklable_function_is_named_with_what_it_uses(executor: BraketExecutor) -> None:
    lock = threading.Lock()

    def uses_a_lock() -> None:
        lock.acquire()

    with pytest.raises(SerializationError, match=r"The function.*enclosed variable lock"):
        await executor.run(uses_a_lock, [], {}, metadata())


async def test_runs_side_by_side_do_not_mix(executor: BraketExecutor) -> None:
    runs = [executor.run(add, [number], {"y": 0}, metadata()) for number in range(6)]
    assert await asyncio.gather(*runs) == list(range(6))


async def test_cancelled_run_is_covalents_cancellation(
    executor: BraketExecutor, local_braket: BraketServer, tmp_path: Path
) -> None:
    def endless(mark: str) -> None:
        import time

        Path(mark).touch()
        time.sleep(60)

    mark, task = tmp_path / "started", metadata()
    running = asyncio.ensure_future(executor.run(endless, [str(mark)], {}, task))
    await asyncio.to_thread(eventually, mark.exists)
    braket = local_braket.client("braket")
    (job,) = [
        job
        for job in braket.search_jobs(filters=[])["jobs"]
        if job["tags"].get("covalent:dispatch_id") == task["dispatch_id"]
    ]
    assert await BraketExecutor(local=True).cancel(task, job["jobArn"]) is True
    with pytest.raises(TaskCancelledError):
        await running
    assert await BraketExecutor(local=True).cancel(task, job["jobArn"]) is True


# --- the managed interface ----------------------------------------------------------------------


def staged(
    executor: BraketExecutor, function: Any, *args: Any, dispatch_id: str = ""
) -> tuple[Any, ...]:
    """Stage one electron as Covalent's server does."""
    dispatch_id = dispatch_id or str(uuid.uuid4())
    group = {"dispatch_id": dispatch_id, "task_group_id": 0, "node_ids": [0]}
    names = {"function-0": function, **{f"node_{n + 1}": arg for n, arg in enumerate(args)}}
    uris = {name: executor.get_upload_uri(group, name) for name in [*names, "hooks-0"]}
    for name, uri in uris.items():
        path = Path(uri.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "hooks-0":
            path.write_text("{}")
        else:
            path.write_bytes(TransportableObject(names[name]).serialize())
    nodes = list(range(1, len(args) + 1))
    spec = TaskSpec(electron_id=0, args=nodes, kwargs={})
    resources = ResourceMap(
        functions={0: uris["function-0"]},
        inputs={node: uris[f"node_{node}"] for node in nodes},
        hooks={0: uris["hooks-0"]},
    )
    return [spec], resources, group


def objects_of(local_braket: BraketServer, group: dict[str, Any]) -> int:
    """Count what a dispatch has in S3."""
    listed = local_braket.client("s3").list_objects_v2(
        Bucket=local_braket.info["bucket"], Prefix=f"covalent/{group['dispatch_id']}"
    )
    return int(listed["KeyCount"])


async def through(executor: BraketExecutor, *call: Any) -> tuple[dict[str, Any], TaskUpdate]:
    """Send, poll and receive with an executor of its own for each, as Covalent does."""
    specs, resources, group = staged(executor, *call)
    attributes = executor.to_dict()
    sent = await executor.send(specs, resources, group)
    polled = await executor.poll(group, sent)
    other = BraketExecutor().from_dict(attributes)
    (update,) = await other.receive(group, polled)
    return sent, update


async def test_no_phase_blocks_the_event_loop(
    executor: BraketExecutor, no_blocking: None, tmp_path: Path
) -> None:
    sent, update = await through(executor, add, 1, 2)
    assert str(update.status) == "COMPLETED"
    path = Path(str(update.assets["output"].remote_uri).removeprefix("file://"))
    value = await asyncio.to_thread(path.read_bytes)
    assert unpickled(TransportableObject.deserialize(value)) == 3
    assert await BraketExecutor(local=True).cancel(metadata(), sent["job_arn"]) is False


async def test_detector_of_blocking_calls_detects(no_blocking: None, tmp_path: Path) -> None:
    from blockbuster import BlockingError

    path = tmp_path / "file"
    await asyncio.to_thread(path.write_bytes, TransportableObject(1).serialize())
    with pytest.raises(BlockingError):
        tobj.read_header(path)


async def test_group_that_never_became_a_job_is_cancelled(executor: BraketExecutor) -> None:
    group = {"dispatch_id": "d", "task_group_id": 0, "node_ids": [0, 1]}
    updates = await executor.receive(group, None)
    assert [(each.node_id, str(each.status)) for each in updates] == [
        (0, "CANCELLED"),
        (1, "CANCELLED"),
    ]


async def test_arn_alone_is_enough_to_receive(executor: BraketExecutor) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    sent = await executor.send(specs, resources, group)
    (update,) = await executor.receive(group, {"job_arn": sent["job_arn"]})
    assert str(update.status) == "COMPLETED"


async def test_mistake_in_the_configuration_loses_no_job_if_it_is_mended(
    executor: BraketExecutor,
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    sent = await executor.send(specs, resources, group)
    set_config("executors.braket.give_up_after", "soon")
    try:
        receiving = asyncio.ensure_future(executor.receive(group, {"job_arn": sent["job_arn"]}))
        await asyncio.sleep(1)
        assert not receiving.done()
    finally:
        set_config("executors.braket.give_up_after", "")
    (update,) = await asyncio.wait_for(receiving, 60)
    assert str(update.status) == "COMPLETED"


async def test_result_that_a_killed_server_had_brought_back_is_not_lost(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    sent = await executor.send(specs, resources, group)
    await executor.poll(group, sent)
    assert objects_of(local_braket, group) == 1  # the record
    (update,) = await executor.receive(group, {"job_arn": sent["job_arn"]})
    assert str(update.status) == "COMPLETED"
    assert update.assets["output"].size > 0


async def test_same_task_sent_twice_is_one_job(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    first = await executor.send(specs, resources, group)
    staged(executor, add, 1, 2, dispatch_id=group["dispatch_id"])
    second = await executor.send(specs, resources, group)
    assert first["job_arn"] == second["job_arn"]
    await executor.poll(group, first)


async def test_cancel_before_the_job_is_made_makes_none(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    task = {"dispatch_id": group["dispatch_id"], "node_id": 0}
    assert await BraketExecutor(local=True).cancel(task, None) is True
    local_braket.reset_calls()
    with pytest.raises(TaskCancelledError):
        await executor.send(specs, resources, group)
    assert not local_braket.calls().get("dispatcher", {}).keys() & {
        "braket:CreateJob",
        "s3:PutObject",
    }
    assert objects_of(local_braket, group) == 0


async def test_refused_job_leaves_nothing_in_s3(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    refusal = {"kind": "error", "code": "ValidationException", "status": 400}
    local_braket.faults({"operation": "CreateJob", "times": 5, **refusal})
    with pytest.raises(AwsError, match="ValidationException"):
        await executor.send(specs, resources, group)
    assert objects_of(local_braket, group) == 0


async def test_bucket_that_others_create_at_this_moment_is_waited_for(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    refusal = {"kind": "error", "code": "OperationAborted", "status": 409}
    missing = {"kind": "error", "code": "NoSuchBucket", "status": 404}
    local_braket.faults(
        {"operation": "s3:CreateBucket", "times": 1, **refusal},
        {"operation": "s3:PutObject", "times": 2, **missing},
    )
    assert await executor.run(add, [1], {}, metadata()) == 2


async def test_bucket_that_was_named_and_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    executor = BraketExecutor(local=True, cache_dir=str(tmp_path), s3_bucket_name="not-there")
    with pytest.raises(SettingError, match="s3_bucket_name='not-there'"):
        await executor.run(add, [1], {}, metadata())


async def test_used_up_quota_is_waited_for(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    local_braket.faults({"operation": "CreateJob", "kind": "quota", "times": 2})
    _, update = await through(executor, add, 1, 2)
    assert str(update.status) == "COMPLETED"


async def test_cancel_while_waiting_for_a_slot_makes_no_job(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    local_braket.faults({"operation": "CreateJob", "kind": "quota", "times": 50})
    sending = asyncio.ensure_future(executor.send(specs, resources, group))
    await asyncio.sleep(2)
    await BraketExecutor(local=True).cancel({**group, "node_id": 0}, None)
    with pytest.raises(TaskCancelledError):
        await asyncio.wait_for(sending, 10)
    local_braket.faults()
    assert objects_of(local_braket, group) == 0


async def test_cancellation_that_is_not_heard_is_said_again(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    def endless() -> None:
        import time

        time.sleep(60)

    specs, resources, group = staged(executor, endless)
    sent = await executor.send(specs, resources, group)
    # More often than botocore itself tries.
    refusal = {"kind": "error", "code": "InternalServiceException", "status": 500}
    local_braket.faults({"operation": "CancelJob", "times": 5, **refusal})
    assert await executor.cancel({**group, "node_id": 0}, sent["job_arn"]) is False
    polled = await asyncio.wait_for(executor.poll(group, sent), 60)
    assert polled["collected"].cancelled


async def test_credentials_that_expire_while_waiting_lose_no_job(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    sent = await executor.send(specs, resources, group)
    expired = {"kind": "error", "code": "ExpiredTokenException", "status": 403}
    local_braket.faults({"operation": "GetJob", "times": 2, **expired})
    assert (await executor.poll(group, sent))["collected"].kind == ""


async def test_staged_files_are_gone_after_a_failed_send(
    local_braket: BraketServer, tmp_path: Path
) -> None:
    refused = BraketExecutor(cache_dir=str(tmp_path))
    specs, resources, group = staged(refused, add, 1, 2)
    with pytest.raises(UnconfiguredError):
        await refused.send(specs, resources, group)
    left = await asyncio.to_thread(lambda: [p for p in tmp_path.rglob("*") if p.is_file()])
    assert left == []


async def test_folder_that_covalent_would_mistake_is_not_used(
    local_braket: BraketServer, tmp_path: Path
) -> None:
    odd = BraketExecutor(local=True, cache_dir=str(tmp_path / "a b#c"))
    assert "%" not in odd.get_upload_uri({**metadata(), "task_group_id": 0}, "function-0")
    _, update = await through(odd, add, 1, 2)
    assert str(update.status) == "COMPLETED"


async def test_answer_that_is_lost_makes_no_second_job(
    executor: BraketExecutor, local_braket: BraketServer
) -> None:
    specs, resources, group = staged(executor, add, 1, 2)
    local_braket.faults({"operation": "CreateJob", "kind": "drop", "times": 1, "after": True})
    sent = await executor.send(specs, resources, group)
    await executor.poll(group, sent)
    jobs = [
        job
        for job in local_braket.client("braket").search_jobs(filters=[])["jobs"]
        if job["tags"].get("covalent:dispatch_id") == group["dispatch_id"]
    ]
    assert [job["jobArn"] for job in jobs] == [sent["job_arn"]]


# --- settings -----------------------------------------------------------------------------------


async def test_image_of_another_python_is_refused_before_anything_is_uploaded(
    local_braket: BraketServer, tmp_path: Path
) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/covalent-braket-worker:py39"
    other = BraketExecutor(local=True, ecr_image_uri=image, cache_dir=str(tmp_path))
    local_braket.reset_calls()
    with pytest.raises(VersionMismatchError, match=r"Python 3\.9"):
        await other.run(add, [1], {}, metadata())
    calls = local_braket.calls().get("dispatcher", {})
    assert not any("Put" in name or "Create" in name for name in calls)


async def test_version_mismatch_can_be_a_warning(
    local_braket: BraketServer, tmp_path: Path
) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/covalent-braket-worker:py39"
    other = BraketExecutor(
        local=True, ecr_image_uri=image, cache_dir=str(tmp_path), version_mismatch="warn"
    )
    assert await other.run(add, [1], {}, metadata()) == 2


async def test_unconfigured_executor_is_never_silently_local(tmp_path: Path) -> None:
    with pytest.raises(UnconfiguredError, match="local=True"):
        await BraketExecutor(cache_dir=str(tmp_path)).run(add, [1], {}, metadata())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("time_limit", 0),
        ("time_limit", 432_001),
        ("storage", 0),
        ("classical_device", "ml.g5.large"),
        ("s3_bucket_name", "under_score"),
        ("ecr_image_uri", "public.ecr.aws/x/y:1"),
        ("hyperparameters", {"covalent_a": 1}),
        ("version_mismatch", "ignore"),
    ],
)
def test_bad_argument_is_refused_at_once(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=setting):
        BraketExecutor(**{setting: value})


def test_unknown_argument_is_a_mistake_with_a_hint() -> None:
    with pytest.raises(TypeError, match="Did you mean 'time_limit'"):
        BraketExecutor(time_limt=3)


def test_unknown_key_of_the_configuration_is_a_warning() -> None:
    ct.set_config("executors.braket.from_an_old_plugin", "x")
    try:
        with pytest.warns(UserWarning, match="from_an_old_plugin is not a setting"):
            BraketExecutor(**ct.get_config("executors.braket"))
    finally:
        ct.get_config("executors.braket").pop("from_an_old_plugin", None)


def test_bad_value_of_the_configuration_does_not_raise_where_covalent_builds_executors() -> None:
    ct.set_config("executors.braket.time_limit", 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            BraketExecutor(**ct.get_config("executors.braket"))
    finally:
        ct.set_config("executors.braket.time_limit", "")


def test_odd_names_in_the_configuration_do_no_harm() -> None:
    config = {"self": 3, "others": 4, "local": True}
    for name, value in config.items():
        ct.set_config(f"executors.braket.{name}", value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert BraketExecutor(**ct.get_config("executors.braket")).to_dict()
    finally:
        for name in config:
            ct.set_config(f"executors.braket.{name}", "")  # in the file, which others read
            ct.get_config("executors.braket").pop(name, None)


def test_values_of_numpy_become_plain_ones() -> None:
    import numpy as np

    given: Any = {"time_limit": np.int64(60), "poll_freq": np.float32(2.5)}
    made = BraketExecutor(**given)
    assert type(made.to_dict()["attributes"]["time_limit"]) is int
    assert type(made.to_dict()["attributes"]["poll_freq"]) is float


def test_attributes_survive_covalents_json() -> None:
    import json

    made = BraketExecutor(local=True, tags={"a": "b"}, time_limit=7)
    data = json.loads(json.dumps(made.to_dict()))
    again = BraketExecutor().from_dict(data)
    assert again.__dict__ == made.__dict__
    assert data["short_name"] == "braket"
