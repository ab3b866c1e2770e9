"""The CloudFormation templates grant what permissions.py says, and make what they should."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from covalent_braket_plugin.permissions import (
    Scope,
    caller_policy,
    platform_trust_policy,
    role_policy,
    trust_policy,
)
from covalent_braket_plugin.settings import BY_NAME, check, resolve
from scripts import update_cloudformation
from tests.support.braket_server import BraketServer
from tests.support.cloudformation import FOLDER, Stack, load
from tests.support.policies import grants_of

TERRAFORM = FOLDER.parents[1] / "terraform"
ACCOUNT, REGION, PLATFORM = "123456789012", "eu-west-2", "111122223333"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0123abcd"
BUCKET = f"amazon-braket-covalent-braket-{REGION}-{ACCOUNT}"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonBraketJobsExecutionRole-covalent-braket"
VALUES = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "Bucket": BUCKET,
    "Bucket.Arn": f"arn:aws:s3:::{BUCKET}",
    "Repository": "amazon-braket-covalent-braket",
    "Role": "AmazonBraketJobsExecutionRole-covalent-braket",
    "Role.Arn": ROLE_ARN,
}
VARIANTS = pytest.mark.parametrize(
    ("key", "prefix"), [("", "covalent"), (KEY, "covalent"), (KEY, "team/a")]
)


def scope(key: str, prefix: str, repository: str | None) -> Scope:
    return Scope(
        partition="aws",
        region=REGION,
        account=ACCOUNT,
        bucket=BUCKET,
        role_arn=ROLE_ARN,
        prefix=prefix,
        repository=repository,
        kms_key_arn=key or None,
    )


def braket(**parameters: object) -> Stack:
    return Stack("braket.yaml", VALUES, **parameters)


def platform(**parameters: object) -> Stack:
    return Stack(
        "cross-account-role.yaml",
        VALUES,
        TrustedAccountId=PLATFORM,
        ExternalId="ours",
        S3BucketName=BUCKET,
        BraketJobExecutionRoleName=ROLE_ARN,
        **parameters,
    )


@pytest.mark.parametrize("name", update_cloudformation.TEMPLATES)
def test_the_templates_are_up_to_date(name: str) -> None:
    current = (FOLDER / name).read_text()
    assert current == update_cloudformation.text(name), (
        "permissions.py has changed: run python scripts/update_cloudformation.py"
    )


# What they grant


@VARIANTS
def test_the_jobs_role_may_do_what_the_table_says(key: str, prefix: str) -> None:
    stack = braket(KmsKeyArn=key, S3Prefix=prefix)
    granted = grants_of(stack.properties("RolePolicy")["PolicyDocument"])
    assert granted == grants_of(role_policy(scope(key, prefix, VALUES["Repository"])))


@VARIANTS
def test_the_caller_may_do_what_the_table_says(key: str, prefix: str) -> None:
    stack = braket(KmsKeyArn=key, S3Prefix=prefix)
    granted = grants_of(stack.properties("CallerPolicy")["PolicyDocument"])
    assert granted == grants_of(caller_policy(scope(key, prefix, VALUES["Repository"])))


@pytest.mark.parametrize("repository", ["", "ours/images"])
@VARIANTS
def test_a_platform_may_do_what_a_caller_may(key: str, prefix: str, repository: str) -> None:
    stack = platform(KmsKeyArn=key, S3Prefix=prefix, EcrRepositoryName=repository)
    granted = grants_of(stack.properties("RolePolicy")["PolicyDocument"])
    assert granted == grants_of(caller_policy(scope(key, prefix, repository or None)))


def test_the_jobs_role_trusts_braket_alone() -> None:
    assert braket().properties("Role")["AssumeRolePolicyDocument"] == trust_policy()


def test_a_platforms_role_trusts_its_account_with_the_external_id() -> None:
    trusted = platform().properties("Role")["AssumeRolePolicyDocument"]
    assert trusted == platform_trust_policy("aws", PLATFORM, "ours")


def test_an_external_id_must_be_given() -> None:
    parameter = load("cross-account-role.yaml")["Parameters"]["ExternalId"]
    assert "Default" not in parameter
    assert not re.fullmatch(parameter["AllowedPattern"], "")


# What they make


def test_the_bucket_is_closed_to_the_public_and_owns_what_is_in_it() -> None:
    bucket = braket().properties("Bucket")
    assert bucket["BucketName"] == BUCKET
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert "VersioningConfiguration" not in bucket


def test_the_bucket_answers_over_tls_only() -> None:
    (statement,) = braket().properties("BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Action"] == "s3:*"
    assert statement["Resource"] == [VALUES["Bucket.Arn"], f"{VALUES['Bucket.Arn']}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("key", "bucket", "images"),
    [
        ("", {"SSEAlgorithm": "AES256"}, {"EncryptionType": "AES256"}),
        (
            KEY,
            {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            {"EncryptionType": "KMS", "KmsKey": KEY},
        ),
    ],
)
def test_bucket_and_images_are_encrypted_with_the_key(
    key: str, bucket: dict[str, str], images: dict[str, str]
) -> None:
    stack = braket(KmsKeyArn=key)
    (rule,) = stack.properties("Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == bucket
    assert stack.properties("Repository")["EncryptionConfiguration"] == images


def test_payloads_and_results_expire() -> None:
    rules = braket(ExpireDays=9)
    found = rules.properties("Bucket")["LifecycleConfiguration"]["Rules"]
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in found if "Prefix" in rule}
    assert days == {"covalent/": 9, "jobs/": 9}


def test_nothing_expires_if_that_is_asked_for_but_half_uploads_go() -> None:
    (rule,) = braket(ExpireDays=0).properties("Bucket")["LifecycleConfiguration"]["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_images_keep_their_tags_are_scanned_and_are_not_kept_for_ever() -> None:
    repository = braket().properties("Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["countNumber"] == 20


def test_no_template_deletes_a_bucket_or_repository_with_something_in_it() -> None:
    resources = load("braket.yaml")["Resources"]
    assert resources["Bucket"]["UpdateReplacePolicy"] == "Retain"
    assert resources["Repository"]["UpdateReplacePolicy"] == "Retain"
    assert "EmptyOnDelete" not in resources["Repository"]["Properties"]


def test_there_is_an_alarm_only_for_a_budget() -> None:
    assert braket().resource("Budget") is None
    budget = braket(MonthlyBudgetUsd=100, BudgetEmail="team@example.com").properties("Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 100, "Unit": "USD"}
    told = budget["NotificationsWithSubscribers"]
    assert [each["Notification"]["Threshold"] for each in told] == [80, 100]
    assert {s["Address"] for each in told for s in each["Subscribers"]} == {"team@example.com"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Name", ["a", "team-a"], ["A", "-a", "a" * 25]),
        (
            "BucketName",
            ["", "amazon-braket-a"],
            ["my-bucket", "amazon-braket-", "amazon-braket-a."],
        ),
        ("S3Prefix", ["covalent", "a/b"], ["", "/a", "a/", "jobs", "jobs/a", "a//b"]),
        ("KmsKeyArn", ["", KEY], ["alias/a", KEY.replace("key/", "alias/")]),
        ("BudgetEmail", ["", "a@b.c"], ["a"]),
    ],
)
def test_a_parameter_takes_only_what_works(name: str, good: list[str], bad: list[str]) -> None:
    pattern = load("braket.yaml")["Parameters"][name]["AllowedPattern"]
    assert [text for text in good if not re.fullmatch(pattern, text)] == []
    assert [text for text in bad if re.fullmatch(pattern, text)] == []


# As Terraform has it


def words(name: str) -> str:
    """``S3BucketName`` as ``s3_bucket_name``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def blocks(file: str, kind: str) -> dict[str, str]:
    """The blocks of a kind in a file of the Terraform templates, by name."""
    found = re.findall(
        rf'^{kind} "(\w+)" {{\n(.*?)^}}', (TERRAFORM / file).read_text(), re.M | re.S
    )
    return dict(found)


