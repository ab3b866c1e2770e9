"""Every command line of ours in documentation and help is one that the command understands."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from covalent_braket_plugin.cli import main
from tests.docs.pages import fences

COMMAND = "covalent-braket"


def command_lines() -> Iterator[tuple[str, str]]:
    """The page and the text of each; a backslash at the end of a line continues it."""
    for fence in fences("sh"):
        for line in fence.text.replace("\\\n", " ").splitlines():
            if line.strip().startswith(f"{COMMAND} "):
                yield fence.page.name, line.strip()


def examples(command: click.Command = main, name: str = COMMAND) -> Iterator[tuple[str, str]]:
    """The command and the text of each example in its help, and in that of its subcommands."""
    for line in (command.epilog or "").splitlines():
        if line.strip().startswith(f"{COMMAND} "):
            # What stands behind an example says what it does.
            yield name, re.split(r"\s{2,}", line.strip())[0]
    if isinstance(command, click.Group):
        for sub, each in command.commands.items():
            yield from examples(each, f"{name} {sub}")


def words(line: str) -> list[str]:
    """The arguments, without comments, redirections and what comes after a pipe."""
    found = shlex.split(line, comments=True)[1:]
    ends = (index for index, word in enumerate(found) if word[:1] in ("|", ">", "<", "&"))
    return found[: next(ends, len(found))]


def parse(command: click.Command, name: str, arguments: list[str]) -> None:
    with command.make_context(name, arguments) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            found, subcommand, rest = command.resolve_command(context, rest)
            assert subcommand is not None
            parse(subcommand, found or name, rest)


@pytest.mark.parametrize(("where", "line"), [*command_lines(), *examples()], ids=str)
def test_a_documented_command_exists_with_its_options(
    where: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.txt").touch()
    with contextlib.suppress(click.exceptions.Exit):  # --help, --version
        parse(main, COMMAND, words(line))
