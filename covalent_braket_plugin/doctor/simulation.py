"""May somebody do something? Asked of IAM's own policy simulator, grant by grant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.errors import RejectedError
from covalent_braket_plugin.permissions import Grant

__all__ = ["Denial", "denials", "read"]

Decision = tuple[str, str, str]
"""Action, resource, and IAM's word: ``allowed``, ``explicitDeny`` or ``implicitDeny``."""

AT_ONCE = 8
SAMPLE = "doctor"
"""Stands for what a wildcard of a resource stands for."""


@dataclass(frozen=True)
class Denial:
    """Something that is not allowed.

    Attributes:
        grant: What would allow it.
        action: The action.
        resource: A resource for which it is not allowed.
        explicit: Whether a policy denies it, so that allowing it elsewhere does not help.
    """

    grant: Grant
    action: str
    resource: str
    explicit: bool

    @property
    def word(self) -> str:
        """How it is refused."""
        return "denied" if self.explicit else "not allowed"


def denials(clients: Clients, principal: str, grants: Sequence[Grant]) -> list[Denial]:
    """Find out which permissions of a role or user are missing (SimulatePrincipalPolicy).

    Policies of buckets and keys are not looked at, as IAM does not know them.

    Args:
        clients: Who asks.
        principal: ARN of the role or user that is asked about.
        grants: The permissions that it should have.

    Raises:
        AwsError: IAM does not say.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda grant: list(_denied(clients, principal, grant)), grants)
        return [denial for each in found for denial in each]


def _denied(clients: Clients, principal: str, grant: Grant) -> Iterable[Denial]:
    for action, resource, decision in _decisions(clients, principal, grant):
        if decision != "allowed":
            yield Denial(grant, action, resource, explicit=decision == "explicitDeny")


def _decisions(clients: Clients, principal: str, grant: Grant) -> Iterable[Decision]:
    try:
        return _simulated(clients, principal, grant, grant.actions)
    except RejectedError as error:
        if error.code != "InvalidInput" or len(grant.actions) == 1:
            raise
    # IAM refuses some actions together ("require different authorization information"), and does
    # not publish which.
    return [
        decision
        for action in grant.actions
        for decision in _simulated(clients, principal, grant, [action])
    ]


def _simulated(
    clients: Clients, principal: str, grant: Grant, actions: Sequence[str]
) -> list[Decision]:
    with translated("SimulatePrincipalPolicy"):
        pages = clients.iam.get_paginator("simulate_principal_policy")
        asked = pages.paginate(
            PolicySourceArn=principal,
            ActionNames=list(actions),
            ResourceArns=[_sample(each) for each in grant.resources],
            ContextEntries=list(_context(grant)),
        )
        results = [result for page in asked for result in page["EvaluationResults"]]
    return [decision for result in results for decision in read(result)]


def read(result: Mapping[str, Any]) -> Iterable[Decision]:
    """Read an ``EvaluationResult``: its own decision, or those on each resource if it has them."""
    action = result["EvalActionName"]
    for each in result.get("ResourceSpecificResults") or ():
        yield action, each["EvalResourceName"], each["EvalResourceDecision"]
    if not result.get("ResourceSpecificResults"):
        yield action, result.get("EvalResourceName", "*"), result["EvalDecision"]


def _sample(resource: str) -> str:
    return resource if resource == "*" else resource.replace("*", SAMPLE)


def _context(grant: Grant) -> Iterable[Mapping[str, Any]]:
    """What the grant's conditions ask for: the request is made under these conditions."""
    for keys in grant.conditions.values():
        for key, value in keys.items():
            yield {
                "ContextKeyName": key,
                "ContextKeyValues": [value],
                "ContextKeyType": "string",
            }
