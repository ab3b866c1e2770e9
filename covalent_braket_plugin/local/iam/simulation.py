"""``SimulatePrincipalPolicy``: what a role or user of the local Braket may do.

moto does not have it. The policies are those that moto keeps, read through its own API. The dummy
callers that the local Braket takes (any key) may do everything, as they can.

Left out, and refused if asked for: resource policies. Not looked at: service control policies.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from covalent_braket_plugin.local.aws_clients import AwsClients
from covalent_braket_plugin.local.iam.policies import (
    Asked,
    Decision,
    Policy,
    UnknownOperator,
    decide,
)
from covalent_braket_plugin.local.server.wire import Answer, service_error_answer
from covalent_braket_plugin.local.service import ServiceError

__all__ = ["OPERATION", "Simulation"]

OPERATION = "SimulatePrincipalPolicy"
DUMMY_CALLER = "user/moto"
"""What STS answers here for a key that IAM does not know."""
REGION = "us-east-1"
NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"

Fields = Mapping[str, str]


class _Principal(NamedTuple):
    """The documents that decide: any of ``own`` may allow, and ``boundary`` must allow too."""

    own: Sequence[Policy]
    boundary: Policy | None


_EVERYTHING = _Principal([{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}], None)


class Simulation:
    """Answers ``SimulatePrincipalPolicy``.

    Args:
        clients: Clients of the local endpoint.
    """

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    def answer(self, body: bytes, account: str) -> Answer:
        """Carry out a request of an account and answer it."""
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        try:
            results = "".join(self._results(fields, account))
        except ServiceError as error:
            status = 404 if error.code == "NoSuchEntity" else 400
            return service_error_answer("iam", error, status)
        return _answered(results)

    def _results(self, fields: Fields, account: str) -> Iterator[str]:
        if "ResourcePolicy" in fields:
            raise _invalid("The local Braket simulates no resource policies")
        actions = _members(fields, "ActionNames")
        if not actions or "PolicySourceArn" not in fields:
            raise _invalid("PolicySourceArn and ActionNames are required")
        principal = self._principal(fields["PolicySourceArn"], account)
        context = _context(fields)
        for action in actions:
            for resource in _members(fields, "ResourceArns") or ["*"]:
                asked = Asked(action, resource, context)
                yield _result(asked, _decided(principal, asked))

    def _principal(self, arn: str, account: str) -> _Principal:
        kind, _, path = arn.rpartition(":")[2].partition("/")
        name = path.rpartition("/")[2]
        if arn.endswith((f":{DUMMY_CALLER}", ":root")):
            return _EVERYTHING
        if kind not in ("role", "user", "group"):
            raise _invalid(f"{arn} is not the ARN of a role, a user or a group")
        iam = self._clients.client("iam", REGION, account)
        try:
            return _policies_of(iam, kind, name)
        except iam.exceptions.NoSuchEntityException:
            raise ServiceError("NoSuchEntity", f"{arn} was not found") from None


def _policies_of(iam: Any, kind: str, name: str) -> _Principal:
    own = list(_attached(iam, kind, name))
    if kind == "user":
        groups = iam.list_groups_for_user(UserName=name)["Groups"]
        own += [each for group in groups for each in _attached(iam, "group", group["GroupName"])]
    if kind == "group":
        return _Principal(own, None)
    about = getattr(iam, f"get_{kind}")(**_named(kind, name))[kind.title()]
    limit = about.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return _Principal(own, _managed(iam, limit) if limit else None)


def _attached(iam: Any, kind: str, name: str) -> Iterator[Policy]:
    """The inline policies and the managed ones of a role, user or group."""
    named = _named(kind, name)
    inline: Callable[..., Any] = getattr(iam, f"get_{kind}_policy")
    for policy in getattr(iam, f"list_{kind}_policies")(**named)["PolicyNames"]:
        yield inline(**named, PolicyName=policy)["PolicyDocument"]
    for attached in getattr(iam, f"list_attached_{kind}_policies")(**named)["AttachedPolicies"]:
        yield _managed(iam, attached["PolicyArn"])


def _managed(iam: Any, arn: str) -> Policy:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
    document: Policy = found["Document"]
    return document


def _named(kind: str, name: str) -> dict[str, str]:
    return {f"{kind.title()}Name": name}


def _decided(principal: _Principal, asked: Asked) -> Decision:
    try:
        decision = decide(principal.own, asked)
        if decision == "allowed" and principal.boundary is not None:
            return decide([principal.boundary], asked)
    except UnknownOperator as error:
        text = f"The local Braket does not evaluate the condition operator {error}"
        raise ServiceError("PolicyEvaluation", text) from None
    return decision


def _members(fields: Fields, name: str) -> list[str]:
    """The members of a list, which the query protocol numbers from 1."""
    found: list[str] = []
    while (value := fields.get(f"{name}.member.{len(found) + 1}")) is not None:
        found.append(value)
    return found


def _context(fields: Fields) -> dict[str, list[str]]:
    context: dict[str, list[str]] = {}
    for number in itertools.count(1):
        entry = f"ContextEntries.member.{number}"
        if f"{entry}.ContextKeyName" not in fields:
            break
        values = _members(fields, f"{entry}.ContextKeyValues")
        context[fields[f"{entry}.ContextKeyName"].lower()] = values
    return context


def _invalid(text: str) -> ServiceError:
    return ServiceError("InvalidInput", text)


def _result(asked: Asked, decision: Decision) -> str:
    name = f"<EvalResourceName>{escape(asked.resource)}</EvalResourceName>"
    specific = f"<member>{name}<EvalResourceDecision>{decision}</EvalResourceDecision></member>"
    if asked.resource == "*":
        specific = ""
    return (
        f"<member><EvalActionName>{escape(asked.action)}</EvalActionName>{name}"
        f"<EvalDecision>{decision}</EvalDecision>"
        f"<ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
    )


def _answered(results: str) -> Answer:
    text = (
        f'<{OPERATION}Response xmlns="{NAMESPACE}"><{OPERATION}Result>'
        f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
        f"</{OPERATION}Result><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId>"
        f"</ResponseMetadata></{OPERATION}Response>"
    )
    body = text.encode()
    return Answer(200, (("Content-Type", "text/xml"), ("Content-Length", str(len(body)))), body)
