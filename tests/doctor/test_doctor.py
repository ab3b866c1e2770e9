"""Each thing that a job needs is broken in turn: the right check fails and names the right fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.doctor import Check, Exam, examine
from covalent_braket_plugin.doctor.findings import Result, unknown
from covalent_braket_plugin.doctor.role import NICETIES, trusts_braket
from covalent_braket_plugin.doctor.simulation import denials, read
from covalent_braket_plugin.doctor.software import compare, registered
from covalent_braket_plugin.permissions import (
    CALLER,
    ROLE,
    Grant,
    caller_policy,
    role_policy,
    trust_policy,
)
from covalent_braket_plugin.scopes import scope_of
from covalent_braket_plugin.settings import Settings, resolve
from tests.doctor.conftest import EVERYTHING, SECRET, TRUST, Patient, but

ACCOUNT = "000000000000"
IBEX = "arn:aws:braket:eu-north-1::device/qpu/aqt/Ibex-Q1"
TN1 = "arn:aws:braket:::device/quantum-simulator/amazon/tn1"
DM1 = "arn:aws:braket:::device/quantum-simulator/amazon/dm1"
SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
DENIED = {"kind": "error", "code": "AccessDenied", "status": 403, "times": 0}


def test_a_set_up_in_which_all_is_there_gets_no_complaint(patient: Patient) -> None:
    found = patient.look()
    assert {each.state for each in found.values()} == {"ok"}, found
    assert not any(each.fix for each in found.values())


# Software


def installed(**changes: str | None) -> Result:
    wanted = [Requirement("covalent>=0.240,<0.241"), Requirement("fastapi<0.132")]
    return compare(wanted, {"covalent": "0.240.0", "fastapi": "0.131.0", **changes})


def test_versions_within_their_bounds_are_shown() -> None:
    assert installed() == Result("ok", "covalent 0.240.0, fastapi 0.131.0")


@pytest.mark.parametrize(
    ("changes", "found", "fix"),
    [
        ({"fastapi": "0.140.1"}, "fastapi 0.140.1 is installed", 'pip install "fastapi<0.132"'),
        ({"covalent": "0.241.0rc0"}, "covalent 0.241.0rc0", '"covalent<0.241,>=0.240"'),
        ({"covalent": None}, "covalent is not installed", '"covalent<0.241,>=0.240"'),
    ],
)
def test_a_version_that_does_not_work_is_named_with_what_to_install(
    changes: dict[str, str | None], found: str, fix: str
) -> None:
    result = installed(**changes)
    assert result.state == "failed"
    assert found in result.found
    assert fix in result.fix


@pytest.mark.parametrize(
    ("points", "known", "fix"),
    [
        ({}, {"local"}, "--force-reinstall"),
        ({"braket": "covalent_braket.plugin"}, {"braket"}, "--force-reinstall"),
        ({"braket": "covalent_braket_plugin.braket"}, {"local"}, "python -c 'import"),
    ],
)
def test_a_plugin_that_covalent_does_not_find_fails(
    points: dict[str, str], known: set[str], fix: str
) -> None:
    result = registered(points, known)
    assert result.state == "failed"
    assert fix in result.fix


# Settings, endpoint, identity


@pytest.mark.parametrize(
    ("changes", "found", "fix"),
    [
        ({"time_limit": -1}, "time_limit=-1", ""),
        ({"quantum_device": IBEX}, "is in eu-north-1", "eu-north-1"),
        ({"profile": "nobody"}, "it must be a profile that exists", "name another"),
        ({"credentials": "/nowhere"}, "it must name a file that exists", "boto3's own search"),
        ({"region": "", "quantum_device": TN1}, "not set: ", "local=True"),
    ],
    ids=str,
)
def test_settings_that_break_a_rule_fail_and_all_else_is_skipped(
    patient: Patient, changes: dict[str, Any], found: str, fix: str
) -> None:
    seen = patient.look("settings", "endpoint", "free slots", **changes)
    assert seen["settings"].state == "failed"
    assert found in seen["settings"].found
    assert fix in seen["settings"].fix
    assert (seen["endpoint"].state, seen["endpoint"].found) == ("skipped", "needs settings")
    assert (seen["free slots"].state, seen["free slots"].found) == ("skipped", "needs settings")


def test_settings_say_where_they_come_from(patient: Patient) -> None:
    assert "ecr_image_uri" in patient.see("settings").found
    assert patient.see("settings").found.endswith(" from --set")


def test_a_region_without_braket_fails(patient: Patient) -> None:
    found = patient.see("endpoint", region="eu-central-1", ecr_image_uri=None, local=True)
    assert found.state == "failed"
    assert "not in the region eu-central-1" in found.found
    assert "eu-west-2" in found.fix


def test_an_endpoint_that_does_not_answer_fails_at_once(patient: Patient) -> None:
    found = patient.look("endpoint", "identity", endpoint_url="http://127.0.0.1:1")
    assert found["endpoint"].state == "failed"
    assert "endpoint_url" in found["endpoint"].fix
    assert found["identity"].found == "needs endpoint"


def test_no_credentials_at_all_fail(patient: Patient) -> None:
    found = patient.see("identity", keys={})
    assert found.state == "failed"
    assert "aws sso login" in found.fix


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId"])
def test_credentials_that_aws_refuses_fail(patient: Patient, code: str) -> None:
    patient.server.faults(
        {**DENIED, "operation": "sts:GetCallerIdentity", "code": code, "times": 1}
    )
    found = patient.see("identity")
    assert found.state == "failed"
    assert "Renew the credentials" in found.fix


def test_a_role_to_assume_is_who_we_are(patient: Patient) -> None:
    role = patient.role(*but("braket:CancelJob"))
    found = patient.look("own permissions", assume_role_arn=role)
    assert found["identity"].found.endswith("from assume_role_arn")
    assert found["own permissions"].found.startswith("braket:CancelJob: not allowed on ")


def test_a_role_that_may_not_be_assumed_fails(patient: Patient) -> None:
    patient.server.faults({**DENIED, "operation": "sts:AssumeRole"})
    found = patient.see("identity", assume_role_arn=f"arn:aws:iam::{ACCOUNT}:role/Theirs")
    assert found.state == "failed"
    assert "role/Theirs" in found.found
    assert "sts:AssumeRole" in found.fix


def test_identity_says_who_and_from_where_and_no_secret(patient: Patient) -> None:
    keys = patient.user(EVERYTHING)
    found = patient.look(keys=keys)
    assert f"arn:aws:iam::{ACCOUNT}:user/user-" in found["identity"].found
    assert "from the credentials file" in found["identity"].found
    shown = json.dumps([each.as_dict() for each in found.values()])
    assert keys["SecretAccessKey"] not in shown
    assert SECRET not in json.dumps([each.as_dict() for each in patient.look().values()])


# The bucket


def test_a_named_bucket_that_does_not_exist_fails(patient: Patient) -> None:
    found = patient.look("bucket access", s3_bucket_name="amazon-braket-nowhere")
    assert found["bucket"].state == "failed"
    assert "aws s3 mb s3://amazon-braket-nowhere --region us-east-1" in found["bucket"].fix
    assert found["bucket access"].found == "needs bucket"


def test_the_usual_bucket_need_not_exist_yet(patient: Patient) -> None:
    found = patient.look("bucket access", region="us-west-2", ecr_image_uri=None, local=True)
    assert found["bucket"].state == "ok"
    assert "the first electron makes it" in found["bucket"].found
    assert found["bucket access"].state == "skipped"


def test_input_data_that_is_not_there_fails_with_its_channel(
    patient: Patient, tmp_path: Path
) -> None:
    (tmp_path / "h2.json").write_text("{}")
    assert patient.see("input data", input_data={"h2": tmp_path / "h2.json"}).state == "ok"
    found = patient.see("input data", input_data={"lih": str(tmp_path / "lih.json")})
    assert found.state == "failed"
    assert found.found.startswith(f"input_data['lih']='{tmp_path}/lih.json': ")
    assert "Correct the path" in found.fix


def test_a_bucket_in_another_region_fails(patient: Patient, new_bucket: Callable[..., str]) -> None:
    found = patient.see("bucket", s3_bucket_name=new_bucket(region="eu-west-2"))
    assert found.state == "failed"
    assert "is in eu-west-2, the jobs are in us-east-1" in found.found
    assert "Name a bucket in us-east-1" in found.fix


def test_a_bucket_of_somebody_else_fails(patient: Patient) -> None:
    patient.server.faults({**DENIED, "operation": "s3:HeadBucket"})
    found = patient.see("bucket")
    assert found.state == "failed"
    assert "s3:ListBucket" in found.fix


def test_a_bucket_needs_brakets_prefix_or_tag(
    patient: Patient, new_bucket: Callable[..., str]
) -> None:
    name = new_bucket("ours-")
    found = patient.see("bucket name", s3_bucket_name=name)
    assert found.state == "failed"
    assert "AmazonBraket=true" in found.fix
    patient.server.client("s3").put_bucket_tagging(
        Bucket=name, Tagging={"TagSet": [{"Key": "AmazonBraket", "Value": "True"}]}
    )
    assert patient.see("bucket name", s3_bucket_name=name).state == "ok"


@pytest.mark.parametrize("operation", ["PutObject", "GetObject"])
@pytest.mark.parametrize("more", [(), ("DeleteObject",)])
def test_a_bucket_must_be_there_to_write_and_read(
    patient: Patient, operation: str, more: tuple[str, ...]
) -> None:
    patient.server.faults(*({**DENIED, "operation": f"s3:{name}"} for name in (operation, *more)))
    found = patient.see("bucket access")
    assert found.state == "failed"
    assert f"Allow s3:{operation}" in found.fix


def test_a_bucket_from_which_nothing_may_be_deleted_is_a_warning(patient: Patient) -> None:
    patient.server.faults({**DENIED, "operation": "s3:DeleteObject"})
    found = patient.see("bucket access")
    assert found.state == "warning"
    assert "Payloads and results stay in the bucket" in found.found
    assert "Allow s3:DeleteObject" in found.fix


def test_a_caller_that_may_delete_nothing_gets_a_warning(patient: Patient) -> None:
    found = patient.see("own permissions", keys=patient.user(*but("s3:DeleteObject")))
    assert found.state == "warning"
    assert "s3:DeleteObject" in found.found


def test_nothing_is_left_in_the_bucket(patient: Patient, new_bucket: Callable[..., str]) -> None:
    name = new_bucket()
    assert patient.see("bucket access", s3_bucket_name=name).state == "ok"
    assert patient.server.client("s3").list_objects_v2(Bucket=name)["KeyCount"] == 0


# Roles and permissions


def test_a_role_that_does_not_exist_fails_and_what_builds_on_it_is_skipped(
    patient: Patient,
) -> None:
    found = patient.look(braket_job_execution_role_name="Nobody")
    assert found["role"].state == "failed"
    assert "covalent-braket deploy up" in found["role"].fix
    skipped = {name for name, each in found.items() if each.found == "needs role"}
    assert skipped == {"role trust", "role hand-over", "role permissions"}
    assert found["device"].state == "ok"


def test_an_account_in_which_braket_was_never_enabled_fails_and_the_trial_is_skipped(
    patient: Patient,
) -> None:
    iam = patient.server.client("iam")
    path, name = "/aws-service-role/braket.amazonaws.com/", "AWSServiceRoleForAmazonBraket"
    trust = json.dumps(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"])
    iam.delete_role(RoleName=name)
    try:
        found = patient.look("enabled", "device", "trial job")
    finally:
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust)
    assert found["enabled"].state == "failed"
    assert "create-service-linked-role" in found["enabled"].fix
    assert found["trial job"].found == "needs enabled"
    assert found["device"].state == "ok"


def test_a_role_named_without_its_path_fails_with_its_true_arn(patient: Patient) -> None:
    name = patient.server.info["role_arn"].rpartition("/")[2]
    found = patient.see("role", braket_job_execution_role_name=name)
    assert found.state == "failed"
    assert found.fix.endswith(patient.server.info["role_arn"])


def test_a_role_of_another_account_fails(patient: Patient) -> None:
    found = patient.see(
        "role", braket_job_execution_role_name="arn:aws:iam::111122223333:role/Theirs"
    )
    assert found.state == "failed"
    assert f"is a role of account 111122223333, the jobs are in {ACCOUNT}" in found.found
    assert "braket_job_execution_role_name" in found.fix


def test_without_a_role_the_accounts_default_one_is_looked_at(patient: Patient) -> None:
    found = patient.look("role trust", braket_job_execution_role_name=None)
    assert found["role"].found == patient.server.info["role_arn"]
    assert found["role trust"].state == "ok"


def test_a_role_that_trusts_another_principal_fails(patient: Patient) -> None:
    trust = {**TRUST, "Principal": {"Service": "sagemaker.amazonaws.com"}}
    role = patient.role(EVERYTHING, trust=trust)
    found = patient.see("role trust", braket_job_execution_role_name=role)
    assert found.state == "failed"
    assert "covalent-braket policy trust" in found.fix


@pytest.mark.parametrize(
    ("change", "trusted"),
    [
        ({}, True),
        ({"Principal": {"Service": ["ec2.amazonaws.com", "braket.amazonaws.com"]}}, True),
        ({"Action": ["sts:TagSession", "sts:assumerole"]}, True),
        ({"Action": "sts:TagSession"}, False),
        ({"Effect": "Deny"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::000000000000:root"}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}, True),
        ({"Condition": {"StringEquals": {"AWS:SourceAccount": ["111122223333"]}}}, False),
    ],
    ids=str,
)
def test_who_is_trusted_is_read_from_the_trust_policy(
    change: dict[str, Any], trusted: bool
) -> None:
    assert trusts_braket({"Statement": [{**TRUST, **change}]}, ACCOUNT) is trusted


def test_a_denial_in_a_trust_policy_wins() -> None:
    denial = {**TRUST, "Effect": "Deny"}
    assert not trusts_braket({"Statement": [TRUST, denial]}, ACCOUNT)
    only_if = {"Bool": {"aws:SecureTransport": "false"}}
    assert trusts_braket({"Statement": [TRUST, {**denial, "Condition": only_if}]}, ACCOUNT)


@pytest.mark.parametrize(
    "statements",
    [
        but("iam:PassRole"),
        [{**EVERYTHING, "Resource": "arn:aws:iam::*:role/other"}],
        [
            {
                **EVERYTHING,
                "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            }
        ],
        [EVERYTHING, {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}],
    ],
    ids=["not at all", "another role", "to another service", "denied"],
)
def test_a_role_that_we_may_not_pass_fails(
    patient: Patient, statements: list[dict[str, Any]]
) -> None:
    found = patient.see("role hand-over", keys=patient.user(*statements))
    assert found.state == "failed"
    assert "Allow iam:PassRole" in found.fix


def test_a_role_without_a_permission_that_jobs_need_fails(patient: Patient) -> None:
    role = patient.role(*but("s3:PutObject"))
    found = patient.see("role permissions", braket_job_execution_role_name=role)
    assert found.state == "failed"
    assert "s3:PutObject: not allowed on arn:aws:s3:::amazon-braket-us-east-1" in found.found
    assert "covalent-braket policy role" in found.fix
    assert "s3:GetObject" not in found.found


def test_a_role_without_what_is_only_of_use_gets_a_warning(patient: Patient) -> None:
    role = patient.role(*but("cloudwatch:PutMetricData", "s3:AbortMultipartUpload"))
    found = patient.see("role permissions", braket_job_execution_role_name=role)
    assert found.state == "warning"
    assert "cloudwatch:PutMetricData" in found.found


def test_a_caller_without_a_permission_that_the_executor_needs_fails(patient: Patient) -> None:
    found = patient.see("own permissions", keys=patient.user(*but("braket:CreateJob")))
    assert found.state == "failed"
    assert "braket:CreateJob: not allowed on *" in found.found
    assert "covalent-braket policy caller" in found.fix


def test_who_has_the_policies_that_we_print_may_do_all_that_is_needed(
    patient: Patient, new_bucket: Callable[..., str]
) -> None:
    bucket, image = new_bucket("ours-"), patient.server.info["image_uri"]
    settings = {"s3_bucket_name": bucket, "kms_key_id": "alias/ours", "ecr_image_uri": image}
    place = {"region": "us-east-1", "account": ACCOUNT, "partition": "aws"}
    role = patient.role(trust=trust_policy()["Statement"][0])
    settings["braket_job_execution_role_name"] = role
    scope = scope_of(resolve(settings, {}, {}), **place)
    name = role.rpartition("/")[2]
    patient.server.client("iam").put_role_policy(
        RoleName=name, PolicyName="own", PolicyDocument=json.dumps(role_policy(scope))
    )
    keys = patient.user(*caller_policy(scope)["Statement"])
    found = patient.look(
        "role trust", "role hand-over", "role permissions", "own permissions", keys=keys, **settings
    )
    assert {each.state for each in found.values()} == {"ok"}, found


def test_a_role_that_was_assumed_is_asked_about_by_its_own_arn(patient: Patient) -> None:
    arn = patient.role(*but("braket:CancelJob"))
    keys = patient.server.client("sts").assume_role(RoleArn=arn, RoleSessionName="lab")
    found = patient.look("own permissions", keys=keys["Credentials"])
    assert ":assumed-role/" in found["identity"].found
    assert found["own permissions"].state == "failed"
    assert found["own permissions"].found.startswith("braket:CancelJob: not allowed on ")


def test_permissions_that_iam_does_not_tell_are_a_warning(patient: Patient) -> None:
    patient.server.faults({**DENIED, "operation": "iam:SimulatePrincipalPolicy"})
    found = patient.look("role permissions", "own permissions", "role hand-over")
    for name in ("role permissions", "own permissions", "role hand-over"):
        assert found[name].state == "warning"
        assert "iam:SimulatePrincipalPolicy" in found[name].fix


def test_actions_that_iam_refuses_together_are_asked_about_one_by_one(patient: Patient) -> None:
    grant = Grant("Both", "", ("s3:GetObject", "s3:PutObject"), ("arn:aws:s3:::amazon-braket-x/*",))
    clients = clients_for(resolve(patient.settings(), {}, {}))
    together = {"kind": "error", "code": "InvalidInput", "status": 400}
    patient.server.faults({**together, "operation": "iam:SimulatePrincipalPolicy"})
    found = denials(clients, patient.role(*but("s3:PutObject")), [grant])
    assert [(each.action, each.explicit) for each in found] == [("s3:PutObject", False)]
    assert patient.server.control("GET", "faults")["faults"] == []


def test_decisions_on_each_resource_count_where_iam_gives_them() -> None:
    whole = {"EvalActionName": "s3:GetObject", "EvalDecision": "allowed"}
    assert list(read(whole)) == [("s3:GetObject", "*", "allowed")]
    each = [
        {"EvalResourceName": name, "EvalResourceDecision": decision}
        for name, decision in (("one", "allowed"), ("two", "implicitDeny"))
    ]
    assert list(read({**whole, "ResourceSpecificResults": each})) == [
        ("s3:GetObject", "one", "allowed"),
        ("s3:GetObject", "two", "implicitDeny"),
    ]


def test_what_is_only_of_use_stands_in_the_table_of_permissions() -> None:
    assert {grant.sid for grant in (*CALLER, *ROLE)} >= NICETIES


# The image


def test_an_image_that_is_not_in_its_registry_fails(patient: Patient) -> None:
    for image in ("nothing:py311", "covalent-braket-worker:py399"):
        uri = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{image}"
        found = patient.see("image", ecr_image_uri=uri)
        assert found.state == "failed"
        assert "covalent-braket image push" in found.fix


def test_an_image_whose_tag_does_not_say_its_python_is_a_warning(patient: Patient) -> None:
    ecr, name = patient.server.client("ecr"), "amazon-braket-untold"
    ecr.create_repository(repositoryName=name)
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    text = json.dumps({"schemaVersion": 2, "mediaType": kind})
    ecr.put_image(repositoryName=name, imageManifest=text, imageTag="mine")
    uri = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{name}:mine"
    found = patient.see("image", ecr_image_uri=uri)
    assert found.state == "warning"
    assert "does not say which Python" in found.found
    assert ":py312" in found.fix


def test_an_image_with_another_python_fails_unless_that_is_wanted(patient: Patient) -> None:
    found = patient.see("image", python="3.9")
    assert found.state == "failed"
    assert "covalent-braket image build --python 3.9" in found.fix
    assert patient.see("image", python="3.9", python_mismatch="warn").state == "warning"


def test_without_an_image_the_python_of_aws_own_one_counts(patient: Patient) -> None:
    found = patient.see("image", ecr_image_uri=None)
    assert found.state == "ok"
    assert "amazon-braket-base-jobs:latest" in found.found
    found = patient.see("image", ecr_image_uri=None, python="3.9")
    assert found.state == "failed"
    assert "covalent-braket image build --python 3.9" in found.fix


# The device


def status(patient: Patient, arn: str, value: str) -> None:
    patient.server.control("POST", "devices", {"deviceArn": arn, "status": value})


def test_a_device_that_nobody_knows_fails(patient: Patient) -> None:
    found = patient.see("device", quantum_device=f"{DM1}x")
    assert found.state == "failed"
    assert "Set quantum_device" in found.fix


def test_a_device_that_is_offline_fails(patient: Patient) -> None:
    status(patient, DM1, "OFFLINE")
    try:
        found = patient.see("device", quantum_device=DM1)
    finally:
        status(patient, DM1, "ONLINE")
    assert (found.state, found.found) == (
        "failed",
        "Amazon Braket DM1 is OFFLINE: Braket refuses jobs for it",
    )
    assert "Wait until it is back" in found.fix


def test_a_service_that_does_not_answer_fails_with_where_to_look(patient: Patient) -> None:
    patient.server.faults({"operation": "GetDevice", "kind": "drop", "times": 0})
    found = patient.see("device")
    assert found.state == "failed"
    assert "network and endpoint_url" in found.fix


def test_a_device_that_is_retired_fails(patient: Patient) -> None:
    found = patient.see("device", quantum_device=TN1)
    assert (found.state, found.found) == ("failed", "Amazon Braket TN1 is RETIRED")
    assert "SV1" in found.fix


def test_a_device_is_known_by_its_name(patient: Patient) -> None:
    assert "Amazon Braket DM1 is ONLINE" in patient.see("device", quantum_device="dm1").found


def test_a_device_outside_its_window_is_a_warning_that_says_when_it_opens(
    patient: Patient,
) -> None:
    asked = {"quantum_device": IBEX, "region": "eu-north-1", "ecr_image_uri": None, "local": True}
    names = ("executionDay", "windowStartHour", "windowEndHour")
    office = dict(zip(names, ("Weekdays", "08:00:00", "16:00:00"), strict=True))
    patient.server.control("POST", "devices", {"deviceArn": IBEX, "executionWindows": [office]})
    found = patient.see("device", now=SATURDAY, **asked)
    opens = datetime(2026, 11, 23, 8, tzinfo=UTC).astimezone().strftime("%a %d %b %H:%M %Z")
    assert found.state == "warning"
    assert f"closed until {opens}" in found.found
    assert "Dispatch later" in found.fix
    found = patient.see("device", now=MONDAY, **asked)
    assert found.state == "ok"
    assert "open until Mon 23 Nov" in found.found


def test_a_qpu_without_max_cost_fails_with_what_it_costs(patient: Patient) -> None:
    asked: dict[str, Any] = {"quantum_device": IBEX, "region": "eu-north-1", "local": True}
    found = patient.look("cost", "trial job", **asked)
    assert found["cost"].state == "failed"
    assert "$0.0235 a shot" in found["cost"].found
    assert "max_cost" in found["cost"].fix
    assert found["trial job"].state == "skipped"
    assert patient.see("cost", max_cost="none", **asked).state == "ok"


def test_what_an_electron_may_cost_is_said(patient: Patient) -> None:
    found = patient.see("cost", max_cost=1)
    assert found.state == "ok"
    assert "ml.m5.large, which costs $0.009583 at most" in found.found
    assert "max_cost is $1.00" in found.found


def test_a_device_inside_the_job_is_not_looked_up(patient: Patient) -> None:
    assert patient.see("device", quantum_device="local:pennylane/lightning.qubit").state == "ok"


# Quotas


def test_an_instance_type_with_no_quota_fails(newcomer: Patient) -> None:
    found = newcomer.see("quotas", classical_device="ml.p4d.24xlarge")
    assert found.state == "failed"
    assert "0 instances of ml.p4d.24xlarge" in found.found
    assert "servicequotas" in found.fix


def test_free_slots_are_counted_and_none_is_a_warning(newcomer: Patient) -> None:
    braket = newcomer.server.client("braket")
    found = newcomer.look("free slots")
    assert found["quotas"].found == "jobs: 3, ml.m5.large: 5"
    assert found["free slots"].found == "3 of 3 are free"
    for number in range(3):
        braket.create_job(**newcomer.server.job_request(f"busy-{number}"))
    full = newcomer.see("free slots")
    assert (full.state, full.found) == ("warning", "0 of 3 are free")
    assert "Electrons wait" in full.fix


def test_quotas_that_are_not_told_are_a_warning(patient: Patient) -> None:
    patient.server.faults({**DENIED, "operation": "servicequotas:ListServiceQuotas"})
    found = patient.look("quotas", "free slots")
    assert found["quotas"].state == "warning"
    assert "servicequotas:ListServiceQuotas" in found["quotas"].fix
    assert found["free slots"].state == "ok"


# The engine


def test_a_check_that_breaks_takes_no_other_with_it() -> None:
    def breaks(exam: Exam) -> Result:
        raise ValueError("no such thing")

    checks = [
        Check("one", breaks),
        Check("two", lambda exam: Result("ok", "fine")),
        Check("three", breaks, ("one",)),
    ]
    found = list(examine(Exam(Settings), checks))
    assert [each.state for each in found] == ["failed", "ok", "skipped"]
    assert found[0].found == "the check itself broke: ValueError: no such thing"


def test_what_could_not_be_found_out_keeps_back_only_what_needs_it() -> None:
    unsure = Check("unsure", lambda exam: unknown("not told", "ask again"))
    fine = lambda exam: Result("ok", "fine")  # noqa: E731
    checks = [
        unsure,
        Check("built on it", fine, ("unsure",)),
        Check("goes on", fine, ("built on it",), facts=False),
    ]
    assert [each.state for each in examine(Exam(Settings), checks)] == ["warning", "skipped", "ok"]


# A job


def test_a_trial_runs_a_job_and_leaves_its_record_alone(patient: Patient) -> None:
    prefix = "doctors-trial"
    found = patient.see("trial job", s3_prefix=prefix)
    assert found.state == "ok", found
    assert "its value came back" in found.found
    listed = patient.server.client("s3").list_objects_v2(
        Bucket=patient.server.info["bucket"], Prefix=prefix
    )
    names = [each["Key"].rpartition("/")[2] for each in listed.get("Contents", [])]
    assert names == ["outcome.json"]


def test_a_trial_that_braket_refuses_fails(patient: Patient) -> None:
    patient.server.faults({**DENIED, "operation": "CreateJob", "code": "AccessDeniedException"})
    found = patient.see("trial job")
    assert found.state == "failed"
    assert "AccessDeniedException" in found.found
