"""IAM's simulation: what the rules of IAM's documentation say, and what the endpoint answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from covalent_braket_plugin.local.iam.policies import Asked, UnknownOperator, decide
from tests.local.conftest import Lab

BUCKET = "arn:aws:s3:::amazon-braket-lab"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def decided(
    *statements: Mapping[str, Any], on: str = "*", action: str = "s3:GetObject", **context: str
) -> str:
    """What is decided of one action; a context key is written with __ for a colon."""
    known = {key.replace("__", ":").lower(): [value] for key, value in context.items()}
    return decide([{"Statement": list(statements)}], Asked(action, on, known))


def given(**condition: Any) -> str:
    """What is decided if everything is allowed under a condition; the user's name is Ann."""
    conditions = {operator.replace("__", ":"): keys for operator, keys in condition.items()}
    return decided({**EVERYTHING, "Condition": conditions}, aws__username="Ann")


def test_what_nothing_allows_is_denied() -> None:
    assert decided() == "implicitDeny"
    assert decided({**EVERYTHING, "Action": "s3:Put*"}) == "implicitDeny"


def test_a_denial_wins_over_whatever_allows() -> None:
    denial = {"Effect": "Deny", "Action": ["s3:Get*"], "Resource": "*"}
    assert decided(EVERYTHING, denial, EVERYTHING) == "explicitDeny"
    assert decided(EVERYTHING, denial, action="s3:PutObject") == "allowed"


def test_one_statement_need_not_stand_in_a_list() -> None:
    assert decide([{"Statement": EVERYTHING}], Asked("braket:GetJob")) == "allowed"


@pytest.mark.parametrize(
    ("pattern", "action", "decision"),
    [
        ("S3:getobject", "s3:GetObject", "allowed"),
        ("s3:Get*", "s3:GetObject", "allowed"),
        ("s3:GetObjec?", "s3:GetObject", "allowed"),
        ("s3:Get", "s3:GetObject", "implicitDeny"),
        ("s3.GetObject", "s3:GetObject", "implicitDeny"),
    ],
)
def test_actions_have_wildcards_and_no_case(pattern: str, action: str, decision: str) -> None:
    assert decided({**EVERYTHING, "Action": pattern}, action=action) == decision


@pytest.mark.parametrize(
    ("pattern", "resource", "decision"),
    [
        (f"{BUCKET}/*", f"{BUCKET}/a/b", "allowed"),
        (f"{BUCKET}/*", BUCKET, "implicitDeny"),
        ("arn:aws:s3:::AMAZON-braket-lab", BUCKET, "implicitDeny"),
        (f"{BUCKET}/${{aws:username}}/*", f"{BUCKET}/ann/x", "allowed"),
        (f"{BUCKET}/${{aws:username}}/*", f"{BUCKET}/bob/x", "implicitDeny"),
        (f"{BUCKET}/${{aws:userid}}/*", f"{BUCKET}//x", "implicitDeny"),
        (f"{BUCKET}/${{*}}", f"{BUCKET}/*", "allowed"),
        (f"{BUCKET}/${{*}}", f"{BUCKET}/x", "implicitDeny"),
    ],
)
def test_resources_have_wildcards_variables_and_case(
    pattern: str, resource: str, decision: str
) -> None:
    statement = {**EVERYTHING, "Resource": pattern}
    assert decided(statement, on=resource, aws__username="ann") == decision


