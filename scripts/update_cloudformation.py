"""Write the permissions into the CloudFormation templates, from the table of permissions.

    python scripts/update_cloudformation.py

`permissions` is the one place where permissions are written down; a test fails if the templates
are out of date. What stands between the comments ``# caller: ...`` (or ``# role: ...``) and
``# end`` is replaced.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from covalent_braket_plugin.permissions import CALLER, ROLE, Grant, Scope, When

FOLDER = Path(__file__).parent.parent / "assets" / "cloudformation"
WIDTH = 88

BRAKET = Scope(
    partition="${AWS::Partition}",
    region="${AWS::Region}",
    account="${AWS::AccountId}",
    bucket="${Bucket}",
    prefix="${S3Prefix}",
    role_arn="${Role.Arn}",
    repository="${Repository}",
    kms_key_arn="${KmsKeyArn}",
)
CROSS_ACCOUNT = replace(
    BRAKET,
    bucket="${S3BucketName}",
    role_arn="${BraketJobExecutionRoleName}",
    repository="${EcrRepositoryName}",
)
TEMPLATES: dict[str, tuple[Scope, dict[When, str]]] = {
    "braket.yaml": (BRAKET, {"key": "HasKey"}),
    "cross-account-role.yaml": (CROSS_ACCOUNT, {"key": "HasKey", "own image": "HasRepository"}),
}
"""By template: what it narrows permissions down to, and its conditions, by when they are needed."""

_SECTION = re.compile(r"( *)# (caller|role): .*\n(?:.*\n)*?\1# end\n")


def main() -> None:
    """Write the templates."""
    for name in TEMPLATES:
        (FOLDER / name).write_text(text(name))


def text(name: str) -> str:
    """A template as it should be."""
    scope, conditions = TEMPLATES[name]

    def section(match: re.Match[str]) -> str:
        table = CALLER if match[2] == "caller" else ROLE
        found = [grant for grant in table if scope.needs(grant.when)]
        body = "".join(
            part for grant in found for part in _item(grant, scope, conditions.get(grant.when))
        )
        head = f"# {match[2]}: written by scripts/update_cloudformation.py from permissions.py\n"
        return textwrap.indent(f"{head}{body}# end\n", match[1])

    return _SECTION.sub(section, (FOLDER / name).read_text())


def _item(grant: Grant, scope: Scope, condition: str | None) -> Iterator[str]:
    yield textwrap.fill(grant.why, WIDTH, initial_indent="# ", subsequent_indent="# ") + "\n"
    statement = "".join(f"{line}\n" for line in _statement(grant.filled(scope)))
    if condition is None:
        yield _listed(statement)
    else:
        branches = f"- {condition}\n{_listed(statement)}- !Ref AWS::NoValue\n"
        yield "- !If\n" + textwrap.indent(branches, "  ")


def _listed(block: str) -> str:
    return "- " + textwrap.indent(block, "  ").lstrip()


def _statement(grant: Grant) -> Iterator[str]:
    yield f"Sid: {grant.sid}"
    yield "Effect: Allow"
    yield from _sequence("Action", grant.actions)
    yield from _sequence("Resource", map(_value, grant.resources))
    if grant.conditions:
        yield "Condition:"
    for operator, keys in grant.conditions.items():
        yield f"  {operator}:"
        yield from (f"    {key}: {_value(value)}" for key, value in keys.items())


def _sequence(name: str, values: Iterable[str]) -> Iterator[str]:
    yield f"{name}:"
    yield from (f"  - {value}" for value in values)


def _value(value: str) -> str:
    """A text as the template has it: what refers to something is filled in by CloudFormation."""
    if whole := re.fullmatch(r"\$\{([\w:]+)\}", value):
        return f"!Ref {whole[1]}"
    if whole := re.fullmatch(r"\$\{([\w.]+)\}", value):
        return f"!GetAtt {whole[1]}"
    if "${" in value:
        return f"!Sub {value}"
    return '"*"' if value == "*" else value


if __name__ == "__main__":
    main()
