"""Who calls AWS: every place that boto3 looks at, and the role of `assume_role_arn` on top."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from botocore.tokens import SSOTokenProvider

from covalent_braket_plugin.aws import Clients, clients_for, translated
from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.errors import CredentialsError, UnreachableError
from covalent_braket_plugin.settings import Settings
from tests.support.braket_server import BraketServer
from tests.support.relay import ASSUME_ROLE, Relay

BASE = "arn:aws:iam::111111111111:role/Base"
TARGET = "arn:aws:iam::222222222222:role/team/Target"
Keys = dict[str, str]


@pytest.fixture
def relay(local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """All that boto3 asks goes through it, also what it asks by itself for credentials."""
    with Relay.started(local_braket.endpoint_url) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL", relay.url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield relay


@pytest.fixture(scope="module")
def keys(local_braket: BraketServer) -> Keys:
    """Keys that say who they are of: the role `Base` of another account."""
    sts = local_braket.client("sts")
    found: Keys = sts.assume_role(RoleArn=BASE, RoleSessionName="found")["Credentials"]
    return found


@pytest.fixture
def in_environment(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    return keys


def clients(**more: str) -> Clients:
    return clients_for(Settings(region="us-east-1", **more))  # type: ignore[arg-type]


def as_target(**more: str) -> Clients:
    return clients(assume_role_arn=TARGET, **more)


def ini(keys: Keys) -> str:
    return (
        f"aws_access_key_id = {keys['AccessKeyId']}\n"
        f"aws_secret_access_key = {keys['SecretAccessKey']}\n"
        f"aws_session_token = {keys['SessionToken']}\n"
    )


# --- where credentials come from -------------------------------------------------------------

Place = Callable[[Relay, Keys, Path, pytest.MonkeyPatch], dict[str, str]]
"""Puts the keys where boto3 finds them; returns the settings that this needs."""


def environment(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    patch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    patch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    patch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    return {}


def own_file(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    (folder / "own").write_text(f"[default]\n{ini(keys)}")
    return {"credentials": str(folder / "own")}


def profile(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    (folder / "config").write_text(f"[profile work]\n{ini(keys)}")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    return {"profile": "work"}


def role_of_profile(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    role = f"role_arn = {BASE}\nsource_profile = home\nrole_session_name = found\n"
    (folder / "config").write_text(f"[profile work]\n{role}[profile home]\n{ini(keys)}")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    return {"profile": "work"}


def single_sign_on(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    (folder / "config").write_text(
        "[profile work]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Base\n"
        "[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\n"
    )
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    # botocore settles where it keeps what `aws sso login` left when it is imported.
    cache = Path(SSOTokenProvider._SSO_TOKEN_CACHE_DIR)
    cache.mkdir(parents=True, exist_ok=True)
    expires = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    token = {"startUrl": "https://corp.example/start", "region": "us-east-1"}
    token |= {"accessToken": "signed-on", "expiresAt": expires}
    (cache / f"{sha1(b'corp').hexdigest()}.json").write_text(json.dumps(token))
    relay.served = keys
    return {"profile": "work"}


def web_identity(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    (folder / "token").write_text("a.web.token")
    patch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))
    patch.setenv("AWS_ROLE_ARN", BASE)
    patch.setenv("AWS_ROLE_SESSION_NAME", "found")
    return {}


def container(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    relay.served = keys
    patch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{relay.url}/container")
    return {}


def instance(relay: Relay, keys: Keys, folder: Path, patch: pytest.MonkeyPatch) -> Keys:
    relay.served = keys
    patch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    patch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{relay.url}/")
    return {}


PLACES = [
    environment, own_file, profile, role_of_profile, single_sign_on, web_identity, container,
    instance,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_credentials_are_found_where_boto3_looks_and_may_assume_a_role(
    place: Place, relay: Relay, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = place(relay, keys, tmp_path, monkeypatch)
    found = clients(**settings)
    who, account = found.caller()
    assert who == "arn:aws:sts::111111111111:assumed-role/Base/found"
    assert account == found.account_id() == "111111111111"
    base = relay.keys_of("GetCallerIdentity")[-1]
    target = as_target(**settings)
    who, account = target.caller()
    assert who == "arn:aws:sts::222222222222:assumed-role/Target/covalent-braket"
    assert account == target.account_id() == "222222222222"
    if place in (role_of_profile, web_identity):  # each set of clients takes keys of its own there
        assert relay.keys_of(ASSUME_ROLE)[-1].startswith("ASIA")
    else:
        assert relay.keys_of(ASSUME_ROLE) == [base]


def test_no_credentials_at_all_are_said_to_be_missing(relay: Relay) -> None:
    with pytest.raises(CredentialsError, match="no AWS credentials were found"):
        as_target().account_id()


# --- the role --------------------------------------------------------------------------------


def test_external_id_and_name_of_the_session_are_sent(
    local_braket: BraketServer, in_environment: Keys
) -> None:
    asked: list[Any] = []
    made = as_target(external_id="ext-1", role_session_name="team-a", endpoint_url="http://x.test")
    session = made._session._session
    session.get_component("event_emitter").register(
        "before-parameter-build.sts.AssumeRole", lambda params, **_: asked.append(dict(params))
    )
    with pytest.raises(UnreachableError):
        made.account_id()
    assert asked[0]["ExternalId"] == "ext-1"
    assert asked[0]["RoleSessionName"] == "team-a"
    assert asked[0]["RoleArn"] == TARGET


def test_clients_of_two_roles_or_external_ids_are_never_the_same(in_environment: Keys) -> None:
    variants = [
        clients(),
        as_target(),
        as_target(external_id="one"),
        as_target(external_id="two"),
        as_target(role_session_name="other"),
        clients(assume_role_arn=BASE),
    ]
    assert len({id(each) for each in variants}) == len(variants)
    assert len({each.identity_key for each in variants}) == len(variants)
    assert as_target(external_id="one") is variants[2]


def test_local_braket_assumes_roles_as_aws_does_and_the_jobs_role_is_of_that_account(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    make = BraketExecutor(local=True, assume_role_arn=TARGET)._context_maker({})
    ctx = make(may_start=True)
    assert ctx.jobs.clients.account_id() == "222222222222"
    role = ctx.settings.braket_job_execution_role_name
    assert role is not None
    assert role.startswith("arn:aws:iam::222222222222:role/service-role/")


# --- refused ---------------------------------------------------------------------------------


@pytest.fixture
def strict(local_braket: BraketServer) -> Iterator[BraketServer]:
    """The local Braket while moto checks keys and policies, but for the first calls."""

    def set_free(calls: str) -> None:
        url = f"{local_braket.endpoint_url}/moto-api/reset-auth"
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(url, calls.encode(), plain, method="POST")
        urllib.request.urlopen(request, timeout=10).read()

    iam = local_braket.client("iam")
    name = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    allow = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    document = json.dumps({"Version": "2012-10-17", **allow})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    local_braket.info["user"] = name
    local_braket.info["keys"] = iam.create_access_key(UserName=name)["AccessKey"]
    set_free("0")
    yield local_braket
    set_free("inf")


def guarded_role(server: BraketServer, external_id: str) -> str:
    """A role that asks for an external id; moto compares it, if one is sent, in one account."""
    iam, name = server.client("iam"), f"role-{uuid.uuid4()}"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
            }
        ],
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    return str(made["Role"]["Arn"])


@pytest.fixture
def role(local_braket: BraketServer) -> str:
    return guarded_role(local_braket, "right")


def use(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])


# moto allows a role that asks for an external id also to those who send none: only AWS can show
# that case, so it is not tested here.
def test_wrong_external_id_is_refused_with_both_settings_and_what_to_mend(
    role: str, strict: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(strict.info["keys"], monkeypatch)
    right, wrong = (
        clients(assume_role_arn=role, external_id=each, endpoint_url=strict.endpoint_url)
        for each in ("right", "wrong")
    )
    assert right.account_id() == "000000000000"
    with pytest.raises(CredentialsError) as caught:
        wrong.account_id()
    text = str(caught.value)
    assert (caught.value.operation, caught.value.code) == (ASSUME_ROLE, "AccessDenied")
    assert f"assume_role_arn='{role}'" in text
    assert "external_id='wrong'" in text
    assert f":user/{strict.info['user']}" in text, "who was refused"
    assert "trust policy" in text


@pytest.mark.parametrize("assumed", [False, True])
def test_keys_that_aws_does_not_know_are_wrong_credentials(
    assumed: bool, role: str, strict: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use({**strict.info["keys"], "SecretAccessKey": "s" * 40}, monkeypatch)
    more = {"assume_role_arn": role, "external_id": "right"} if assumed else {}
    with pytest.raises(CredentialsError) as caught:
        clients(endpoint_url=strict.endpoint_url, **more).account_id()
    assert caught.value.code == "SignatureDoesNotMatch"
    assert ("assume_role_arn" in str(caught.value)) is assumed
    assert "ssssssss" not in str(caught.value)


def test_role_of_a_profile_that_is_refused_says_so_too(
    role: str, strict: BraketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = strict.info["keys"]
    (tmp_path / "config").write_text(
        f"[profile a]\nrole_arn = {role}\nexternal_id = wrong\nsource_profile = b\n[profile b]\n"
        f"aws_access_key_id = {keys['AccessKeyId']}\n"
        f"aws_secret_access_key = {keys['SecretAccessKey']}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", strict.endpoint_url)
    with pytest.raises(CredentialsError, match="AssumeRole was refused: AccessDenied"):
        clients(profile="a").account_id()


def test_sts_that_does_not_answer_is_no_answer_and_not_a_refusal(in_environment: Keys) -> None:
    with pytest.raises(UnreachableError) as caught:
        as_target(endpoint_url="http://127.0.0.1:9").account_id()
    assert caught.value.transient


def test_expired_credentials_that_assume_the_role_may_be_renewed(
    local_braket: BraketServer, in_environment: Keys
) -> None:
    expired = {"kind": "error", "code": "ExpiredToken", "status": 403, "times": 1}
    local_braket.faults({"operation": "sts:AssumeRole", **expired})
    made = as_target(endpoint_url=local_braket.endpoint_url, role_session_name="expired")
    with pytest.raises(CredentialsError, match="credentials that assume_role_arn="):
        made.account_id()
    assert made.account_id() == "222222222222"


# --- renewed in time -------------------------------------------------------------------------

ADVISORY_SECONDS = 15 * 60
"""botocore renews credentials from this long before they expire."""


def test_role_is_assumed_again_before_its_keys_expire_and_not_sooner(
    relay: Relay, in_environment: Keys
) -> None:
    relay.lifetime = ADVISORY_SECONDS + 60
    made = as_target(role_session_name="in-time")
    for _ in range(3):
        made.caller()
    assert len(relay.keys_of(ASSUME_ROLE)) == 1
    assert len(set(relay.keys_of("GetCallerIdentity"))) == 1
    relay.lifetime = ADVISORY_SECONDS - 60
    made = as_target(role_session_name="soon")
    for _ in range(2):
        made.caller()
    assert len(relay.keys_of(ASSUME_ROLE)) == 3
    assert len(set(relay.keys_of("GetCallerIdentity"))) == 3
    assert relay.refused == 0


def test_threads_that_begin_together_assume_the_role_once(
    relay: Relay, in_environment: Keys
) -> None:
    made = as_target(role_session_name="together")
    relay.pause = 0.3
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda _: made.caller(), range(12)))
    assert len({account for _, account in found}) == 1
    assert len(relay.keys_of(ASSUME_ROLE)) == 1


def test_while_one_thread_renews_the_keys_the_others_go_on_with_the_old(
    relay: Relay, in_environment: Keys
) -> None:
    relay.lifetime = ADVISORY_SECONDS - 60  # may be renewed, need not be yet
    made = as_target(role_session_name="go-on")
    made.caller()
    relay.pause, relay.lifetime = 2.0, 3600
    began = threading.Thread(target=made.caller)
    before = len(relay.keys_of(ASSUME_ROLE))
    began.start()
    while len(relay.keys_of(ASSUME_ROLE)) == before:
        time.sleep(0.01)
    start = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: made.caller(), range(8)))
    assert time.monotonic() - start < 1.5
    assert len(relay.keys_of(ASSUME_ROLE)) == before + 1
    began.join()


@pytest.mark.slow
def test_job_that_outlives_the_keys_is_collected(
    relay: Relay, local_braket: BraketServer, in_environment: Keys, tmp_path: Path
) -> None:
    relay.lifetime = 1.5
    executor = BraketExecutor(
        region="us-east-1",
        assume_role_arn=TARGET,
        braket_job_execution_role_name="Runner",
        ecr_image_uri=local_braket.info["image_uri"],
        cache_dir=str(tmp_path),
        role_session_name="outlives",
        poll_freq=1,
    )

    def sleeps() -> str:
        time.sleep(3)
        return "done"

    metadata = {"dispatch_id": str(uuid.uuid4()), "node_id": 0}
    assert asyncio.run(executor.run(sleeps, [], {}, metadata)) == "done"
    signed = {key for key, _ in relay.calls if key != in_environment["AccessKeyId"]}
    assert len(signed) >= 3, "the role was assumed again and again"
    assert relay.refused == 0, "no call was signed with keys that had expired"


# --- a translated error of other calls -------------------------------------------------------


def test_call_that_needed_the_role_names_the_operation_that_was_refused(
    role: str, strict: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(strict.info["keys"], monkeypatch)
    made = clients(assume_role_arn=role, external_id="no", endpoint_url=strict.endpoint_url)
    with pytest.raises(CredentialsError) as caught, translated("HeadBucket"):
        made.s3.head_bucket(Bucket="amazon-braket-any")
    assert caught.value.operation == ASSUME_ROLE
