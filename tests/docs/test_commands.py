"""Every command line of ours in the documentation is one that the command understands."""

from __future__ import annotations

import contextlib
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


@pytest.mark.parametrize(("page", "line"), list(command_lines()), ids=str)
def test_a_documented_command_exists_with_its_options(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.txt").touch()
    with contextlib.suppress(click.exceptions.Exit):  # --help, --version
        parse(main, COMMAND, words(line))