def test_not_action_and_not_resource_mean_all_others() -> None:
    but_iam = {"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}
    assert decided(but_iam, action="iam:PassRole") == "implicitDeny"
    assert decided(but_iam) == "allowed"
    elsewhere = {"Effect": "Deny", "Action": "*", "NotResource": f"{BUCKET}*"}
    assert decided(EVERYTHING, elsewhere, on="arn:aws:s3:::other") == "explicitDeny"
    assert decided(EVERYTHING, elsewhere, on=BUCKET) == "allowed"


@pytest.mark.parametrize(
    ("condition", "decision"),
    [
        ({"StringEquals": {"aws:UserName": ["Bob", "Ann"]}}, "allowed"),
        ({"StringEquals": {"aws:username": "ann"}}, "implicitDeny"),
        ({"StringEquals": {"aws:username": "A*"}}, "implicitDeny"),
        ({"StringEqualsIgnoreCase": {"aws:username": "ANN"}}, "allowed"),
        ({"StringLike": {"aws:username": "A*"}}, "allowed"),
        ({"StringNotLike": {"aws:username": "A*"}}, "implicitDeny"),
        ({"StringNotEquals": {"aws:username": ["Ann", "Bob"]}}, "implicitDeny"),
        ({"ArnLike": {"aws:username": "A?n"}}, "allowed"),
        ({"Bool": {"aws:SecureTransport": True}}, "implicitDeny"),
        ({"StringEquals": {"aws:username": "Ann", "aws:userid": "1"}}, "implicitDeny"),
    ],
    ids=str,
)
def test_operators_compare_as_documented(condition: dict[str, Any], decision: str) -> None:
    assert given(**condition) == decision


@pytest.mark.parametrize(
    ("operator", "decision"),
    [
        ("StringEquals", "implicitDeny"),
        ("StringEqualsIfExists", "allowed"),
        ("StringNotEquals", "allowed"),
        ("ForAllValues__StringEquals", "allowed"),
        ("ForAnyValue__StringEquals", "implicitDeny"),
    ],
)
def test_a_key_that_is_missing_matches_only_operators_that_are_negated_or_optional(
    operator: str, decision: str
) -> None:
    assert given(**{operator: {"iam:PassedToService": "x"}}) == decision


def test_null_asks_whether_a_key_is_there() -> None:
    assert given(Null={"aws:username": "false"}) == "allowed"
    assert given(Null={"aws:username": "true"}) == "implicitDeny"


def test_an_operator_that_is_not_evaluated_is_no_silent_yes() -> None:
    with pytest.raises(UnknownOperator, match="NumericLessThan"):
        given(NumericLessThan={"aws:username": "3"})


# The endpoint


def make_role(lab: Lab, *statements: Mapping[str, Any], **more: str) -> str:
    iam, name = lab.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    role = iam.create_role(RoleName=name, Path="/lab/", AssumeRolePolicyDocument="{}", **more)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document)
    arn: str = role["Role"]["Arn"]
    return arn


def make_policy(lab: Lab, statement: Mapping[str, Any]) -> str:
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    made = lab.client("iam").create_policy(
        PolicyName=f"policy-{uuid.uuid4().hex[:8]}", PolicyDocument=document
    )
    arn: str = made["Policy"]["Arn"]
    return arn


def simulated(lab: Lab, source: str, *actions: str, **asked: Any) -> list[tuple[str, str, str]]:
    answer = lab.client("iam").simulate_principal_policy(
        PolicySourceArn=source, ActionNames=list(actions), **asked
    )
    assert answer["IsTruncated"] is False
    return [
        (each["EvalActionName"], each["EvalResourceName"], each["EvalDecision"])
        for each in answer["EvaluationResults"]
    ]


def test_each_action_is_decided_on_each_resource(lab: Lab) -> None:
    role = make_role(lab, {"Effect": "Allow", "Action": "s3:Get*", "Resource": f"{BUCKET}/*"})
    objects = [f"{BUCKET}/a&b", "arn:aws:s3:::other/a"]
    found = simulated(lab, role, "s3:GetObject", "s3:PutObject", ResourceArns=objects)
    assert found == [
        ("s3:GetObject", objects[0], "allowed"),
        ("s3:GetObject", objects[1], "implicitDeny"),
        ("s3:PutObject", objects[0], "implicitDeny"),
        ("s3:PutObject", objects[1], "implicitDeny"),
    ]


