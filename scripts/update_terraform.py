"""Write the IAM policies of the Terraform templates, from the table of permissions.

    python scripts/update_terraform.py

`permissions` is the one place where permissions are written down; a test fails if the file that
this writes is out of date.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from string import Template

from covalent_braket_plugin.deploy.workspace import TEMPLATES
from covalent_braket_plugin.permissions import CALLER, ROLE, Grant, When

FILE = TEMPLATES / "policies.tf"
HEAD = """\
# Written by scripts/update_terraform.py from covalent_braket_plugin/permissions.py, where each
# permission stands once with its reason: change it there.
"""
VALUES = {
    "Partition": "${local.partition}",
    "Region": "${local.region}",
    "Account": "${local.account}",
    "Bucket": "${local.bucket}",
    "Below": "${var.s3_prefix}/",
    "RoleArn": "${local.role_arn}",
    "RepositoryArn": "${local.repository_arn}",
    "Key": "${var.kms_key_arn}",
    "LogGroup": "/aws/braket/jobs",
}
# Where checkov looks for it: inside the block.
SKIP = "  # checkov:skip=CKV_AWS_356:IAM knows no narrower resource for the actions on *.\n"
# The templates make the bucket, the role and a repository: what is needed without them is not.
NEEDED: tuple[When, ...] = ("always", "own image", "key")
WIDTH = 96


def main() -> None:
    """Write the file."""
    FILE.write_text(text())


def text() -> str:
    """The file as it should be."""
    documents = (_document("caller", CALLER), _document("job", ROLE))
    return "\n".join([HEAD, *documents])


def _document(name: str, table: Iterable[Grant]) -> str:
    statements = "\n\n".join(_statement(grant) for grant in table if grant.when in NEEDED)
    body = textwrap.indent(statements, "  ")
    return f'data "aws_iam_policy_document" "{name}" {{\n{SKIP}\n{body}\n}}\n'


def _statement(grant: Grant) -> str:
    why = textwrap.fill(grant.why, WIDTH, initial_indent="# ", subsequent_indent="# ")
    body = "\n".join(_body(grant))
    if grant.when == "key":
        content = _block("content", body)
        only_with_key = 'for_each = var.kms_key_arn == null ? [] : ["key"]'
        return f"{why}\n" + _block('dynamic "statement"', f"{only_with_key}\n\n{content}")
    return f"{why}\n" + _block("statement", body)


def _body(grant: Grant) -> Iterator[str]:
    yield from _aligned(
        [
            ("sid", json.dumps(grant.sid)),
            ("actions", _list(grant.actions)),
            ("resources", _list(map(_filled, grant.resources))),
        ]
    )
    for test, keys in grant.conditions.items():
        for variable, value in keys.items():
            condition = [
                ("test", json.dumps(test)),
                ("variable", json.dumps(variable)),
                ("values", _list([_filled(value)])),
            ]
            yield "\n" + _block("condition", "\n".join(_aligned(condition)))


def _aligned(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Attributes as ``terraform fmt`` has them: neighbours of one line each are aligned."""
    for on_one_line, group in groupby(pairs, key=lambda pair: "\n" not in pair[1]):
        neighbours = list(group)
        width = max(len(name) for name, _ in neighbours) if on_one_line else 0
        yield from (f"{name:<{width}} = {value}" for name, value in neighbours)


def _block(head: str, body: str) -> str:
    return f"{head} {{\n{textwrap.indent(body, '  ')}\n}}"


def _filled(value: str) -> str:
    return Template(value).substitute(VALUES)


def _list(values: Iterable[str]) -> str:
    quoted = [_quoted(value) for value in values]
    one_line = f"[{', '.join(quoted)}]"
    if len(one_line) < WIDTH - 20:
        return one_line
    return "[\n" + "".join(f"  {value},\n" for value in quoted) + "]"


def _quoted(value: str) -> str:
    """A text as HCL writes it; one that is nothing but a reference stands without quotes."""
    inner = value.removeprefix("${").removesuffix("}")
    return inner if value == f"${{{inner}}}" and "{" not in inner else json.dumps(value)


if __name__ == "__main__":
    main()
