"""The role of jobs and our own: there, trusted, passable, and allowed what is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from covalent_braket_plugin.aws import translated
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, unknown, warning
from covalent_braket_plugin.doctor.simulation import Denial, denials
from covalent_braket_plugin.errors import (
    AccessError,
    CredentialsError,
    NotFoundError,
    RejectedError,
    UnconfiguredError,
)
from covalent_braket_plugin.permissions import (
    CALLER,
    ROLE,
    SERVICE,
    SERVICE_LINKED_ROLE,
    Grant,
    grants,
)
from covalent_braket_plugin.roles import default_role

__all__ = [
    "caller_permissions",
    "enabled",
    "exists",
    "passable",
    "permissions",
    "trust",
    "trusts_braket",
]

PASS_ROLE = "RunJobsAsRole"
NICETIES = frozenset(
    {
        "CheckBucket",
        "ChooseDevice",
        "CheckEnabled",
        "CheckOwnImage",
        "CheckRole",
        "LookAtAwsImages",
        "ReadLogs",
        "ReadQuotas",
        "WriteMetrics",
    }
)
"""Permissions of `permissions` without which electrons run all the same."""
MAKE_ROLE = (
    "covalent-braket deploy up makes one; by hand: aws iam create-role, with the policies "
    "of: covalent-braket policy trust, covalent-braket policy role"
)
NICE_ACTIONS = frozenset({"s3:AbortMultipartUpload", "s3:DeleteObject"})
"""AWS's own policies for Braket lack them: without them, parts of a broken upload stay and cost, as
do payloads and results."""


def enabled(exam: Exam) -> Result:
    """See whether Braket has its own role, with which it writes the results of quantum tasks.

    https://docs.aws.amazon.com/braket/latest/developerguide/braket-manage-access.html
    """
    try:
        with translated("GetRole"):
            exam.clients.iam.get_role(RoleName=SERVICE_LINKED_ROLE)
    except NotFoundError:
        return failed(
            f"account {exam.account} has no role {SERVICE_LINKED_ROLE}: Braket is not enabled",
            "Enable it once in Braket's console, or: aws iam create-service-linked-role "
            f"--aws-service-name {SERVICE}",
        )
    return ok(f"Braket is enabled in account {exam.account}")


def exists(exam: Exam) -> Result:
    """Look the role up; the account's default one if none is named."""
    if exam.settings.braket_job_execution_role_name is None:
        try:
            exam.scope = replace(exam.scope, role_arn=default_role(exam.clients))
        except UnconfiguredError as error:
            return failed(error.why, f"{MAKE_ROLE}; or name one: braket_job_execution_role_name")
    arn = exam.scope.role_arn
    account = arn.split(":")[4]
    if account != exam.account:
        return failed(
            f"{arn} is a role of account {account}, the jobs are in {exam.account}",
            "Name a role of the jobs' account in braket_job_execution_role_name",
        )
    return _looked_up(exam, arn)


def _looked_up(exam: Exam, arn: str) -> Result:
    name = arn.rpartition("/")[2]
    try:
        with translated("GetRole"):
            exam.role = exam.clients.iam.get_role(RoleName=name)["Role"]
    except NotFoundError:
        return failed(f"{arn} does not exist", MAKE_ROLE)
    if exam.role["Arn"] != arn:
        return failed(
            f"the role {name} has the ARN {exam.role['Arn']}, not {arn}",
            f"Set braket_job_execution_role_name={exam.role['Arn']}",
        )
    return ok(arn)


def trust(exam: Exam) -> Result:
    """See whether Braket may take the role."""
    document = exam.role.get("AssumeRolePolicyDocument") or {}
    if trusts_braket(document, exam.account):
        return ok(f"{SERVICE} may take it")
    return failed(
        f"its trust policy does not let {SERVICE} take it",
        f"aws iam update-assume-role-policy --role-name {exam.role['RoleName']} "
        "--policy-document ..., with the policy of: covalent-braket policy trust",
    )


