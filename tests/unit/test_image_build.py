"""What an image is built from, and what is said of it; no engine is needed."""

from __future__ import annotations

import io
import os
import re
import socket
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import metadata, version
from pathlib import Path

import pytest
from click.testing import CliRunner

from covalent_braket_plugin import __version__
from covalent_braket_plugin.bundle import worker_files
from covalent_braket_plugin.cli import main
from covalent_braket_plugin.cli.image import PYTHONS
from covalent_braket_plugin.engine import connect
from covalent_braket_plugin.errors import ImageError, LocalBraketError
from covalent_braket_plugin.image_build import Contents, Recipe, context, conventional_tag
from covalent_braket_plugin.local.jobs.containers import Containers
from covalent_braket_plugin.protocol import PROTOCOL_VERSION, image_versions

NOBODY = 65534
HERE = Contents("3.12.4", version("cloudpickle"), "1.44.5", __version__, PROTOCOL_VERSION)


def test_the_context_holds_the_worker_and_nothing_that_changes_by_itself() -> None:
    assert context("numpy\n") == context("numpy\n") != context("scipy\n")
    with tarfile.open(fileobj=io.BytesIO(context("numpy\n"))) as tar:
        names = set(tar.getnames())
        assert {member.mtime for member in tar} == {0}
    worker = {f"worker/{name}" for name in worker_files()}
    assert names == worker | {"Dockerfile", "train.py", "requirements.txt"}


@pytest.mark.parametrize(
    "line", ["-r other.txt", "  -c bounds.txt", "-e .", "./mine", "/srv/mine.whl", "file:mine"]
)
def test_requirements_that_name_files_are_refused_by_their_line(line: str) -> None:
    with pytest.raises(ImageError, match=r"Line 2 of the requirements .* names a file"):
        context(f"numpy\n{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://me:secret@pypi.mine/simple",
        "x @ https://token@git.mine/x.zip",
        "-r https://me:secret@files.mine/requirements.txt",
    ],
)
def test_requirements_with_a_password_are_refused_without_saying_it(line: str) -> None:
    with pytest.raises(ImageError, match="Line 1 of the requirements has a user") as raised:
        context(line)
    assert "secret" not in str(raised.value)
    assert "token" not in str(raised.value)


def test_ordinary_requirements_are_taken() -> None:
    context("# mine\nnumpy>=2\nx @ git+ssh://git@github.com/a/x\n--index-url https://pypi.mine\n")


def test_requirements_that_are_no_utf_8_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy\n", "utf-16")
    result = CliRunner().invoke(main, ["image", "build", "--requirements", str(path)])
    assert result.exit_code == 2
    assert f"{path} is not UTF-8 text" in result.stderr


def test_the_tag_says_what_the_image_holds() -> None:
    tag = conventional_tag(HERE)
    assert tag.startswith(f"covalent-braket-worker:{__version__}-py312-cloudpickle")
    said = image_versions(f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{tag}")
    assert (said.python, said.cloudpickle) == ("3.12", HERE.cloudpickle)


def test_what_electrons_of_here_need_is_no_problem() -> None:
    assert list(HERE.problems()) == []


def test_another_major_of_cloudpickle_and_another_worker_are_problems() -> None:
    other = Contents("3.12.4", "1.2.2", "1.44.5", "0.1", PROTOCOL_VERSION)
    pickle, worker = other.problems()
    assert "by 1.2.2" in pickle
    assert f"Pin cloudpickle=={HERE.cloudpickle}" in pickle
    assert "covalent-braket-plugin 0.1" in worker


def test_a_base_of_the_users_takes_the_place_of_the_public_one() -> None:
    assert "BASE_IMAGE" not in Recipe("3.12").arguments()
    arguments = Recipe("3.12", base="mine:1").arguments()
    assert arguments["BASE_IMAGE"] == "mine:1"
    assert arguments["CLOUDPICKLE"] == version("cloudpickle")


def test_without_an_engine_it_says_where_it_looked_and_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(ImageError, match="No container engine answers at DOCKER_HOST") as raised:
        connect()
    assert "systemctl start docker" in str(raised.value)


@pytest.mark.parametrize("python", ["3.9", "3.14", "3.12.4", "latest"])
def test_a_python_that_no_electron_is_of_is_refused(python: str) -> None:
    result = CliRunner().invoke(main, ["image", "build", "--python", python])
    assert result.exit_code == 2
    assert "one of 3.11, 3.12, 3.13" in result.stderr


def test_the_pythons_of_images_are_those_of_this_package() -> None:
    about = str(metadata("covalent-braket-plugin"))
    known = re.findall(r"^Classifier: .* :: (3\.\d+)$", about, re.M)
    assert tuple(known) == PYTHONS


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Root may use every socket; for a moment it is nobody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_an_engine_that_may_not_be_used_is_told_from_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(ImageError, match="No container engine answers"):
        connect()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0)
        with as_ordinary_user(), pytest.raises(ImageError, match="may not be used by this user"):
            connect()


def test_the_local_braket_takes_no_engine_of_another_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.far.away:2375")
    with pytest.raises(LocalBraketError, match="on this machine"):
        Containers(tmp_path)
