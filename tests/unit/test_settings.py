"""Where settings come from, which values are refused, and what the errors say."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.job.hyperparameters import encode
from covalent_braket_plugin.settings import (
    BY_NAME,
    INSTANCE_TYPES,
    LEGACY_KEYS,
    SETTINGS,
    Settings,
    check,
    check_complete,
    check_given,
    check_one,
    markdown_table,
    region_of_device,
    resolve,
    unknown,
    with_local,
    with_region,
)
from tests.support.service_model import braket_model, violations

SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/worker:1"
LOCAL_INFO = {
    "endpoint_url": "http://127.0.0.1:5001",
    "region": "us-east-1",
    "role_arn": "arn:aws:iam::000000000000:role/service-role/AmazonBraketJobsExecutionRole",
    "image_uri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/worker:py311-cloudpickle2.2.1",
    "account_id": "000000000000",
}


def resolved(**given: object) -> Settings:
    return resolve(given, {}, {})


# Where values come from


def test_without_any_source_every_setting_has_its_default() -> None:
    settings = resolve({}, {}, {})
    assert settings == Settings()
    assert set(settings.sources.values()) == {"default"}
    assert (settings.time_limit, settings.poll_freq, settings.storage) == (300, 30, 30)
    assert settings.quantum_device == SV1


def test_the_defaults_pass_every_rule() -> None:
    check(Settings())


def test_the_constructor_outranks_the_config_which_outranks_the_environment() -> None:
    environ = {"AWS_REGION": "us-west-1"}
    config = {"region": "us-west-2"}
    everything = resolve({"region": "us-east-1"}, config, environ)
    assert (everything.region, everything.sources["region"]) == ("us-east-1", "constructor")
    two = resolve({}, config, environ)
    assert (two.region, two.sources["region"]) == ("us-west-2", "config")
    one = resolve({}, {}, environ)
    assert one.region == "us-west-1"
    assert one.sources["region"] == "environment variable AWS_REGION"


def test_aws_region_outranks_aws_default_region() -> None:
    environ = {"AWS_DEFAULT_REGION": "eu-west-2", "AWS_REGION": "us-west-1"}
    assert resolve({}, {}, environ).region == "us-west-1"
    assert resolve({}, {}, {**environ, "AWS_REGION": ""}).region == "eu-west-2"


@pytest.mark.parametrize("unset", [None, "", "  "])
def test_none_and_empty_text_mean_unset(unset: object) -> None:
    settings = resolve({"s3_prefix": unset, "time_limit": unset}, {"time_limit": 9}, {})
    assert (settings.s3_prefix, settings.time_limit) == ("covalent", 9)


def test_zero_and_false_are_values() -> None:
    config = {"time_limit": 60, "local": True}
    settings = resolve({"time_limit": 0, "local": False}, config, {})
    assert (settings.time_limit, settings.local) == (0, False)


def test_an_empty_map_means_unset() -> None:
    settings = resolve({"tags": {}}, {"tags": {"team": "blue"}}, {})
    assert settings.tags == {"team": "blue"}


def test_variables_that_boto3_reads_itself_are_left_to_it() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_PROFILE": "lab"}
    settings = resolve({}, {}, environ)
    assert (settings.endpoint_url, settings.profile) == (None, None)
    assert settings.sources["endpoint_url"] == "environment variable AWS_ENDPOINT_URL"


def test_unknown_names_are_passed_over() -> None:
    assert resolve({"colour": "red"}, {"log_stdout": "x"}, {}) == Settings()


def test_no_limit_in_a_program_outranks_a_limit_in_the_file() -> None:
    config = {"max_cost": 5}
    assert resolve({}, config, {}).max_cost == 5
    assert resolve({"max_cost": None}, config, {}).max_cost == 5  # left out
    assert resolve(check_given({"max_cost": "none"}), config, {}).max_cost == "none"
    assert resolve({}, {"max_cost": "none"}, {}).max_cost == "none"


def test_the_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    assert resolve({}, {}, {}).region is None


# Types


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("time_limit", "60", 60),
        ("time_limit", 60.0, 60),
        ("time_limit", np.int64(60), 60),
        ("poll_freq", "2.5", 2.5),
        ("poll_freq", 2, 2.0),
        ("poll_freq", np.float32(0.5), 0.5),
        ("max_cost", "2.5", 2.5),
        ("max_cost", 5, 5.0),
        ("max_cost", " None ", "none"),
        ("local", "true", True),
        ("local", np.bool_(True), True),
        ("time_limit", np.array(60), 60),
        ("classical_device", np.str_("ml.m5.large"), "ml.m5.large"),
        ("hyperparameters", {np.str_("depth"): np.int64(3)}, {"depth": 3}),
        ("local", "No", False),
        ("local", 1, True),
        ("credentials", Path("/etc/keys"), "/etc/keys"),
        ("s3_prefix", " team ", "team"),
        ("hyperparameters", {"depth": 3, "rate": 0.1}, {"depth": 3, "rate": 0.1}),
    ],
)
def test_values_are_made_the_settings_type(name: str, written: object, meant: object) -> None:
    value = check_one(name, written)
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_limit", "soon"),
        ("time_limit", 1.5),
        ("time_limit", True),
        ("time_limit", float("inf")),
        ("time_limit", [60]),
        ("poll_freq", float("nan")),
        ("poll_freq", False),
        ("poll_freq", 1j),
        ("local", "ture"),
        ("local", 2),
        ("local", 1.0),
        ("region", 7),
        ("region", b"us-east-1"),
        ("tags", "team=blue"),
        ("tags", {1: "x"}),
        ("tags", {"team": None}),
        ("tags", {"team": b"x"}),
        ("hyperparameters", {"x": "\udcff"}),
        ("hyperparameters", {"\udcff": "x"}),
        ("hyperparameters", {"x": object()}),
        ("time_limit", np.array([60, 61])),
        ("time_limit", np.array([])),
        ("time_limit", np.bool_(True)),
        ("local", np.array([True, False])),
        ("classical_device", np.array(["ml.m5.large"])),
        ("cache_dir", b"/tmp"),
        ("cache_dir", "/tmp/\udcff"),
    ],
)
def test_values_of_another_type_are_refused(name: str, value: object) -> None:
    with pytest.raises(SettingError) as caught:
        check_one(name, value)
    assert caught.value.setting == name
    assert "it must" in caught.value.rule


def test_what_the_constructor_keeps_is_what_json_can_hold() -> None:
    given = {
        "time_limit": np.int64(60),
        "poll_freq": np.float32(0.5),
        "keep_payload": np.bool_(False),
        "classical_device": np.str_("ml.m5.large"),
        "cache_dir": Path("/tmp/x"),
        "tags": MappingProxyType({np.str_("team"): np.str_("blue")}),
        "storage": "",
        "region": None,
        "colour": object(),
    }
    kept = check_given(given)
    assert json.loads(json.dumps(kept)) == kept
    assert kept == {
        "time_limit": 60,
        "poll_freq": 0.5,
        "keep_payload": False,
        "classical_device": "ml.m5.large",
        "cache_dir": "/tmp/x",
        "tags": {"team": "blue"},
        "storage": None,
        "region": None,
    }
    assert {type(value) for value in kept.values()} == {int, float, bool, str, dict, type(None)}
    assert [type(key) for key in kept["tags"]] == [str]  # type: ignore[attr-defined]


def test_a_value_of_the_config_file_is_kept_unchecked_and_a_programs_own_is_checked() -> None:
    config = {"time_limit": 0, "local": "maybe", "tags": ["a"], "region": date(2026, 1, 1)}
    kept = check_given({**config, "storage": np.int64(31)}, config)
    assert kept == {**config, "region": None, "storage": 31}
    with pytest.raises(SettingError, match="time_limit"):
        check_given({**config, "time_limit": -1}, config)


@pytest.mark.parametrize("odd", [np.array([60, 61]), {"a": np.array([1, 2])}, {60}, object()])
def test_values_that_cannot_be_compared_are_setting_errors_too(odd: object) -> None:
    with pytest.raises(SettingError, match="time_limit"):
        check_given({"time_limit": odd}, {"time_limit": 60})
    with pytest.raises(SettingError, match="time_limit"):
        check_given({"time_limit": odd}, {"time_limit": {"a": np.array([1, 3])}})


def test_resolving_refuses_a_type_and_says_that_it_is_in_the_config_file() -> None:
    with pytest.raises(SettingError, match=r"\[executors\.braket\]"):
        resolve({}, {"time_limit": "soon"}, {})


# Rules of single settings

GOOD: list[tuple[str, object]] = [
    ("time_limit", 1),
    ("time_limit", 432000),
    ("storage", 1),
    ("instance_count", 1),
    ("poll_freq", 0.01),
    ("max_parallel_jobs", 0),
    ("max_parallel_jobs", 100),
    ("queue_timeout", 0.5),
    ("give_up_after", 7200),
    ("retries", 20),
    ("retry_on", ("electron", "time_limit")),
    ("retry_on", ()),
    ("on_stop", "cancel"),
    ("poll_freq", 3600),
    ("max_cost", 0.01),
    ("max_cost", "none"),
    ("classical_device", "ml.g6e.48xlarge"),
    ("region", "us-gov-west-1"),
    ("region", "ap-southeast-5"),
    ("profile", "123456789012/Admin"),
    ("s3_bucket_name", "abc"),
    ("s3_bucket_name", "a" * 63),
    ("s3_prefix", "/"),
    ("s3_prefix", "team/covalent/"),
    ("s3_prefix", "a" * 512),
    ("ecr_image_uri", "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/worker:py312"),
    ("ecr_image_uri", f"123456789012.dkr.ecr.eu-west-2.amazonaws.com/w@sha256:{'0' * 64}"),
    ("ecr_image_uri", f"123456789012.dkr.ecr.eu-west-2.amazonaws.com/w:t@sha256:{'0' * 64}"),
    ("braket_job_execution_role_name", "AmazonBraketJobsExecutionRole"),
    ("braket_job_execution_role_name", "service-role/AmazonBraketJobsExecutionRole"),
    ("braket_job_execution_role_name", "/service-role/Role+=,.@-_"),
    ("braket_job_execution_role_name", "arn:aws-us-gov:iam::123456789012:role/a/b/Role"),
    ("quantum_device", GARNET),
    ("quantum_device", "arn:aws:braket:us-west-1::device/qpu/rigetti/Cepheus-1-108Q"),
    ("quantum_device", "local:none/none"),
    ("quantum_device", "local:pennylane/lightning.qubit"),
    ("log_group_name", "/aws/braket/jobs#2"),
    ("kms_key_id", "alias/mine"),
    ("kms_key_id", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    ("kms_key_id", "mrk-1234abcd12ab34cd56ef1234567890ab"),
    ("kms_key_id", "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
    ("endpoint_url", "http://127.0.0.1:4566"),
    ("endpoint_url", "https://braket.us-east-1.api.aws/"),
    ("endpoint_url", "http://[::1]:80"),
    ("cache_dir", "/var/cache/braket"),
    ("cache_dir", "~/cache"),
    ("cache_dir", "~"),
    ("version_mismatch", "warn"),
    ("tags", {f"key-{n}": "" for n in range(44)}),
    ("tags", {"ключ": "Größe 1.5 = ½ + x@y", "k" * 128: "v" * 256}),
    ("hyperparameters", {f"h{n}": "x" for n in range(95)}),
    ("hyperparameters", {"x": "", "lines": "a\nb", "odd": "a\u2028b", "list": [1, {"a": None}]}),
    ("hyperparameters", {"h" * 256: "x" * 2500}),
    ("quantum_device", "IonQ Forte 1"),
    ("quantum_device", "none"),
    ("fallback_devices", ("Garnet", "local:braket/default", SV1)),
    ("job_name", "{lattice}/{electron} {{v1}} {dispatch}-{node}-{attempt}"),
    ("input_data", {"train.v-1": "/data", "s3": "s3://bucket", "one": "s3://bucket/a/b.npy"}),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_values_within_the_rules_are_taken(name: str, value: object) -> None:
    assert check_one(name, value) == value


def test_a_list_of_words_may_be_written_in_several_ways() -> None:
    wanted = ("electron", "infrastructure")
    for value in (list(wanted), wanted, "electron, infrastructure", "electron,,infrastructure,"):
        assert check_one("retry_on", value) == wanted
    assert check_given({"retry_on": wanted}) == {"retry_on": list(wanted)}


BAD: list[tuple[str, object, str]] = [
    ("time_limit", 0, "Use 1 or more"),
    ("time_limit", 432001, "Use 432000 or less"),
    ("storage", 0, "Use 1 or more"),
    ("storage", -5, "Use 1 or more"),
    ("instance_count", 0, "Use 1 or more"),
    ("max_parallel_jobs", -1, "Use 0 or more"),
    ("queue_timeout", 0, "Use a number above 0."),
    ("queue_timeout", float("inf"), "Use a value such as 30.0"),
    ("give_up_after", -1, "Use a number above 0."),
    ("retries", -1, "Use 0 or more"),
    ("retries", 21, "Use 20 or less"),
    ("retry_on", ["infrastucture"], "Did you mean 'infrastructure'"),
    ("retry_on", "electron, quota", "retry_on=['quota'] is not valid"),
    ("retry_on", 1, "['infrastructure']"),
    ("on_stop", "stay", "'leave' or 'cancel'"),
    ("poll_freq", 0, "above 0"),
    ("max_cost", 0, "Use an amount such as 5.0, or None (in a file: 'none')"),
    ("max_cost", -1, "Use an amount"),
    ("max_cost", "unlimited", "it must be a number, or none"),
    ("max_cost", True, "such as 5.0"),
    ("max_cost", float("inf"), "such as 5.0"),
    ("poll_freq", 3601, "at most 3600"),
    ("classical_device", "m5.large", "Did you mean 'ml.m5.large'"),
    ("classical_device", "ml.g5.xlarge", "Did you mean 'ml.g6.xlarge'"),
    ("classical_device", "laptop", "'ml.m5.large'"),
    ("region", "us-east1", "Did you mean 'us-east-1'"),
    ("region", "moon", "us-west-2"),
    ("profile", "~/.aws/credentials", "credentials"),
    ("credentials", "/etc/a\nkeys", "a path"),
    ("cache_dir", "/tmp/\0", "absolute path"),
    ("cache_dir", "rel", "whole path"),
    ("cache_dir", "./rel", "whole path"),
    ("cache_dir", "~nobody/cache", "whole path"),
    ("s3_bucket_name", "ab", "amazon-braket-my-team"),
    ("s3_bucket_name", "a" * 64, "3 to 63"),
    ("s3_bucket_name", "my.bucket", "dot"),
    ("s3_bucket_name", "braket_s3_bucket", "Did you mean 'braket-s3-bucket'"),
    ("s3_bucket_name", "MyBucket", "Did you mean 'mybucket'"),
    ("s3_bucket_name", "s3://my-bucket", "name alone"),
    ("s3_bucket_name", "-bucket", "letters"),
    ("s3_bucket_name", "xn--bucket", "reserves"),
    ("s3_bucket_name", "bucket-s3alias", "reserves"),
    ("s3_prefix", "s3://bucket/prefix", "s3_bucket_name"),
    ("s3_prefix", "a//b", "empty parts"),
    ("s3_prefix", "a/../b", "'..'"),
    ("s3_prefix", "my prefix", "'team/covalent'"),
    ("s3_prefix", "a" * 513, "at most 512"),
    ("ecr_image_uri", "public.ecr.aws/covalent/worker:stable", "private ECR only"),
    ("ecr_image_uri", "worker:latest", "dkr.ecr"),
    ("ecr_image_uri", "123456789012.dkr.ecr.us-east-1.amazonaws.com/worker", ":latest"),
    ("ecr_image_uri", "123456789012.dkr.ecr.us-east-1.amazonaws.com/w@sha256:12", "digest"),
    ("ecr_image_uri", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/w:1", "dkr.ecr"),
    ("ecr_image_uri", f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{'w' * 220}:1", "255"),
    ("braket_job_execution_role_name", "My Role", "name"),
    ("braket_job_execution_role_name", "r" * 65, "name"),
    ("braket_job_execution_role_name", "arn:aws:iam::123:role/x", "arn:aws:iam"),
    ("braket_job_execution_role_name", "arn:aws:iam::123456789012:user/x", "role"),
    ("quantum_device", "local:none", "'none'"),
    ("quantum_device", f"local:a/{'b' * 256}", "covalent-braket devices"),
    ("quantum_device", "arn:aws:braket:::device/sv1", "covalent-braket devices"),
    ("if_device_unavailable", "retry", "'wait' or 'fail' or 'fallback'"),
    ("fallback_devices", ["SV1", "a/b"], "covalent-braket devices"),
    ("max_device_wait", 0, "above 0"),
    ("resume_on", ["time"], "time_limit"),
    ("resumes", 1001, "1000"),
    ("checkpoint_key", "a/b", "vqe-h2"),
    ("checkpoint_key", "..", "vqe-h2"),
    ("checkpoint_local_path", "checkpoints", "/opt/jobs/checkpoints"),
    ("checkpoint_local_path", "/tmp/x", "/opt/jobs/checkpoints"),
    ("checkpoint_local_path", "/opt/jobs/../ml", "/opt/jobs/checkpoints"),
    ("job_name", "{name}-{node}", "{electron}"),
    ("job_name", "{electron", "brace"),
    ("job_name", "{node:03}", "Write {node}"),
    ("job_name", "{electron!r}", "Write {electron}"),
    ("job_name", "x" * 257, "Shorten"),
    ("reservation_arn", "my-reservation", "arn:aws:braket"),
    ("input_data", {"a b": "x"}, "1 to 64"),
    ("input_data", {"..": "x"}, "1 to 64"),
    ("input_data", {"train": "s3://"}, "s3://bucket/key"),
    ("input_data", {"train": " "}, "path"),
    ("input_data", {f"c{n}": "x" for n in range(21)}, "Leave out 1"),
    ("input_data", {"train": "file:///data"}, "or a path"),
    ("input_data", {"train": 3}, "paths and S3 URIs"),
    ("log_group_name", "my group", "/aws/braket/jobs"),
    ("kms_key_id", "my key", "alias/name"),
    ("endpoint_url", "127.0.0.1:4566", "http"),
    ("endpoint_url", "ftp://127.0.0.1", "http"),
    ("endpoint_url", "http://", "http"),
    ("endpoint_url", "http://h:99999", "http"),
    ("endpoint_url", "http://h/?a=b", "http"),
    ("version_mismatch", "warning", "Did you mean 'warn'"),
    ("version_mismatch", "no", "'error' or 'warn'"),
    ("python_mismatch", "errors", "Did you mean 'error'"),
    ("assume_role_arn", "MyRole", "arn:aws:iam"),
    ("assume_role_arn", "arn:aws:iam::123456789012:user/me", "arn:aws:iam"),
    ("external_id", "a b", "trust policy"),
    ("external_id", "x", "trust policy"),
    ("role_session_name", "a team", "'team-a'"),
    ("tags", {f"key-{n}": "" for n in range(45)}, "Leave out 1"),
    ("tags", {"": "x"}, "1 to 128"),
    ("tags", {"k": "v" * 257}, "at most 256"),
    ("tags", {"AWS:k": "v"}, "AWS reserves"),
    ("tags", {"covalent:k": "v"}, "reserves"),
    ("tags", {"k": "a\tb"}, "only"),
    ("tags", {"k": "50 %"}, "only"),
    ("hyperparameters", {f"h{n}": "x" for n in range(97)}, "Leave out 2"),
    ("hyperparameters", {"x": "y" * 2501}, "(2501 characters)"),
    ("hyperparameters", {"": "x"}, "256"),
    ("hyperparameters", {"covalent_manifest": "x"}, "reserved"),
    ("hyperparameters", {"sagemaker_program": "x"}, "reserved"),
    ("hyperparameters", {f"{n:0250}": "7" for n in range(12)}, "characters)"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_values_that_break_a_rule_are_refused(name: str, value: object, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        check_one(name, value)
    error = caught.value
    assert error.setting.startswith(name)
    assert said in str(error)
    assert error.rule
    assert error.fix


def test_every_setting_with_a_rule_has_a_value_that_is_refused_here() -> None:
    refused = {name for name, _, _ in BAD}
    assert {s.name for s in SETTINGS if s.kind != "flag"} == refused


@pytest.mark.parametrize("value", [None, "", {}])
def test_an_unset_value_breaks_no_rule(value: object) -> None:
    assert all(check_one(setting.name, value) is None for setting in SETTINGS)


KEY = "AKIA" + "IOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE" + "xample/" * 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("credentials", KEY),
        ("profile", KEY),
        ("braket_job_execution_role_name", f"role/{KEY}"),
        ("role_session_name", KEY),
        ("time_limit", KEY),
        ("local", TOKEN),
        ("external_id", TOKEN),
        ("tags", {"owner": KEY}),
        ("tags", {KEY: "owner"}),
        ("tags", {"owner": SECRET}),
        ("tags", {"owner": [KEY]}),
        ("hyperparameters", {"a": "1", "b": SECRET}),
        ("hyperparameters", {"b": TOKEN + "\n"}),
        ("retry_on", [KEY]),
    ],
)
def test_an_access_key_in_any_setting_is_refused_and_never_shown(name: str, value: object) -> None:
    with pytest.raises(SettingError, match="no key may be in one") as caught:
        check_one(name, value)
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(secret in shown for secret in (KEY, SECRET, TOKEN))
    assert "(an access key)" in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tags", {"commit": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}),
        ("tags", {"place": "ASIAPACIFIC"}),
        ("external_id", "Q7dk3LmPz0aXw8VbN2eRt5YuIo1AsDfGhJkLzXcV"),
    ],
)
def test_what_only_looks_a_little_like_a_key_is_none(name: str, value: object) -> None:
    assert check_one(name, value) == value


def test_a_password_in_an_endpoint_is_refused_and_never_shown() -> None:
    with pytest.raises(SettingError) as caught:
        check_one("endpoint_url", "http://me:s3cret@host/")
    assert "s3cret" not in str(caught.value)


def test_a_broken_value_of_the_config_file_says_where_it_is() -> None:
    settings = resolve({}, {"time_limit": 0}, {})
    with pytest.raises(SettingError, match=r"\[executors\.braket\]"):
        check(settings)


def test_a_broken_value_of_the_environment_names_the_variable() -> None:
    with pytest.raises(SettingError, match="AWS_REGION"):
        check(resolve({}, {}, {"AWS_REGION": "mars"}))


# Rules between settings


def test_the_regions_name_is_read_from_a_qpus_arn_only() -> None:
    assert region_of_device(GARNET) == "eu-north-1"
    assert region_of_device(SV1) is None
    assert region_of_device("local:none/none") is None


def test_region_and_device_must_agree() -> None:
    with pytest.raises(SettingError, match=r"region='us-east-1'.*Use region='eu-north-1'"):
        check_given({"region": "us-east-1", "quantum_device": GARNET})
    check_given({"region": "eu-north-1", "quantum_device": GARNET})


def test_a_region_of_the_environment_must_agree_with_the_device_too() -> None:
    settings = resolve({"quantum_device": GARNET}, {}, {"AWS_DEFAULT_REGION": "us-east-1"})
    with pytest.raises(SettingError, match="AWS_DEFAULT_REGION"):
        check(settings)


def test_a_simulator_cannot_be_used_where_there_is_none() -> None:
    with pytest.raises(SettingError, match="no on-demand simulators"):
        check_given({"region": "eu-north-1"})


def test_region_and_image_must_agree() -> None:
    with pytest.raises(SettingError, match="Copy the image"):
        check_given({"region": "us-west-2", "ecr_image_uri": IMAGE})
    check_given({"region": "us-east-1", "ecr_image_uri": IMAGE})


def test_an_unset_region_comes_from_the_profile_then_from_the_device() -> None:
    assert with_region(resolved(), "us-west-2").region == "us-west-2"
    device = with_region(resolved(quantum_device=GARNET), None)
    assert (device.region, device.sources["region"]) == ("eu-north-1", "device")
    assert with_region(resolved(), None).region is None
    assert with_region(resolved(region="us-east-1"), "us-west-2").region == "us-east-1"


def test_a_profiles_region_must_agree_with_the_device() -> None:
    with pytest.raises(SettingError, match="Garnet is in eu-north-1"):
        with_region(resolved(quantum_device=GARNET), "us-east-1")


@pytest.mark.parametrize(
    ("image", "brings_the_worker"),
    [
        (None, True),
        ("292282985366.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-base-jobs:latest", True),
        (f"1.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-cudaq-jobs@sha256:{'0' * 64}", True),
        (IMAGE, False),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/my/amazon-braket-base-jobs-plus:1", False),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-mine-jobs:1", False),
        ("292282985366.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-new-jobs:latest", True),
    ],
)
def test_jobs_in_images_of_aws_bring_the_worker_along(
    image: str | None, brings_the_worker: bool
) -> None:
    assert resolved(ecr_image_uri=image).script_mode is brings_the_worker


def test_the_local_braket_needs_no_other_setting() -> None:
    settings = with_local(resolved(local=True), LOCAL_INFO)
    check(settings)
    assert settings.endpoint_url == LOCAL_INFO["endpoint_url"]
    assert settings.region == "us-east-1"
    assert settings.braket_job_execution_role_name == LOCAL_INFO["role_arn"]
    assert settings.script_mode
    assert settings.sources["region"] == "local Braket"


def test_a_region_of_the_environment_does_not_move_the_local_braket() -> None:
    settings = resolve({"local": True}, {}, {"AWS_REGION": "eu-central-1"})
    assert with_local(settings, LOCAL_INFO).region == "us-east-1"


def test_the_local_braket_is_asked_in_the_region_of_the_device() -> None:
    settings = with_local(resolved(local=True, quantum_device=GARNET), LOCAL_INFO)
    check(settings)
    assert settings.region == "eu-north-1"


def test_an_explicit_local_outranks_the_config_files_aws_resources() -> None:
    config = {"ecr_image_uri": IMAGE, "s3_bucket_name": "amazon-braket-mine", "time_limit": 9}
    settings = with_local(resolve({"local": True}, config, {}), LOCAL_INFO)
    assert settings.ecr_image_uri is None
    assert settings.s3_bucket_name is None
    assert settings.time_limit == 9


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ({"local": True, "endpoint_url": "http://127.0.0.1:9"}, {}),
        ({}, {"local": True, "endpoint_url": "http://127.0.0.1:9"}),
        ({"endpoint_url": "http://127.0.0.1:9"}, {"local": True}),
    ],
)
def test_what_is_as_explicit_as_local_stays(
    given: Mapping[str, object], config: Mapping[str, object]
) -> None:
    settings = with_local(resolve(given, config, {}), LOCAL_INFO)
    assert settings.endpoint_url == "http://127.0.0.1:9"


ROLE = "arn:aws:iam::123456789012:role/Partner"


@pytest.mark.parametrize(("given", "config"), [(True, False), (False, True)])
def test_a_role_given_as_explicitly_as_local_is_assumed_there_and_jobs_are_of_its_account(
    given: bool, config: bool
) -> None:
    values = {"local": True, "assume_role_arn": ROLE}
    settings = resolve(values if given else {}, values if config else {}, {})
    settings = with_local(settings, LOCAL_INFO)
    assert settings.assume_role_arn == ROLE
    role = "arn:aws:iam::123456789012:role/service-role/AmazonBraketJobsExecutionRole"
    assert settings.braket_job_execution_role_name == role


def test_an_explicit_local_outranks_the_config_files_role() -> None:
    config = {"assume_role_arn": ROLE, "external_id": "x-1", "role_session_name": "team"}
    settings = with_local(resolve({"local": True}, config, {}), LOCAL_INFO)
    assert (settings.assume_role_arn, settings.external_id) == (None, None)
    assert settings.braket_job_execution_role_name == LOCAL_INFO["role_arn"]
    check_complete(settings)


@pytest.mark.parametrize("name", ["external_id", "role_session_name"])
def test_what_belongs_to_a_role_needs_the_role_but_another_source_may_name_it(name: str) -> None:
    given = {name: "team-a"}
    check_given(given)
    check_complete(resolve(given, {"assume_role_arn": ROLE}, {}))
    with pytest.raises(SettingError, match="assume_role_arn, which is not set") as caught:
        check_complete(resolve(given, {}, {}))
    assert caught.value.setting == name
    with pytest.raises(SettingError, match=r"\[executors.braket\]"):
        check_complete(resolve({}, given, {}))


# Names


def test_an_unknown_name_comes_with_the_likeliest_setting() -> None:
    assert unknown(["time_limt", "colour", "time_limit"]) == [
        ("time_limt", "time_limit"),
        ("colour", ""),
    ]


def test_keys_of_covalents_base_classes_are_accepted_in_silence() -> None:
    assert unknown(["log_stdout", "log_stderr"]) == []


def test_keys_of_older_releases_point_to_their_successors() -> None:
    assert unknown(["ecr_repo_name"]) == [("ecr_repo_name", "ecr_image_uri")]
    assert all(name in BY_NAME for name in LEGACY_KEYS.values() if name)
    assert not set(LEGACY_KEYS) & set(BY_NAME)


def test_the_names_that_users_know_keep_working() -> None:
    known = (
        "credentials profile region s3_bucket_name ecr_image_uri braket_job_execution_role_name "
        "quantum_device classical_device storage time_limit poll_freq cache_dir log_group_name"
    )
    assert set(known.split()) <= set(BY_NAME)


# The table


def test_the_table_has_a_row_for_every_field() -> None:
    assert [s.name for s in SETTINGS] == [f.name for f in fields(Settings) if f.name != "sources"]


def test_the_documentation_has_a_row_for_every_setting() -> None:
    rows = markdown_table().splitlines()[2:]
    assert len(rows) == len(SETTINGS)
    for row, setting in zip(rows, SETTINGS, strict=True):
        assert row.startswith(f"| `{setting.name}` |")
        assert row.count("|") == 5
        assert all(f"`{variable}`" in row for variable in setting.environment)


def test_instance_types_are_those_of_the_service_model() -> None:
    assert set(braket_model().shape_for("InstanceType").enum) == INSTANCE_TYPES


REQUEST_PATHS: dict[str, Any] = {
    "time_limit": lambda v: {"stoppingCondition": {"maxRuntimeInSeconds": v}},
    "storage": lambda v: {"instanceConfig": {"instanceType": "ml.m5.large", "volumeSizeInGb": v}},
    "classical_device": lambda v: {"instanceConfig": {"instanceType": v, "volumeSizeInGb": 1}},
    "ecr_image_uri": lambda v: {"algorithmSpecification": {"containerImage": {"uri": v}}},
    "quantum_device": lambda v: {"deviceConfig": {"device": v}},
    "hyperparameters": lambda v: {"hyperParameters": encode(v)},
    "tags": lambda v: {"tags": v},
}


@pytest.mark.parametrize(("name", "value"), [case for case in GOOD if case[0] in REQUEST_PATHS])
def test_what_our_rules_take_the_service_model_takes(name: str, value: object) -> None:
    request = {
        "clientToken": "t",
        "jobName": "j",
        "algorithmSpecification": {},
        "outputDataConfig": {"s3Path": "s3://b"},
        "roleArn": "arn:aws:iam::123456789012:role/r",
        "instanceConfig": {"instanceType": "ml.m5.large", "volumeSizeInGb": 1},
        "deviceConfig": {"device": "local:none/none"},
    }
    assert violations("CreateJob", request | REQUEST_PATHS[name](value)) == []


def test_settings_cannot_be_changed_but_copied() -> None:
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.region = "us-east-1"  # type: ignore[misc]
    assert replace(settings, region="us-east-1").region == "us-east-1"


def test_importing_the_settings_loads_neither_boto3_nor_covalent() -> None:
    program = (
        "import sys, covalent_braket_plugin.settings, covalent_braket_plugin.request;"
        "print([m for m in ('boto3', 'botocore', 'covalent', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