def test_context_entries_decide_whether_a_role_may_be_passed(lab: Lab) -> None:
    condition = {"StringEquals": {"iam:PassedToService": "braket.amazonaws.com"}}
    statement = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}
    role = make_role(lab, {**statement, "Condition": condition})

    def passed_to(service: str) -> str:
        entry = {
            "ContextKeyName": "iam:PassedToService",
            "ContextKeyValues": [service],
            "ContextKeyType": "string",
        }
        return simulated(lab, role, "iam:PassRole", ContextEntries=[entry])[0][2]

    assert passed_to("braket.amazonaws.com") == "allowed"
    assert passed_to("ec2.amazonaws.com") == "implicitDeny"


def test_managed_policies_and_those_of_groups_count(lab: Lab) -> None:
    iam, name = lab.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    user = iam.create_user(UserName=name)["User"]["Arn"]
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    ours = make_policy(lab, {**EVERYTHING, "Action": "braket:*"})
    iam.attach_group_policy(GroupName=name, PolicyArn=ours)
    logs = make_policy(lab, {**EVERYTHING, "Action": "logs:*"})
    iam.attach_user_policy(UserName=name, PolicyArn=logs)
    actions = "braket:GetJob", "logs:GetLogEvents", "s3:GetObject"
    found = [decision for _, _, decision in simulated(lab, user, *actions)]
    assert found == ["allowed", "allowed", "implicitDeny"]


def test_a_boundary_limits_what_policies_allow(lab: Lab) -> None:
    limit = make_policy(lab, {**EVERYTHING, "Action": ["braket:*", "s3:*"]})
    own = {**EVERYTHING, "Action": ["braket:*", "logs:*"]}
    role = make_role(lab, own, PermissionsBoundary=limit)
    actions = "braket:GetJob", "logs:GetLogEvents", "s3:GetObject"
    found = [decision for _, _, decision in simulated(lab, role, *actions)]
    assert found == ["allowed", "implicitDeny", "implicitDeny"]


def test_who_uses_any_key_may_do_everything(lab: Lab) -> None:
    me = lab.client("sts").get_caller_identity()["Arn"]
    assert simulated(lab, me, "iam:PassRole", "s3:DeleteBucket") == [
        ("iam:PassRole", "*", "allowed"),
        ("s3:DeleteBucket", "*", "allowed"),
    ]


def test_the_jobs_role_is_trusted_by_braket_and_may_do_what_aws_lets_it(lab: Lab) -> None:
    name = lab.info["role_arn"].rpartition("/")[2]
    role = lab.client("iam").get_role(RoleName=name)["Role"]
    assert role["Arn"] == lab.info["role_arn"]
    statement = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"Service": "braket.amazonaws.com"}
    usual, other = f"arn:aws:s3:::{lab.info['bucket']}/x", "arn:aws:s3:::other/x"
    found = simulated(lab, role["Arn"], "s3:PutObject", ResourceArns=[usual, other])
    assert [decision for _, _, decision in found] == ["allowed", "implicitDeny"]


@pytest.mark.parametrize(
    ("source", "more", "code"),
    [
        ("arn:aws:iam::000000000000:role/nobody", {}, "NoSuchEntityException"),
        ("arn:aws:s3:::something", {}, "InvalidInputException"),
        ("arn:aws:sts::000000000000:assumed-role/a/b", {}, "InvalidInputException"),
        ("arn:aws:iam::000000000000:root", {"ResourcePolicy": "{}"}, "InvalidInputException"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    lab: Lab, source: str, more: dict[str, str], code: str
) -> None:
    iam = lab.client("iam")
    with pytest.raises(getattr(iam.exceptions, code)):
        simulated(lab, source, "s3:GetObject", **more)


def test_a_condition_that_is_not_evaluated_is_said(lab: Lab) -> None:
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    role = make_role(lab, {**EVERYTHING, "Condition": condition})
    with pytest.raises(ClientError, match="does not evaluate the condition operator IpAddress"):
        simulated(lab, role, "s3:GetObject")
