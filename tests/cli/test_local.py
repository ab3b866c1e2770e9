"""``covalent-braket local``, as a user runs it: real processes, a real server, a real log."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import boto3
import psutil
import pytest

COMMAND = [sys.executable, "-m", "covalent_braket_plugin.cli"]
Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a home and a state directory of its own."""
    home = tmp_path_factory.mktemp("home")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "COVALENT_"))
    }
    return {**clean, "HOME": str(home), "COVALENT_BRAKET_LOCAL_DIR": str(home / "state")}


@pytest.fixture(scope="module")
def run(environ: dict[str, str]) -> Run:
    """Run ``covalent-braket local ...`` to its end."""

    def command(*arguments: str) -> CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "local", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return command


@pytest.fixture(scope="module")
def started(run: Run) -> Iterator[dict[str, str]]:
    """A local Braket that the command has started; it stops it too."""
    result = run("start", "--json")
    assert result.returncode == 0, result.stderr
    yield json.loads(result.stdout)
    run("stop")


def test_start_tells_programs_where_it_is(started: dict[str, str]) -> None:
    assert started["endpoint_url"].startswith("http://127.0.0.1:")
    assert started["account_id"] == "000000000000"


def test_starting_again_finds_the_same_one_and_tells_people_how_to_use_it(
    started: dict[str, str], run: Run, environ: dict[str, str]
) -> None:
    result = run("start")
    assert result.returncode == 0, result.stderr
    assert f"running at {started['endpoint_url']} (pid {started['pid']}" in result.stdout
    assert f"export AWS_ENDPOINT_URL={started['endpoint_url']}" in result.stdout
    assert "BraketExecutor(local=True)" in result.stdout


def test_options_for_one_that_runs_already_are_not_silently_lost(
    started: dict[str, str], run: Run
) -> None:
    result = run("start", "--slots", "3")
    assert result.returncode == 0
    assert "not applied" in result.stderr


def test_status_says_where_it_runs(started: dict[str, str], run: Run) -> None:
    told = json.loads(run("status", "--json").stdout)
    assert told["running"] is True
    assert told["endpoint_url"] == started["endpoint_url"]
    people = run("status")
    assert people.returncode == 0
    assert started["endpoint_url"] in people.stdout


