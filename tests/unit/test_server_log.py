"""What we log in Covalent's server is written once, with time and level."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from covalent_braket_plugin.covalent_compat.server import PACKAGE, write_log

OURS = logging.getLogger(PACKAGE)
ROOT = logging.getLogger()


@contextmanager
def only(*root: logging.Handler, ours: tuple[logging.Handler, ...] = ()) -> Iterator[None]:
    """Have these handlers alone, not those of pytest, which come with each phase of a test."""
    kept = [(each, each.handlers, each.level, each.propagate) for each in (OURS, ROOT)]
    OURS.handlers, ROOT.handlers = list(ours), list(root)
    try:
        yield
    finally:
        for each, handlers, level, propagate in kept:
            each.handlers, each.propagate = handlers, propagate
            each.setLevel(level)


def say() -> None:
    write_log()
    write_log()
    logging.getLogger(f"{PACKAGE}.scheduler").warning("said")


def test_lines_have_time_and_level_and_stand_there_once(capsys: pytest.CaptureFixture[str]) -> None:
    with only():
        say()
        assert OURS.isEnabledFor(logging.INFO)
    (line,) = capsys.readouterr().err.splitlines()
    start = rf"\[\d{{4}}-\S+ \S+\] \[WARNING\] {PACKAGE}\.scheduler: "
    assert re.fullmatch(f"{start}said", line)


def test_stream_without_a_format_does_not_count_and_repeats_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bare = io.StringIO()
    with only(logging.StreamHandler(bare)):
        say()
    assert bare.getvalue() == ""
    assert capsys.readouterr().err.count("said") == 1


@pytest.mark.parametrize("where", ["ours", "root"])
def test_what_somebody_configured_is_left_alone(
    where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = io.StringIO()
    handler = logging.StreamHandler(theirs)
    handler.setFormatter(logging.Formatter("%(message)s"))
    with only(handler) if where == "root" else only(ours=(handler,)):
        say()
    assert theirs.getvalue() == "said\n"
    assert capsys.readouterr().err == ""
