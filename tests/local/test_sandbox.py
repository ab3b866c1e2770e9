"""The launcher that gives a program its own /opt/ml."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from covalent_braket_plugin.local.jobs import isolation
from covalent_braket_plugin.local.jobs.isolation import Isolation, best_isolation, launch_command
from tests.support.braket_server import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are a thing of Linux")


def run(
    root: Path, program: str, *, isolation: Isolation = Isolation.PROCESSES, **stand_ins: str
) -> str:
    (root / "opt/ml/code").mkdir(parents=True, exist_ok=True)
    command = launch_command(
        (sys.executable, "-I", "-S", "-c", program), str(root), None, stand_ins, isolation=isolation
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def _needs_namespaces(tmp_path: Path) -> None:
    if best_isolation(str(tmp_path / "probe")) is not Isolation.PROCESSES:
        pytest.skip("this machine allows no namespaces")


def test_what_is_written_to_opt_ml_lands_in_the_jobs_directory(tmp_path: Path) -> None:
    run(tmp_path, "open('/opt/ml/code/x', 'w').write('y')")
    assert (tmp_path / "opt/ml/code/x").read_text() == "y"


def test_new_entries_of_opt_are_gone_with_the_program(tmp_path: Path) -> None:
    run(tmp_path, "import os; os.symlink('/opt/ml', '/opt/braket'); os.mkdir('/opt/new')")
    assert not os.path.lexists("/opt/braket")
    assert not os.path.lexists("/opt/new")


def test_without_a_namespace_the_stand_ins_are_set(tmp_path: Path) -> None:
    program = "import os; print(os.environ['PLACE'])"
    assert run(tmp_path, program, isolation=Isolation.NONE, PLACE="here") == "here"
    assert (tmp_path / "opt/braket").resolve() == tmp_path / "opt/ml"


def test_with_a_namespace_they_are_not(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; print('PLACE' in os.environ)", PLACE="here") == "False"


def cpu_seconds(command: Sequence[str]) -> float:
    """Processor time of a command with all that it starts; a busy machine does not change it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, timeout=30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_launcher_costs_little(tmp_path: Path) -> None:
    plain = (sys.executable, "-I", "-S", "-c", "")
    launched = []
    for number in range(7):
        root = tmp_path / str(number)
        (root / "opt/ml/code").mkdir(parents=True)
        launched.append(cpu_seconds(launch_command(plain, str(root), None, {})))
    assert min(launched) - min(cpu_seconds(plain) for _ in range(7)) < 0.06


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
        shutil.copy(isolation.__file__, root / "launcher.py")
        shutil.copy(isolation.LAUNCHER, root / "sandbox.py")
        for path in [root, *root.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        done = subprocess.run(
            [python, "-c", AS_NOBODY, place], capture_output=True, text=True, timeout=30, cwd=place
        )
        assert done.returncode == 0, done.stderr
        assert (root / "opt/ml/code/x").read_text() == "hi\n"


LEVELS = list(Isolation)


@pytest.mark.parametrize("level", LEVELS)
def test_exit_codes_and_signals_are_handed_on(tmp_path: Path, level: Isolation) -> None:
    for program, code in {"exit 3": 3, "kill -9 $$": -9, "kill -11 $$": -11}.items():
        root = tmp_path / program
        (root / "opt/ml/code").mkdir(parents=True)
        command = launch_command(("/bin/sh", "-c", program), str(root), None, {}, isolation=level)
        assert subprocess.run(command, timeout=30).returncode == code


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("how", ["end", "all", "parent"])
def test_offspring_in_a_session_of_its_own_ends_with_the_job(
    tmp_path: Path, level: Isolation, how: str
) -> None:
    (tmp_path / "opt/ml/code").mkdir(parents=True)
    mark = f"{tmp_path}/mark"
    wait = "wait" if how != "end" else "sleep 0.2"
    program = f"setsid sh -c 'sleep 300; : {mark}' & echo started; {wait}"
    command = launch_command(("/bin/sh", "-c", program), str(tmp_path), None, {}, isolation=level)
    starter = [sys.executable, "-c", STARTER, *command]
    launcher = subprocess.Popen(starter, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    assert launcher.stdout.readline() == "started\n"
    if how == "all":
        os.kill(pid, signal.SIGUSR1)
    elif how == "parent":
        launcher.kill()
    launcher.wait(10)
    eventually(lambda: not running(mark), 5)


def running(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in entry.read_bytes():
                found.append(entry.parent.name)
    return found


# Starts a launcher as the local Braket does, so that it can be killed in its place.
STARTER = """
import json, os, subprocess, sys
command = sys.argv[1:]
command[-1] = json.dumps({**json.loads(command[-1]), "parent": os.getpid()})
child = subprocess.Popen(command)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("level", LEVELS)
def test_a_child_may_finish_after_sigterm_though_its_parent_is_gone(
    tmp_path: Path, level: Isolation
) -> None:
    (tmp_path / "opt/ml/code").mkdir(parents=True)
    trap = f"trap 'sleep 0.3; echo done > {tmp_path}/done; exit' TERM"
    child = f"{trap}; echo up; while :; do sleep 0.05; done"
    program = f'sh -c "{child}" & wait'
    command = launch_command(("/bin/sh", "-c", program), str(tmp_path), None, {}, isolation=level)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "up\n"
        launcher.terminate()
        assert launcher.wait(10) == -signal.SIGTERM
    assert (tmp_path / "done").read_text() == "done\n"


def test_a_job_sees_only_its_own_processes(tmp_path: Path) -> None:
    program = "import os; print(sorted(p for p in os.listdir('/proc') if p.isdigit()))"
    assert run(tmp_path, program) == "['1', '2']"


def test_checkpoints_below_a_directory_of_the_host_hide_nothing_of_it(tmp_path: Path) -> None:
    host = next((entry for entry in Path("/opt").iterdir() if any(entry.iterdir())), None)
    if host is None:
        pytest.skip("nothing in this machine's /opt")
    (tmp_path / "opt/ml/code").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    path = f"{host}/some/where"
    program = f"ls {host}; echo here > {path}/file"
    mount = (str(tmp_path / "kept"), path)
    command = launch_command(("/bin/sh", "-c", program), str(tmp_path), mount, {}, strict=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == sorted([*os.listdir(host), "some"])
    assert (tmp_path / "kept/file").read_text() == "here\n"
    assert not (host / "some").exists()


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
