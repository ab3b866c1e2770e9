"""IAM's evaluation of identity policies: pure, of policy documents as JSON gives them.

After the IAM User Guide: "Policy evaluation logic", "IAM JSON policy elements reference" and
"IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Asked", "Decision", "Policy", "UnknownOperator", "decide"]

Policy = Mapping[str, Any]
Decision = Literal["allowed", "explicitDeny", "implicitDeny"]
Test = Callable[[str, str], bool]

_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_LITERAL = {"*", "?", "$"}
"""``${*}`` and its like stand for the character itself."""


class UnknownOperator(Exception):
    """A condition has an operator that is not evaluated here."""


@dataclass(frozen=True)
class Asked:
    """What somebody wants to do.

    Attributes:
        action: Such as ``s3:PutObject``.
        resource: ARN, or ``*``.
        context: Values of condition keys; the keys in lower case.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def decide(policies: Iterable[Policy], asked: Asked) -> Decision:
    """Decide by the policies of one identity: a denial wins, and what nothing allows is denied.

    Raises:
        UnknownOperator: It depends on a condition that is not evaluated here.
    """
    statements = [each for policy in policies for each in _listed(policy.get("Statement"))]
    effects = {each.get("Effect") for each in statements if _concerns(each, asked)}
    if "Deny" in effects:
        return "explicitDeny"
    return "allowed" if "Allow" in effects else "implicitDeny"


def _concerns(statement: Mapping[str, Any], asked: Asked) -> bool:
    return (
        _names(statement, "Action", lambda pattern: _like(pattern.lower(), asked.action.lower()))
        and _names(statement, "Resource", lambda pattern: _is_resource(pattern, asked))
        and _holds(statement.get("Condition") or {}, asked.context)
    )


def _names(statement: Mapping[str, Any], element: str, fits: Callable[[str], bool]) -> bool:
    if f"Not{element}" in statement:
        return not any(fits(each) for each in _listed(statement[f"Not{element}"]))
    return any(fits(each) for each in _listed(statement.get(element)))


def _is_resource(pattern: str, asked: Asked) -> bool:
    return _matches(pattern, asked.resource, asked.context)


def _holds(conditions: Mapping[str, Any], context: Mapping[str, Sequence[str]]) -> bool:
    """Whether all operators and all of their keys hold."""
    return all(
        _condition(operator, _strings(wanted), context.get(key.lower()), context)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition(
    operator: str,
    wanted: Sequence[str],
    found: Sequence[str] | None,
    context: Mapping[str, Sequence[str]],
) -> bool:
    among, _, name = operator.rpartition(":")
    name, optional = name.removesuffix("IfExists"), name.endswith("IfExists")
    if name == "Null":
        return (found is None) is (wanted[0].lower() == "true")
    test, negated = _operator(name, context)
    if found is None:
        # A key that is not there matches a negated operator, and no other.
        return optional or negated or among == "ForAllValues"
    hits = [any(test(pattern, value) for pattern in wanted) is not negated for value in found]
    return all(hits) if among == "ForAllValues" else any(hits)


def _operator(name: str, context: Mapping[str, Sequence[str]]) -> tuple[Test, bool]:
    """The test of an operator, and whether it is negated."""
    plain = name.replace("Not", "", 1)

    def patterns(pattern: str, value: str) -> bool:
        return _matches(pattern, value, context)

    tests: dict[str, Test] = {
        "StringEquals": lambda one, other: _filled(one, context) == re.escape(other),
        "StringEqualsIgnoreCase": lambda one, other: (
            (_filled(one, context) or "").lower() == re.escape(other).lower()
        ),
        "StringLike": patterns,
        "ArnEquals": patterns,  # by the guide the same as ArnLike
        "ArnLike": patterns,
        "Bool": lambda one, other: one.lower() == other.lower(),
    }
    if plain not in tests:
        raise UnknownOperator(name)
    return tests[plain], plain != name


def _matches(pattern: str, value: str, context: Mapping[str, Sequence[str]]) -> bool:
    filled = _filled(pattern, context, wild=True)
    return filled is not None and re.fullmatch(filled, value, re.DOTALL) is not None


def _filled(
    pattern: str, context: Mapping[str, Sequence[str]], *, wild: bool = False
) -> str | None:
    """Write a pattern as a regular expression, its variables filled in; None if one is unknown."""
    parts = []
    for index, part in enumerate(_VARIABLE.split(pattern)):
        if index % 2 == 0:
            parts.append(_wild(part) if wild else re.escape(part))
        elif part in _LITERAL:
            parts.append(re.escape(part))
        elif len(values := context.get(part.lower(), ())) == 1:
            parts.append(re.escape(values[0]))
        else:
            return None
    return "".join(parts)


def _wild(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


def _like(pattern: str, value: str) -> bool:
    return re.fullmatch(_wild(pattern), value) is not None


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _strings(value: Any) -> list[str]:
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in _listed(value)]
