"""Input data on its way into real jobs of the local Braket."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from covalent._shared_files.exceptions import TaskCancelledError

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.errors import SettingError
from tests.support.braket_server import BraketServer, eventually


@dataclass
class Bench:
    """Runs functions as electrons of dispatches of their own."""

    server: BraketServer
    place: Path

    def executor(self, **settings: Any) -> BraketExecutor:
        made = BraketExecutor(local=True, cache_dir=str(self.place / "cache"), **settings)
        made._task_stdout, made._task_stderr = io.StringIO(), io.StringIO()
        return made

    async def run(self, function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        task = {"dispatch_id": str(uuid.uuid4()), "node_id": 0}
        return await self.executor(**settings).run(function, list(args), {}, task)

    @property
    def bucket(self) -> str:
        return str(self.server.info["bucket"])

    def calls(self) -> dict[str, int]:
        """How often the dispatcher's code has made each call."""
        return self.server.calls().get("dispatcher", {})

    def objects(self) -> set[str]:
        """All that is in the local Braket's bucket."""
        pages = self.server.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket)
        return {each["Key"] for page in found for each in page.get("Contents", [])}


@pytest.fixture
def bench(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    monkeypatch.chdir(tmp_path)
    return Bench(local_braket, tmp_path)


def contents(*channels: str) -> dict[str, Any]:
    """What lies in the channels, by name."""
    from covalent_braket_plugin import job

    return {
        channel: {
            path.relative_to(job.input_dir(channel)).as_posix(): path.read_text()
            for path in sorted(job.input_dir(channel).rglob("*"))
            if path.is_file()
        }
        for channel in channels
    }


def looked(*channels: str) -> dict[str, Any]:
    from covalent_braket_plugin import job

    try:
        job.input_dir("train")
    except FileNotFoundError as error:
        return {**contents(*channels), "train": str(error)}
    return {}


async def test_files_and_folders_of_here_and_of_s3_are_in_the_job(bench: Bench) -> None:
    (bench.place / "h2.json").write_text("{}")
    (bench.place / "grid/deep").mkdir(parents=True)
    (bench.place / "grid/deep/1").write_text(uuid.uuid4().hex)
    s3, below = bench.server.client("s3"), uuid.uuid4().hex
    for key in ("set/x", "set/deep/y", "set2/z", "one.txt", "one.txt.old"):
        s3.put_object(Bucket=bench.bucket, Key=f"{below}/{key}", Body=key.encode())
    data = {
        "file": Path("h2.json"),
        "folder": "grid",
        "set": f"s3://{bench.bucket}/{below}/set",
        "one": f"s3://{bench.bucket}/{below}/one.txt",
    }
    found = await bench.run(looked, *data, input_data=data)
    missing = found.pop("train")
    assert "no input channel 'train'" in missing
    assert "Channels: file, folder, one, set" in missing
    assert found == {
        "file": {"h2.json": "{}"},
        "folder": {"deep/1": (bench.place / "grid/deep/1").read_text()},
        "set": {"x": "set/x", "deep/y": "set/deep/y"},
        "one": {"one.txt": "one.txt"},
    }


@pytest.mark.parametrize("place", ["nothing", "s3://{bucket}/nothing"])
async def test_missing_data_is_refused_before_anything_is_uploaded(
    bench: Bench, place: str
) -> None:
    (bench.place / "there").write_text(uuid.uuid4().hex)
    before = bench.objects()
    data = {"good": "there", "bad": place.format(bucket=bench.bucket)}
    with pytest.raises(SettingError, match=r"input_data\['bad'\]"):
        await bench.run(contents, input_data=data)
    assert bench.objects() == before


async def test_electrons_that_share_data_upload_it_once(bench: Bench) -> None:
    (bench.place / "grid").write_text(uuid.uuid4().hex)
    before = bench.objects()
    runs = (bench.run(contents, "grid", input_data={"grid": "grid"}) for _ in range(3))
    found = await asyncio.gather(*runs)
    assert len({str(each) for each in found}) == 1
    new = {key for key in bench.objects() - before if "/inputs/" in key}
    assert len(new) == 2, "the file and the mark"


@pytest.mark.parametrize("how", [TaskCancelledError, asyncio.CancelledError])
async def test_an_upload_ends_with_the_electrons_that_want_it(
    bench: Bench, how: type[BaseException]
) -> None:
    source = bench.place / "large"
    source.write_bytes(bytes(120_000_000) + os.urandom(16))
    slow = {"operation": "s3:UploadPart", "kind": "slow", "seconds": 1.1, "times": 0}
    bench.server.faults(slow)
    bench.server.reset_calls()
    executor = bench.executor(input_data={"large": source})
    tasks = [{"dispatch_id": str(uuid.uuid4()), "node_id": 0} for _ in range(2)]
    runs = [asyncio.ensure_future(executor.run(contents, ["large"], {}, task)) for task in tasks]
    await asyncio.to_thread(eventually, lambda: "s3:UploadPart" in bench.calls())
    for task, run in zip(tasks, runs, strict=True):
        if how is TaskCancelledError:
            await executor.cancel(task, None)
        else:  # as if the server were stopped
            run.cancel()
    ended = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(each) for each in ended] == [how] * 2
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    listing = json.dumps([["large", 120_000_016, digest]]).encode()
    assert not [key for key in bench.objects() if hashlib.sha256(listing).hexdigest() in key]


def once_then_contents(mark: str, channel: str) -> dict[str, dict[str, str]]:
    if not Path(mark).exists():
        Path(mark).write_text("begun")
        raise RuntimeError("not yet")
    return contents(channel)


async def test_another_attempt_has_the_data_of_the_first(bench: Bench) -> None:
    source = bench.place / "grid"
    source.write_text("1 2 3")
    executor = bench.executor(
        input_data={"grid": source}, retries=1, retry_on=["electron"], poll_freq=0.2
    )
    mark = bench.place / "mark"
    task = {"dispatch_id": str(uuid.uuid4()), "node_id": 0}
    running = asyncio.ensure_future(executor.run(once_then_contents, [str(mark), "grid"], {}, task))
    await asyncio.to_thread(eventually, mark.exists)
    source.write_text("4 5 6")
    assert await running == {"grid": {"grid": "1 2 3"}}


def test_a_path_is_whole_from_where_the_executor_is_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    given = {"a": "grid", "b": Path("x/../y"), "c": "~/z"}
    wanted = {"a": f"{bench.place}/grid", "b": f"{bench.place}/y", "c": "/home/me/z"}
    made = vars(bench.executor(input_data=given))["input_data"]
    assert made == wanted
    assert vars(bench.executor(input_data=made))["input_data"] == wanted


def test_a_path_in_the_configuration_file_has_to_be_whole() -> None:
    from covalent_braket_plugin.settings import check, resolve

    check(resolve({}, {"input_data": {"a": "~/x", "b": "/y", "c": "s3://bucket/z"}}, {}))
    with pytest.raises(SettingError, match=r"input_data\['a'\]='x'.*Write the whole path"):
        check(resolve({}, {"input_data": {"a": "x"}}, {}))
