"""Nothing but credentials: no image and no role named; on a real local Braket that plays AWS."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import aws, images, roles
from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.doctor import Exam, examine
from covalent_braket_plugin.errors import (
    AccessError,
    CredentialsError,
    UnconfiguredError,
    UnreachableError,
    VersionMismatchError,
)
from covalent_braket_plugin.payload import own_versions
from covalent_braket_plugin.protocol import Versions
from covalent_braket_plugin.remembered import Remembered
from covalent_braket_plugin.settings import resolve
from tests.support.braket_server import BraketServer

HERE = ".".join(own_versions().python.split(".")[:2])
REPOSITORY = "amazon-braket-base-jobs"


class Account:
    """An account of its own, and the settings of whoever has nothing but its keys."""

    def __init__(self, server: BraketServer, folder: Path) -> None:
        self.server = server
        self.number = str(uuid.uuid4().int)[:12]
        self._folder = folder
        keys = folder / "credentials"
        keys.write_text(
            f"[default]\naws_access_key_id = {self.number}\naws_secret_access_key = any\n"
        )
        self.settings: dict[str, Any] = {
            "endpoint_url": server.endpoint_url,
            "region": "us-west-2",
            "credentials": str(keys),
        }

    @property
    def clients(self) -> aws.Clients:
        return aws.clients_for(resolve(self.settings, {}, {}))

    def owner(self, service: str) -> Any:
        """A client of the account's owner, who sets things up and looks at what came of them."""
        return self.server.client(service, "us-west-2", access_key=self.number)

    def held(self, known: Remembered[images.Held] | None = None, **more: Any) -> images.Held:
        settings = resolve({**self.settings, **more}, {}, {})
        return images.versions_of(settings, self.clients, *([] if known is None else [known]))

    async def run(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        settings = {**self.settings, "poll_freq": 0.3, "give_up_after": 1.0, **more}
        executor = BraketExecutor(cache_dir=str(self._folder / "cache"), **settings)
        task = {"dispatch_id": str(uuid.uuid4()), "node_id": 0}
        return await executor.run(function, list(args), {}, task)

    def objects(self) -> list[str]:
        found = self.owner("s3").list_objects_v2(Bucket=f"amazon-braket-us-west-2-{self.number}")
        return [item["Key"].rpartition("/")[2] for item in found.get("Contents", [])]


@pytest.fixture
def account(local_braket: BraketServer, tmp_path: Path) -> Account:
    return Account(local_braket, tmp_path)


def double(number: int) -> int:
    return 2 * number


async def test_credentials_and_a_region_are_enough(account: Account) -> None:
    assert await account.run(double, 4) == 8
    [summary] = account.owner("braket").search_jobs(filters=[])["jobs"]
    job = account.owner("braket").get_job(jobArn=summary["jobArn"])
    assert set(job["algorithmSpecification"]) == {"scriptModeConfig"}
    assert job["roleArn"].startswith(f"arn:aws:iam::{account.number}:role/service-role/")
    assert account.objects() == ["outcome.json"]


async def test_the_usual_bucket_is_not_used_if_another_account_has_made_it(
    account: Account, local_braket: BraketServer
) -> None:
    taken = f"amazon-braket-us-west-2-{account.number}"
    stranger = local_braket.client("s3", "us-west-2", access_key="999999999999")
    stranger.create_bucket(
        Bucket=taken, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    with pytest.raises(AccessError, match="PutObject"):
        await account.run(double, 4)
    assert "Contents" not in stranger.list_objects_v2(Bucket=taken)
    assert account.owner("braket").search_jobs(filters=[])["jobs"] == []
    exam = Exam(lambda: resolve(account.settings, {}, {}), account.settings)
    found = {each.check: each for each in examine(exam)}
    assert found["bucket"].state == "failed"
    assert "somebody else's" in found["bucket"].found


async def test_reason_of_a_failing_electron_is_the_jobs_and_what_it_had_can_be_kept(
    account: Account,
) -> None:
    def fails() -> None:
        raise ValueError("not today")

    with pytest.raises(Exception, match="not today"):
        await account.run(fails, keep_payload=True)
    assert "worker.tar.gz" in account.objects()
    [summary] = account.owner("braket").search_jobs(filters=[])["jobs"]
    job = account.owner("braket").get_job(jobArn=summary["jobArn"])
    assert job["failureReason"] == "AlgorithmError: ValueError: not today, exit code: 1"


async def test_covalent_can_be_imported_where_it_is_installed_with_this_plugin(
    account: Account,
) -> None:
    def short_name() -> str:
        import covalent  # looks for the executor, of which the archive holds the worker only

        return str(covalent.executor.BraketExecutor().short_name())

    assert await account.run(short_name) == "braket"


# --- Python ------------------------------------------------------------------------------------


@pytest.fixture
def other_python(account: Account) -> None:
    """AWS's image has got another Python, as its tag in ECR says."""
    ecr, about = account.owner("ecr"), {"repositoryName": REPOSITORY}
    [image] = ecr.batch_get_image(**about, imageIds=[{"imageTag": "latest"}])["images"]
    tag = "1.0-cpu-py399-ubuntu24.04"
    ecr.put_image(**about, imageManifest=image["imageManifest"], imageTag=tag)


def test_python_of_aws_image_is_read_from_its_tag_and_asked_for_once(account: Account) -> None:
    account.server.reset_calls()
    first, second = account.held(), account.held()
    assert first == second
    assert first.versions == Versions(HERE, own_versions().cloudpickle)
    assert first.doubt is None
    assert account.server.calls()["dispatcher"]["ecr:BatchGetImage"] == 2


@pytest.mark.usefixtures("other_python")
async def test_another_python_is_refused_with_what_to_do(account: Account) -> None:
    account.server.reset_calls()
    with pytest.raises(VersionMismatchError) as caught:
        await account.run(double, 4)
    for words in (
        f"pickled by Python {own_versions().python}",
        "run Covalent and the workflow with Python 3.99",
        f"covalent-braket image build --python {HERE}",
        'python_mismatch="warn"',
    ):
        assert words in str(caught.value)
    calls = account.server.calls()["dispatcher"]
    assert not any("Put" in name or "Create" in name for name in calls)


@pytest.mark.usefixtures("other_python")
async def test_another_python_can_be_a_warning(account: Account) -> None:
    strict = {"version_mismatch": "error", "python_mismatch": "warn"}
    assert await account.run(double, 4, **strict) == 8


@pytest.mark.usefixtures("other_python")
async def test_python_may_be_strict_where_versions_are_not(account: Account) -> None:
    with pytest.raises(VersionMismatchError):
        await account.run(double, 4, version_mismatch="warn", python_mismatch="error")


def test_who_may_not_ask_for_the_image_is_told_its_usual_python(account: Account) -> None:
    refused = {"kind": "error", "code": "AccessDeniedException", "status": 403}
    account.server.faults({"operation": "ecr:BatchGetImage", "times": 0, **refused})
    held = account.held()
    assert held.versions.python == images.USUAL_PYTHON
    assert held.doubt is not None
    account.server.faults()
    assert account.held() == held  # a refusal stays for a while


def test_silence_of_the_registry_is_no_answer_for_long_and_not_met_by_each_electron(
    account: Account,
) -> None:
    now = [0.0]
    known: Remembered[images.Held] = Remembered(lambda: now[0])
    account.server.faults({"operation": "ecr:BatchGetImage", "kind": "drop", "times": 0})
    assert isinstance(account.held(known).doubt, UnreachableError)
    account.server.faults()
    assert account.held(known).may_become_sure
    now[0] = images.SILENCE_SECONDS
    assert account.held(known).doubt is None


@pytest.mark.usefixtures("other_python")
def test_expired_credentials_say_nothing_of_the_image_for_long(account: Account) -> None:
    expired = {"kind": "error", "code": "ExpiredToken", "status": 403}
    account.server.faults({"operation": "ecr:BatchGetImage", "times": 0, **expired})
    now = [0.0]
    known: Remembered[images.Held] = Remembered(lambda: now[0])
    assert isinstance(account.held(known).doubt, CredentialsError)
    account.server.faults()
    now[0] = images.SILENCE_SECONDS
    assert account.held(known).versions.python == "3.99"


def test_tag_with_a_python_needs_no_question(account: Account) -> None:
    account.server.reset_calls()
    tag = f"amazon-braket-pytorch-jobs:2.2.0-cpu-py{HERE.replace('.', '')}-ubuntu24.04"
    held = account.held(ecr_image_uri=f"292282985366.dkr.ecr.us-west-2.amazonaws.com/{tag}")
    assert held.versions.python == HERE
    assert "ecr:BatchGetImage" not in account.server.calls().get("dispatcher", {})


# --- the role ----------------------------------------------------------------------------------


def test_default_role_is_looked_up_once(account: Account) -> None:
    account.server.reset_calls()
    found = {roles.default_role(account.clients) for _ in range(3)}
    assert found == {
        f"arn:aws:iam::{account.number}:role/service-role/AmazonBraketJobsExecutionRole"
    }
    assert account.server.calls()["dispatcher"]["iam:ListRoles"] == 1


def test_account_without_a_default_role_is_told_the_ways_out(account: Account) -> None:
    iam, name = account.owner("iam"), "AmazonBraketJobsExecutionRole"
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=inline)
    iam.delete_role(RoleName=name)
    with pytest.raises(UnconfiguredError) as caught:
        roles.default_role(account.clients)
    for words in ("braket_job_execution_role_name not set", "Braket's console", "deploy up"):
        assert words in str(caught.value)


def test_who_may_not_look_for_roles_has_to_name_one(account: Account) -> None:
    refused = {"kind": "error", "code": "AccessDenied", "status": 403}
    account.server.faults({"operation": "iam:ListRoles", "times": 0, **refused})
    with pytest.raises(UnconfiguredError, match="cannot be looked up"):
        roles.default_role(account.clients)


def test_expired_credentials_are_not_taken_for_a_missing_role(account: Account) -> None:
    expired = {"kind": "error", "code": "ExpiredToken", "status": 403}
    account.server.faults({"operation": "iam:ListRoles", "times": 0, **expired})
    with pytest.raises(CredentialsError):
        roles.default_role(account.clients)
