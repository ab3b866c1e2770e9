"""Who signs the calls: seen by a server that reads the Authorization header."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from covalent_braket_plugin.aws import Clients, clients_for
from covalent_braket_plugin.errors import AccessError, SettingError
from covalent_braket_plugin.settings import Settings

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
ANSWER = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Account>{account}</Account></GetCallerIdentityResult>
</GetCallerIdentityResponse>"""


class Sts:
    """Answers GetCallerIdentity, and remembers with which access keys it was asked."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        sts = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                found = re.search("Credential=([^/]+)/", self.headers["Authorization"])
                sts.keys.append(found[1] if found else "")
                body = ANSWER.format(account=f"{len(sts.keys):012}").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def asked_by(self, clients: Clients) -> str:
        """Tell which key these clients sign with now."""
        clients._client("sts").get_caller_identity()
        return self.keys[-1]


@pytest.fixture
def sts() -> Iterator[Sts]:
    sts = Sts()
    thread = threading.Thread(target=sts.server.serve_forever, args=(0.01,))
    thread.start()
    yield sts
    sts.server.shutdown()
    thread.join()
    sts.server.server_close()


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own configuration file."""
    path = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return path


@pytest.fixture
def credentials_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own credentials file."""
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    return path


def keys(key: str, profile: str = "default", more: str = "") -> str:
    section = f"aws_access_key_id = {key}\naws_secret_access_key = secret\n"
    return f"[{profile}]\n{section}{more}\n"


def settings(sts: Sts | None = None, **more: str) -> Settings:
    return Settings(region="us-east-1", endpoint_url=sts.url if sts else None, **more)  # type: ignore[arg-type]


# Files that change


def test_a_refreshed_credentials_file_counts_from_the_next_call_on(
    sts: Sts, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(keys("OLD"))
    wanted = settings(sts, credentials=str(own))
    held = clients_for(wanted)
    assert sts.asked_by(held) == "OLD"
    own.write_text(keys("NEW"))
    assert sts.asked_by(clients_for(wanted)) == "NEW"
    own.write_text(keys("NEWER"))
    assert sts.asked_by(held) == "NEWER", "also for those that hold the clients"


def test_a_file_that_is_swapped_for_one_of_the_same_size_and_time_is_noticed(
    sts: Sts, tmp_path: Path
) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.write_text(keys("ONE"))
    other.write_text(keys("TWO"))
    for path in (own, other):
        os.utime(path, ns=(10**18, 10**18))
    wanted = settings(sts, credentials=str(own))
    assert sts.asked_by(clients_for(wanted)) == "ONE"
    other.rename(own)
    assert sts.asked_by(clients_for(wanted)) == "TWO"


def test_the_users_own_files_are_followed_too(
    sts: Sts, config_file: Path, credentials_file: Path
) -> None:
    credentials_file.write_text(keys("FIRST"))
    assert sts.asked_by(clients_for(settings(sts))) == "FIRST"
    credentials_file.write_text(keys("SECOND"))
    assert sts.asked_by(clients_for(settings(sts))) == "SECOND"
    credentials_file.unlink()
    config_file.write_text(keys("THIRD"))
    assert sts.asked_by(clients_for(settings(sts))) == "THIRD"


def test_while_nothing_changes_the_same_clients_are_used(sts: Sts, credentials_file: Path) -> None:
    credentials_file.write_text(keys("SAME"))
    clients = clients_for(settings(sts))
    assert clients_for(settings(sts)) is clients
    assert clients.braket is clients.braket


def test_the_account_is_asked_once_for_each_set_of_keys(sts: Sts, credentials_file: Path) -> None:
    credentials_file.write_text(keys("A"))
    clients = clients_for(settings(sts))
    assert clients.account_id() == clients.account_id() == "000000000001"
    credentials_file.write_text(keys("B-of-another-account"))
    assert clients_for(settings(sts)).account_id() == "000000000002"


def test_a_file_half_written_stops_no_call_under_way_but_new_electrons_hear_of_it(
    sts: Sts, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(keys("GOOD"))
    wanted = settings(sts, credentials=str(own))
    clients = clients_for(wanted)
    assert sts.asked_by(clients) == "GOOD"
    own.write_text("[defau")
    assert sts.asked_by(clients) == "GOOD"
    with pytest.raises(SettingError, match="INI"):
        clients_for(wanted)
    assert clients_for(wanted, for_new_work=False) is clients
    own.unlink()
    assert clients_for(wanted, for_new_work=False) is clients
    own.write_text(keys("BETTER"))
    assert sts.asked_by(clients) == "BETTER"


def test_the_identity_key_outlives_the_files_and_tells_identities_apart(
    tmp_path: Path, credentials_file: Path, config_file: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(keys("A"))
    credentials_file.write_text(keys("B"))
    before = clients_for(settings(credentials=str(own))).identity_key
    own.write_text(keys("A2"))
    assert clients_for(settings(credentials=str(own))).identity_key == before
    assert clients_for(settings()).identity_key != before
    of_device = clients_for(Settings(quantum_device=GARNET))
    assert of_device.region == "eu-north-1"
    assert clients_for(Settings(region="eu-north-1")).identity_key == of_device.identity_key


def test_another_region_in_the_file_makes_other_clients(config_file: Path) -> None:
    config_file.write_text("[default]\nregion = us-west-1\n")
    old = clients_for(Settings())
    config_file.write_text("[default]\nregion = us-west-2\n")
    new = clients_for(Settings())
    assert (old.region, new.region) == ("us-west-1", "us-west-2")
    assert old.braket.meta.region_name == "us-west-1"


# A file of one's own


def test_the_given_file_counts_whatever_the_users_configuration_says_of_that_profile(
    sts: Sts, tmp_path: Path, config_file: Path, credentials_file: Path
) -> None:
    credentials_file.write_text(keys("SOMEBODY", "other"))
    role = "role_arn = arn:aws:iam::123456789012:role/Other\nsource_profile = other\n"
    config_file.write_text(f"[default]\n{role}")
    own = tmp_path / "own"
    own.write_text(keys("MINE"))
    assert sts.asked_by(clients_for(settings(sts, credentials=str(own)))) == "MINE"


def test_the_given_file_counts_more_than_keys_in_the_environment(
    sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    own = tmp_path / "own"
    own.write_text(keys("MINE"))
    assert sts.asked_by(clients_for(settings(sts, credentials=str(own)))) == "MINE"


@pytest.mark.parametrize(
    ("profile", "variable", "key"),
    [(None, None, "D"), (None, "work", "W"), ("home", "work", "H")],
)
def test_the_profile_of_the_file_is_the_settings_else_aws_profiles_else_the_default(
    sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    profile: str | None, variable: str | None, key: str,
) -> None:  # fmt: skip
    if variable:
        monkeypatch.setenv("AWS_PROFILE", variable)
    own = tmp_path / "own"
    own.write_text(keys("D") + keys("W", "work") + keys("H", "home"))
    more = {"profile": profile} if profile else {}
    assert sts.asked_by(clients_for(settings(sts, credentials=str(own), **more))) == key


def test_a_profile_of_the_given_file_may_start_a_program_that_gives_the_keys(
    sts: Sts, tmp_path: Path
) -> None:
    given = '{"Version": 1, "AccessKeyId": "PROGRAM", "SecretAccessKey": "s"}'
    (tmp_path / "answer.json").write_text(given)
    own = tmp_path / "own"
    own.write_text(f"[default]\ncredential_process = cat {tmp_path}/answer.json\n")
    assert sts.asked_by(clients_for(settings(sts, credentials=str(own)))) == "PROGRAM"


def test_a_role_in_the_given_file_is_assumed_from_the_profile_it_names(tmp_path: Path) -> None:
    own = tmp_path / "own"
    role = "[default]\nrole_arn = arn:aws:iam::123456789012:role/Mine\nsource_profile = base\n"
    own.write_text(role + keys("BASE", "base"))
    credentials = clients_for(settings(credentials=str(own)))._session.get_credentials()
    assert credentials.method == "assume-role"


def test_a_given_file_without_keys_never_leads_to_somebody_elses(
    sts: Sts, tmp_path: Path, credentials_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials_file.write_text(keys("SOMEBODY"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{sts.url}/keys")
    own = tmp_path / "own"
    own.write_text("[default]\nregion = us-east-1\n")
    clients = clients_for(settings(sts, credentials=str(own)))
    with pytest.raises(AccessError, match="no AWS credentials"):
        clients.account_id()
    assert sts.keys == []


def test_the_local_braket_never_sees_the_users_keys_nor_minds_their_files(
    sts: Sts, config_file: Path, credentials_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file.write_text("no INI")
    credentials_file.write_text(keys("MINE"))
    monkeypatch.setenv("AWS_PROFILE", "nope")
    wanted = Settings(region="us-east-1", endpoint_url=sts.url, local=True)
    assert sts.asked_by(clients_for(wanted)) == "local"


# What errors say


def test_a_given_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="a file that exists") as caught:
        clients_for(settings(credentials=str(tmp_path / "nowhere")))
    assert caught.value.setting == "credentials"


@pytest.mark.parametrize("content", [b"AKIA...", b"[default]\nx", b"\xff\xfe[\x00"])
def test_a_given_file_that_is_no_ini_is_named(tmp_path: Path, content: bytes) -> None:
    own = tmp_path / "own"
    own.write_bytes(content)
    with pytest.raises(SettingError, match="INI") as caught:
        clients_for(settings(credentials=str(own)))
    assert (caught.value.setting, caught.value.value) == ("credentials", str(own))


def test_the_users_own_files_are_named_if_they_are_no_ini(
    config_file: Path, credentials_file: Path
) -> None:
    credentials_file.write_text("{}")
    with pytest.raises(SettingError) as caught:
        clients_for(settings())
    assert caught.value.setting == "AWS_SHARED_CREDENTIALS_FILE"
    assert caught.value.value == str(credentials_file)
    credentials_file.unlink()
    config_file.write_text("{}")
    with pytest.raises(SettingError) as caught:
        clients_for(settings())
    assert (caught.value.setting, caught.value.value) == ("AWS_CONFIG_FILE", str(config_file))


def test_an_unknown_profile_is_named_with_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.write_text(keys("A", "work"))
    with pytest.raises(SettingError, match=r"^profile='nope'.*\(work\)"):
        clients_for(settings(credentials=str(own), profile="nope"))
    with pytest.raises(SettingError, match=r"^profile='default'"):
        clients_for(settings(credentials=str(own)))
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(SettingError, match=r"^AWS_PROFILE='missing'"):
        clients_for(settings())
    with pytest.raises(SettingError, match=r"^AWS_PROFILE='missing'"):
        clients_for(settings(credentials=str(own)))
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "gone")
    with pytest.raises(SettingError, match=r"^AWS_DEFAULT_PROFILE='gone'"):
        clients_for(settings())