def test_env_makes_a_program_that_knows_only_aws_use_it(
    started: dict[str, str], run: Run, environ: dict[str, str]
) -> None:
    exports = run("env").stdout
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    script = f"{exports}\n{shlex.quote(sys.executable)} -c {shlex.quote(program)}"
    done = subprocess.run(
        ["sh", "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "000000000000", done.stderr


def test_env_keeps_proxies_out_and_the_users_exemptions_in(
    started: dict[str, str], environ: dict[str, str]
) -> None:
    done = subprocess.run(
        [*COMMAND, "local", "env"],
        env={**environ, "NO_PROXY": "intra.net, 127.0.0.1", "no_proxy": "other.net"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for name in ("NO_PROXY", "no_proxy"):
        assert f"export {name}=intra.net,127.0.0.1,other.net,localhost\n" in done.stdout


def test_logs_goes_on_in_the_new_file_when_the_old_one_is_rotated(
    environ: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    log.write_text("a long first line, so that the new file is shorter\n")
    follow = [*COMMAND, "local", "logs", "--requests", "-f", "-n", "1", "--state-dir"]
    with subprocess.Popen(
        [*follow, str(tmp_path)], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("a long")
            log.rename(tmp_path / "access.log.1")
            log.write_text("new\n")
            assert process.stdout.readline() == "new\n"
            time.sleep(0.6)  # twice the time between two looks
            log.write_text("x\n")
            assert process.stdout.readline() == "x\n"
        finally:
            process.kill()


def test_logs_shows_the_end_of_the_log(started: dict[str, str], run: Run) -> None:
    _call(started)
    result = run("logs", "--requests", "-n", "1")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert run("logs", "--requests", "-n", "0").stdout == ""


def test_logs_follows_until_interrupted(started: dict[str, str], environ: dict[str, str]) -> None:
    follow = [*COMMAND, "local", "logs", "--requests", "-f", "-n", "0"]
    with subprocess.Popen(follow, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert _first_line(process, lambda: _call(started))
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def test_render_for_the_local_braket_uses_its_role_and_image(
    started: dict[str, str], environ: dict[str, str]
) -> None:
    done = subprocess.run(
        [*COMMAND, "render", "--set", "local=yes", "--json"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    request = json.loads(done.stdout)
    assert request["roleArn"] == started["role_arn"]
    script = request["algorithmSpecification"]["scriptModeConfig"]
    assert script["s3Uri"].startswith(f"s3://{started['bucket']}/covalent/")


def test_without_credentials_a_command_says_how_to_ask_the_local_braket(
    started: dict[str, str], environ: dict[str, str]
) -> None:
    nobody = {**environ, "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(
        [*COMMAND, "jobs", "list", "--set", "region=us-east-1"],
        env=nobody,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "A local Braket runs here: to ask that one, say --set local=yes." in done.stderr


def test_its_options_reach_the_server(run: Run, tmp_path: Path) -> None:
    place = ("--state-dir", str(tmp_path / "other"))
    result = run("start", *place, "--max-concurrent-jobs", "1", "--slots", "1")
    try:
        assert result.returncode == 0, result.stderr
        assert f"export COVALENT_BRAKET_LOCAL_DIR={tmp_path / 'other'}" in result.stdout
    finally:
        assert run("stop", *place).returncode == 0


def test_a_container_runner_without_an_engine_does_not_start_and_says_why(
    environ: dict[str, str], tmp_path: Path
) -> None:
    command = [*COMMAND, "local", "start", "--runner", "docker", "--state-dir", str(tmp_path)]
    nowhere = {**environ, "DOCKER_HOST": f"unix://{tmp_path}/none"}
    done = subprocess.run(
        command, env=nowhere, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "No container engine answers at DOCKER_HOST" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_one_that_runs_every_command_says_so(run: Run, tmp_path: Path) -> None:
    place = ("--state-dir", str(tmp_path))
    status = run("status", *place)
    assert status.returncode == 3
    assert "covalent-braket local start" in status.stdout
    assert json.loads(run("status", *place, "--json").stdout) == {"running": False}
    stop = run("stop", *place)
    assert (stop.returncode, stop.stdout) == (0, "No local Braket was running.\n")
    assert json.loads(run("stop", *place, "--json").stdout) == {"stopped": False}
    for command in ("env", "logs"):
        result = run(command, *place)
        assert result.returncode == 1
        assert result.stderr.startswith("Error: ")
        assert len(result.stderr.splitlines()) == 1


def test_stop_ends_the_process(run: Run, tmp_path: Path) -> None:
    place = ("--state-dir", str(tmp_path))
    info = json.loads(run("start", *place, "--json").stdout)
    result = run("stop", *place)
    assert (result.returncode, result.stdout) == (0, "The local Braket is stopped.\n")
    deadline = time.monotonic() + 10
    while not _ended(info["pid"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _ended(info["pid"])
    assert run("status", *place).returncode == 3


def test_without_the_extra_start_says_how_to_install_it(
    environ: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import sys; sys.modules['moto'] = None\n"
        "from covalent_braket_plugin.cli import main; main(['local', 'start'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environ, "COVALENT_BRAKET_LOCAL_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert 'pip install "covalent-braket-plugin[local]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _ended(pid: int) -> bool:
    # Nobody may be there to reap what was started in the background.
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _call(started: dict[str, str]) -> None:
    client = boto3.client(
        "braket",
        endpoint_url=started["endpoint_url"],
        region_name=started["region"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    client.search_jobs(filters=[])


def _first_line(process: subprocess.Popen[str], poke: Callable[[], None]) -> str:
    """Poke until the process prints a line; it may not have opened the log yet."""
    assert process.stdout is not None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        poke()
        if select.select([process.stdout], [], [], 0.5)[0]:
            return process.stdout.readline()
    return ""
