"""With IAM in force, the caller's policy is enough for a task's objects, and for no others.

moto decides by action and resource here; conditions on keys that it does not know count as met.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.errors import AccessError
from covalent_braket_plugin.permissions import caller_policy
from covalent_braket_plugin.protocol import Call, Keys, Manifest, Part, Task, Versions
from covalent_braket_plugin.scopes import scope_of
from covalent_braket_plugin.settings import resolve
from covalent_braket_plugin.storage import Storage
from tests.support.braket_server import BraketServer

BUCKET = "amazon-braket-enforced"
TASK = Task("0a1b2c3d", 1, 1, "f", "flow")
MANIFEST = Manifest(
    dispatch_id="0a1b2c3d",
    versions=Versions("3.12.1", "2.2.1"),
    payload_sha256="0" * 64,
    payload_size=7,
    parts=[Part(0, 7, "1" * 64, "The function f()")],
    calls=[Call(1, "f", 0, [])],
    main_node=1,
)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Calls to an S3 that enforces IAM, by a user who has the caller's policy and nothing else."""
    folder = tmp_path_factory.mktemp("enforced")
    server = BraketServer.started(
        folder / "state", local_endpoint.worker_command(), local_endpoint.worker_image()
    )
    try:
        credentials = folder / "credentials"
        settings = resolve(
            {
                "credentials": str(credentials),
                "region": server.info["region"],
                "endpoint_url": server.endpoint_url,
                "s3_bucket_name": BUCKET,
                "braket_job_execution_role_name": server.info["role_arn"],
            },
            {},
            {},
        )
        scope = scope_of(
            settings, region=server.info["region"], account="123456789012", partition="aws"
        )
        credentials.write_text(new_user(server, json.dumps(caller_policy(scope))))
        server.client("s3").create_bucket(Bucket=BUCKET)
        enforce(server)
        yield Storage(clients_for(settings))
    finally:
        server.stop()


def new_user(server: BraketServer, policy: str) -> str:
    """Make a user with a policy; return a credentials file."""
    iam = server.client("iam")
    iam.create_user(UserName="caller")
    iam.put_user_policy(UserName="caller", PolicyName="caller", PolicyDocument=policy)
    key = iam.create_access_key(UserName="caller")["AccessKey"]
    return (
        f"[default]\naws_access_key_id = {key['AccessKeyId']}\n"
        f"aws_secret_access_key = {key['SecretAccessKey']}\n"
    )


def enforce(server: BraketServer) -> None:
    """From now on calls need permissions: http://docs.getmoto.org/en/latest/docs/iam.html."""
    url = f"{server.endpoint_url}/moto-api/reset-auth"
    headers = {"Content-Type": "text/plain"}
    request = urllib.request.Request(url, data=b"0", headers=headers, method="POST")
    urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload.bin"
    path.write_bytes(b"payload")
    return path


def test_a_task_can_be_staged_tried_again_looked_at_and_removed(
    storage: Storage, payload: Path, tmp_path: Path
) -> None:
    keys = Keys.of(BUCKET, "covalent", TASK)
    storage.stage(keys, MANIFEST, payload, may_create=False)
    again = keys.of_attempt(2)
    assert storage.reuse(keys, again)
    storage.download(BUCKET, again.payload, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"payload"
    assert storage.fetch_outcome(again) is None
    # One by one: for DeleteObjects, moto asks for the permission on the bucket instead.
    for key in (keys.payload, keys.manifest):
        storage.clients.s3.delete_object(Bucket=BUCKET, Key=key)
    assert not storage.exists(BUCKET, [keys.payload])


def test_a_large_payload_can_be_staged(storage: Storage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(65 * 1024 * 1024)  # above 64 MiB it goes in parts
    storage.stage(Keys.of(BUCKET, "covalent", TASK), MANIFEST, large, may_create=False)


def test_outside_the_prefix_nothing_can_be_done(storage: Storage, payload: Path) -> None:
    keys = Keys.of(BUCKET, "others", TASK)
    with pytest.raises(AccessError):
        storage.stage(keys, MANIFEST, payload, may_create=False)
    with pytest.raises(AccessError):
        storage.reuse(keys, keys)
    with pytest.raises(AccessError):
        storage.fetch_outcome(keys)


def test_a_bucket_cannot_be_made_where_one_is_named(storage: Storage, payload: Path) -> None:
    keys = Keys.of("amazon-braket-another", "covalent", TASK)
    with pytest.raises(AccessError):
        storage.stage(keys, MANIFEST, payload, may_create=True)
