"""What a server that is killed has brought back already."""

from __future__ import annotations

from pathlib import Path

import pytest

from covalent_braket_plugin.collecting import Collected, Texts
from covalent_braket_plugin.descriptions import Job
from covalent_braket_plugin.kept import keep, read

ARN = "arn:aws:braket:us-east-1:000000000000:job/1"


@pytest.fixture
def collected(tmp_path: Path) -> Collected:
    files = {name: tmp_path / name for name in ("value-3.tobj", "stdout.log", "error-None.txt")}
    for name, path in files.items():
        path.write_text(name)
    job = Job(arn=ARN, name="f-0a-3-1", status="COMPLETED")
    texts = {3: Texts(stdout=files["stdout.log"])}
    rest = Texts(error=files["error-None.txt"])
    return Collected({}, {3: files["value-3.tobj"]}, texts, rest, job=job)


def test_what_was_brought_back_is_found_again(tmp_path: Path, collected: Collected) -> None:
    keep(tmp_path, collected)
    found = read(tmp_path, ARN)
    assert found is not None
    assert found.values == collected.values
    assert found.texts == collected.texts
    assert found.rest == collected.rest
    assert found.kind == ""


def test_what_was_brought_back_of_another_attempt_is_not_used(
    tmp_path: Path, collected: Collected
) -> None:
    keep(tmp_path, collected)
    assert read(tmp_path, ARN + "2") is None


@pytest.mark.parametrize("missing", ["value-3.tobj", "stdout.log", "error-None.txt", "kept.json"])
def test_what_is_not_all_there_is_not_used(
    tmp_path: Path, collected: Collected, missing: str
) -> None:
    keep(tmp_path, collected)
    (tmp_path / missing).unlink()
    assert read(tmp_path, ARN) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"job": "' + ARN + '"}'])
def test_a_damaged_note_is_not_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept.json").write_text(text)
    assert read(tmp_path, ARN) is None