def trusts_braket(document: Mapping[str, Any], account: str) -> bool:
    """Whether a trust policy lets Braket take the role for jobs of an account.

    Of conditions, those on ``aws:SourceAccount`` are looked at; any other may well hold.
    """
    statements = [each for each in _listed(document.get("Statement")) if _is_braket(each)]
    allowed = any(
        each.get("Effect") == "Allow" and account in (_source_account(each) or [account])
        for each in statements
    )
    denied = any(each.get("Effect") == "Deny" and not each.get("Condition") for each in statements)
    return allowed and not denied


def _is_braket(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal") or {}
    services = ["*"] if principal == "*" else _listed(principal.get("Service"))
    actions = {str(action).lower() for action in _listed(statement.get("Action"))}
    return bool({"*", SERVICE} & set(services) and {"*", "sts:*", "sts:assumerole"} & actions)


def _source_account(statement: Mapping[str, Any]) -> list[str]:
    conditions = statement.get("Condition") or {}
    return [
        str(account)
        for operator, keys in conditions.items()
        if operator.startswith(("StringEquals", "StringLike"))
        for key, wanted in keys.items()
        if key.lower() == "aws:sourceaccount"
        for account in _listed(wanted)
    ]


def passable(exam: Exam) -> Result:
    """See whether we may hand the role to Braket."""
    wanted = [each for each in grants(CALLER, exam.scope) if each.sid == PASS_ROLE]
    found = _simulated(exam, _own_arn(exam), wanted)
    if isinstance(found, Result):
        return found
    if found:
        return failed(
            _list(found),
            f"Allow iam:PassRole on {exam.scope.role_arn}, passed to {SERVICE}: "
            "covalent-braket policy caller",
        )
    return ok(f"{exam.scope.role_arn.rpartition('/')[2]} may be handed to Braket")


def permissions(exam: Exam) -> Result:
    """See whether the role may do what jobs need."""
    found = _simulated(exam, exam.role["Arn"], grants(ROLE, exam.scope))
    return found if isinstance(found, Result) else _judged(found, "the role", "role")


def caller_permissions(exam: Exam) -> Result:
    """See whether we may do what the executor needs."""
    wanted = [each for each in grants(CALLER, exam.scope) if each.sid != PASS_ROLE]
    found = _simulated(exam, _own_arn(exam), wanted)
    return found if isinstance(found, Result) else _judged(found, "this identity", "caller")


def _simulated(exam: Exam, principal: str, wanted: Sequence[Grant]) -> list[Denial] | Result:
    """Ask IAM; a `Result` says why it could not be asked."""
    try:
        return denials(exam.clients, principal, wanted)
    except CredentialsError:
        raise
    except (AccessError, NotFoundError, RejectedError) as error:
        return unknown(
            f"could not be checked: {error}",
            f"Allow iam:SimulatePrincipalPolicy on {principal}, or see --run",
        )


def _judged(found: Sequence[Denial], whose: str, policy: str) -> Result:
    fix = f"Give {whose} the policy of: covalent-braket policy {policy} --explain"
    needed = [each for each in found if not _is_nicety(each)]
    if needed:
        return failed(_list(needed), fix)
    if found:
        return warning(f"not needed to run, but of use: {_list(found)}", fix)
    return ok(f"{whose} may do all that is needed")


def _is_nicety(denial: Denial) -> bool:
    return denial.grant.sid in NICETIES or denial.action in NICE_ACTIONS


def _list(found: Iterable[Denial]) -> str:
    by_place: dict[tuple[str, str], dict[str, None]] = {}
    for each in found:
        by_place.setdefault((each.word, each.resource), {})[each.action] = None
    return "; ".join(
        f"{', '.join(actions)}: {word} on {place}" for (word, place), actions in by_place.items()
    )


def _own_arn(exam: Exam) -> str:
    """The ARN that IAM knows us by: of the role, if we have taken one.

    STS leaves the role's path out; only IAM knows it.
    """
    assumed = re.fullmatch(
        r"arn:([^:]+):sts::(\d+):assumed-role/([^/]+)/.*", exam.caller_arn, re.DOTALL
    )
    if assumed is None:
        return exam.caller_arn
    try:
        with translated("GetRole"):
            return str(exam.clients.iam.get_role(RoleName=assumed[3])["Role"]["Arn"])
    except (AccessError, NotFoundError):
        return f"arn:{assumed[1]}:iam::{assumed[2]}:role/{assumed[3]}"


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
