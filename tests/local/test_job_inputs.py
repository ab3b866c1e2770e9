"""What a job is given, told by pure functions: locations and the inherited environment."""

from __future__ import annotations

import pytest

from covalent_braket_plugin.local.jobs.job_env import inherited
from covalent_braket_plugin.local.jobs.s3_uri import bucket_and_key


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b/a#b?c/d", ("b", "a#b?c/d")),
        ("s3://b", ("b", "")),
        ("s3://b//a", ("b", "/a")),
        ("https://my.bucket.s3.eu-west-2.amazonaws.com/k/l", ("my.bucket", "k/l")),
        ("https://b.s3.amazonaws.com/k", ("b", "k")),
        ("https://s3.us-east-1.amazonaws.com/b/k/l", ("b", "k/l")),
        ("https://b/k", ("b", "k")),
    ],
)
def test_locations_are_read_as_modelled(uri: str, expected: tuple[str, str]) -> None:
    assert bucket_and_key(uri) == expected


def test_what_is_no_location_is_refused() -> None:
    with pytest.raises(ValueError, match="no S3 location"):
        bucket_and_key("/tmp/x")


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY"])
def test_addresses_with_a_password_are_not_handed_on(name: str) -> None:
    assert name in inherited({name: "http://index.example:3128/simple"})
    assert name not in inherited({name: "http://host/ http://me:secret@index.example/simple"})
    assert name not in inherited({name: "me:secret@proxy.example:3128"})


def test_only_harmless_settings_of_pip_are_handed_on() -> None:
    environ = {"PIP_CERT": "c", "PIP_CONFIG_FILE": "f", "PIP_NO_INDEX": "1", "PIP_PROXY": "p"}
    assert set(inherited(environ)) - {"NO_PROXY", "no_proxy"} == {"PIP_CERT", "PIP_NO_INDEX"}


def test_this_machine_is_never_behind_a_proxy() -> None:
    assert inherited({})["no_proxy"] == "127.0.0.1,localhost"
    assert inherited({"NO_PROXY": "a.example, localhost"})["NO_PROXY"] == (
        "a.example,localhost,127.0.0.1"
    )
