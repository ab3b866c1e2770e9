"""The launcher that gives a program its own /opt/ml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from covalent_braket_plugin.local.jobs import sandbox
from covalent_braket_plugin.local.jobs.sandbox import launch_command, namespaces_work

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are a thing of Linux")


def run(root: Path, program: str, *, namespace: bool = True, **stand_ins: str) -> str:
    (root / "opt/ml/code").mkdir(parents=True, exist_ok=True)
    command = launch_command(
        (sys.executable, "-I", "-S", "-c", program), str(root), None, stand_ins, namespace=namespace
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def _needs_namespaces(tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    if not namespaces_work(str(tmp_path / "probe")):
        pytest.skip("this machine allows no mount namespaces")


def test_what_is_written_to_opt_ml_lands_in_the_jobs_directory(tmp_path: Path) -> None:
    run(tmp_path, "open('/opt/ml/code/x', 'w').write('y')")
    assert (tmp_path / "opt/ml/code/x").read_text() == "y"


def test_new_entries_of_opt_are_gone_with_the_program(tmp_path: Path) -> None:
    run(tmp_path, "import os; os.symlink('/opt/ml', '/opt/braket'); os.mkdir('/opt/new')")
    assert not os.path.lexists("/opt/braket")
    assert not os.path.lexists("/opt/new")


def test_without_a_namespace_the_stand_ins_are_set(tmp_path: Path) -> None:
    program = "import os; print(os.environ['PLACE'])"
    assert run(tmp_path, program, namespace=False, PLACE="here") == "here"
    assert (tmp_path / "opt/braket").resolve() == tmp_path / "opt/ml"


def test_with_a_namespace_they_are_not(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; print('PLACE' in os.environ)", PLACE="here") == "False"


def test_the_launcher_costs_little(tmp_path: Path) -> None:
    plain = [sys.executable, "-I", "-S", "-c", ""]

    def best(command: list[str]) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run(command, check=True, timeout=30)
            times.append(time.perf_counter() - began)
        return min(times)

    roots = iter(tmp_path / str(number) for number in range(100))
    launched = []
    for _ in range(7):
        root = next(roots)
        (root / "opt/ml/code").mkdir(parents=True)
        began = time.perf_counter()
        subprocess.run(launch_command(tuple(plain), str(root), None, {}), check=True, timeout=30)
        launched.append(time.perf_counter() - began)
    assert min(launched) - best(plain) < 0.06


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "opt/ml/code").mkdir(parents=True)
    command = launch_command(("/no/such/program",), str(tmp_path), None, {})
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "/no/such/program cannot be started" in done.stderr


def test_it_works_without_root(tmp_path: Path) -> None:
    python = shutil.which("python3", path="/usr/bin")
    if os.geteuid() != 0 or python is None:
        pytest.skip("this already is without root, or nobody else can run an interpreter")
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        root = Path(place)
        (root / "opt/ml/code").mkdir(parents=True)
        shutil.copy(sandbox.__file__, root / "launcher.py")
        for path in [root, *root.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        done = subprocess.run(
            [python, "-c", AS_NOBODY, place], capture_output=True, text=True, timeout=30, cwd=place
        )
        assert done.returncode == 0, done.stderr
        assert (root / "opt/ml/code/x").read_text() == "hi\n"


NOBODY = 65534
AS_NOBODY = f"""
import os, subprocess, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
sys.path.insert(0, sys.argv[1])
from launcher import launch_command
program = ("/bin/sh", "-c", "echo hi > /opt/ml/code/x")
command = launch_command(program, sys.argv[1], None, {{}}, strict=True)
sys.exit(subprocess.run(command, timeout=20).returncode)
"""