def test_parameters_and_their_defaults_are_those_of_terraform() -> None:
    variables = blocks("variables.tf", "variable")
    for own_way in ("region", "tags", "force_destroy"):  # a stack's own, or not to be had
        del variables[own_way]
    parameters = {words(n): p for n, p in load("braket.yaml")["Parameters"].items()}
    assert parameters.keys() == variables.keys()
    for name, block in variables.items():
        (default,) = re.findall(r"^  default +=(.*)", block, re.M)
        expected = {"null": ""}.get(default.strip(), default.strip().strip('"'))
        assert str(parameters[name]["Default"]) == expected, name


def test_outputs_are_those_of_terraform() -> None:
    outputs = load("braket.yaml")["Outputs"]
    assert {words(name) for name in outputs} == blocks("outputs.tf", "output").keys()


def test_role_and_repository_have_the_names_that_terraform_gives_them() -> None:
    text = (TERRAFORM / "iam.tf").read_text()
    names = dict(re.findall(r'^  (role_name|role_path|repository) +?= "(.*)"', text, re.M))
    stack = braket(Name="x")
    assert stack.properties("Role")["RoleName"] == names["role_name"].replace("${var.name}", "x")
    assert stack.properties("Role")["Path"] == names["role_path"]
    repository = stack.properties("Repository")["RepositoryName"]
    assert repository == names["repository"].replace("${var.name}", "x")


