"""What the settings say of a job is what the job is, and what is stored for it, on a real one."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.errors import RejectedError
from tests.support.braket_server import BraketServer


def its_name() -> str:
    from covalent_braket_plugin import job

    return job.context().job_name


async def run(server: BraketServer, place: Path, **settings: Any) -> Any:
    executor = BraketExecutor(local=True, cache_dir=str(place), poll_freq=0.3, **settings)
    executor._task_stdout, executor._task_stderr = io.StringIO(), io.StringIO()
    return await executor.run(its_name, [], {}, {"dispatch_id": str(uuid.uuid4()), "node_id": 3})


@pytest.fixture
def server(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch) -> BraketServer:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    return local_braket


async def test_name_tags_and_key_of_a_job_are_as_the_executor_says(
    server: BraketServer, tmp_path: Path
) -> None:
    mark = uuid.uuid4().hex
    name = await run(
        server,
        tmp_path,
        job_name=f"{{electron}}-of-{mark}-{{attempt}}",
        tags={"team": "blue"},
        kms_key_id="alias/mine",
        keep_payload=True,
    )
    assert name == f"its-name-of-{mark}-1"
    braket, s3 = server.client("braket"), server.client("s3")
    newest = braket.search_jobs(filters=[], maxResults=100)["jobs"]
    (listed,) = [each for each in newest if each["jobName"] == name]
    job = braket.get_job(jobArn=listed["jobArn"])
    assert job["tags"]["team"] == "blue"
    assert job["tags"]["covalent:attempt"] == "1"
    assert job["outputDataConfig"]["kmsKeyId"] == "alias/mine"
    bucket, _, key = job["outputDataConfig"]["s3Path"].removeprefix("s3://").partition("/")
    base = key.rpartition("/")[0]
    stored = s3.list_objects_v2(Bucket=bucket, Prefix=f"{base}/")["Contents"]
    ours = [each["Key"] for each in stored if not each["Key"].startswith(f"{key}/")]
    assert {Path(each).name for each in ours} >= {"manifest.json", "outcome.json"}
    for each in ours:
        head = s3.head_object(Bucket=bucket, Key=each)
        assert head["ServerSideEncryption"] == "aws:kms", each
        assert head["SSEKMSKeyId"] == "alias/mine", each


async def test_that_the_local_braket_has_one_instance_a_job_is_the_electrons_error(
    server: BraketServer, tmp_path: Path
) -> None:
    with pytest.raises(RejectedError, match="on one instance"):
        await run(server, tmp_path, instance_count=2)