# On the local Braket. What its CloudFormation passes over is looked at above.


def deployed(braket: BraketServer, template: str, **parameters: str) -> dict[str, str]:
    """Make a stack; return its outputs, by their descriptions, which name settings."""
    cloudformation, name = braket.client("cloudformation"), template.partition(".")[0]
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=(FOLDER / template).read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["Description"]: each["OutputValue"] for each in stack["Outputs"]}


def attached(braket: BraketServer, role: str) -> dict[str, Any]:
    """The policy document that a role has by name."""
    iam = braket.client("iam")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document: dict[str, Any] = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    return document


@pytest.mark.slow  # the local Braket's CloudFormation takes seconds to load
def test_the_stacks_outputs_are_settings_with_which_jobs_can_be_made(
    local_braket: BraketServer,
) -> None:
    # With a key and a repository: moto takes AWS::NoValue in a list for a value. The usual name is
    # for tests of deploying, which may share this local Braket.
    key = local_braket.client("kms").create_key()["KeyMetadata"]["Arn"]
    outputs = deployed(local_braket, "braket.yaml", KmsKeyArn=key, Name="stack")
    check(resolve({key: outputs[key] for key in outputs if key in BY_NAME}, {}, {}))
    assert {
        "region",
        "s3_bucket_name",
        "s3_prefix",
        "kms_key_id",
        "braket_job_execution_role_name",
    } <= set(outputs)
    role = outputs["braket_job_execution_role_name"]
    request = local_braket.job_request(
        "deployed",
        outputDataConfig={"s3Path": f"s3://{outputs['s3_bucket_name']}/covalent/out"},
        roleArn=role,
    )
    arn = local_braket.client("braket").create_job(**request)["jobArn"]
    assert local_braket.wait(arn)["roleArn"] == role
    document = attached(local_braket, role.rpartition("/")[2])
    assert {each["Sid"] for each in document["Statement"]} >= {"FetchAndLeaveObjects", "WriteLogs"}
    again = deployed(
        local_braket,
        "cross-account-role.yaml",
        TrustedAccountId=PLATFORM,
        ExternalId="ours",
        S3BucketName=outputs["s3_bucket_name"],
        BraketJobExecutionRoleName=role,
        EcrRepositoryName="amazon-braket-stack",
        KmsKeyArn=key,
    )
    assert again["assume_role_arn, for the platform"].endswith(":role/CovalentBraketPlatform")
    document = attached(local_braket, "CovalentBraketPlatform")
    passed = next(each for each in document["Statement"] if each["Sid"] == "RunJobsAsRole")
    assert passed["Resource"] == [role]
