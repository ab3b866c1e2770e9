"""``covalent-braket jobs ...`` and ``covalent-braket logs`` on jobs of a real local Braket."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin.cli import main
from covalent_braket_plugin.cli.output import clean
from covalent_braket_plugin.history import HybridJob
from tests.history.conftest import Account
from tests.support.braket_server import BraketServer, eventually

STEERING = "\x1b]0;title\x07red"


def energy(text: str) -> dict[str, Any]:
    import os

    print(text)
    with open(f"{os.environ['AMZN_BRAKET_JOB_RESULTS_DIR']}/notes.txt", "w") as file:
        file.write("hello")
    with open(f"{os.environ['AMZN_BRAKET_JOB_RESULTS_DIR']}/{text}", "w"):
        pass
    return {"energy": -1.5}


def breaks() -> None:
    raise ValueError(f"not finite {STEERING}")


def until_told(mark: str) -> None:
    print("it runs", flush=True)
    while not Path(mark).exists():
        time.sleep(0.05)


@pytest.fixture(scope="module")
def completed(account: Account) -> HybridJob:
    return account.job_of(energy, STEERING)


@pytest.fixture(scope="module")
def failed(account: Account) -> HybridJob:
    return account.job_of(breaks, hyperparameters={"depth": 3, "label": "7"})


def run(account: Account, *arguments: str, answer: str | None = None) -> Result:
    options = () if arguments[0] == "logs" else ("jobs",)
    command = [*options, *arguments, *account.options]
    return CliRunner().invoke(main, command, prog_name="covalent-braket", input=answer)


def told(account: Account, *arguments: str) -> Any:
    """What a command says as JSON."""
    done = run(account, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_list_shows_jobs_newest_first_and_says_if_there_are_more(
    account: Account, completed: HybridJob, failed: HybridJob
) -> None:
    done = run(account, "list", "--limit", "1")
    assert done.exit_code == 0
    header, line = done.stdout.splitlines()
    assert header.split() == ["job", "name", "status", "made", "took", "node", "workflow"]
    assert line.startswith(failed.id[:8])
    assert f"{failed.dispatch_id[:8]}:0" in line
    assert done.stderr == "Note: There are older ones: --offset 1\n"
    assert [each["id"] for each in told(account, "list", "--status", "completed")] == [completed.id]
    assert [each["id"] for each in told(account, "list", "--dispatch", failed.dispatch_id)] == [
        failed.id
    ]
    assert told(account, "list", "--since", "2099-01-31") == []
    assert run(account, "list", "--since", "2099-01-31").stdout == "No such jobs.\n"


def test_a_time_that_is_none_is_refused_with_examples(account: Account) -> None:
    done = run(account, "list", "--since", "yesterday")
    assert done.exit_code == 2
    assert "write 3d, 12h, 30m or 2026-01-31" in done.stderr


def test_show_begins_with_the_report_of_a_failed_job(account: Account, failed: HybridJob) -> None:
    done = run(account, "show", failed.id[:13])
    assert done.exit_code == 0
    assert done.stdout.startswith(clean(failed.report()))
    assert "ValueError: not finite" in done.stdout
    assert "\nInstance: ml.m5.large\n" in done.stdout
    assert '\nHyperparameters: {"depth": 3, "label": "7"}\n' in done.stdout
    assert "\nCost: " in done.stdout
    assert done.stdout.endswith(clean(failed.traceback()))
    shown = told(account, "show", f"{failed.dispatch_id}:0")
    assert shown["report"] == failed.report()
    assert {each["phase"] for each in shown["phases"]} >= {"queued", "running"}
    assert shown["tags"]["covalent:dispatch_id"] == failed.dispatch_id
    assert shown["hyperparameters"] == failed.hyperparameters == {"depth": 3, "label": "7"}


def test_a_job_that_is_not_there_is_said_in_one_line(account: Account) -> None:
    done = run(account, "show", "nothing-like-it")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: There is no job 'nothing-like-it' in us-west-2")
    assert len(done.stderr.splitlines()) == 1


def test_result_is_the_values_text_or_its_pickle(
    account: Account, completed: HybridJob, tmp_path: Path
) -> None:
    assert run(account, "result", completed.id).stdout == "{'energy': -1.5}\n"
    assert told(account, "result", completed.id)["text"] == "{'energy': -1.5}"
    file = tmp_path / "value.pkl"
    assert run(account, "result", completed.id, "--output", str(file)).exit_code == 0
    assert pickle.loads(file.read_bytes()) == {"energy": -1.5}
    done = run(account, "result", completed.id, "--output", str(tmp_path / "none" / "value.pkl"))
    assert done.exit_code == 1
    assert "it cannot be written" in done.stderr


def test_result_of_a_failed_job_is_its_report_and_exit_code_1(
    account: Account, failed: HybridJob
) -> None:
    done = run(account, "result", failed.id)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "ValueError: not finite ]0;titlered\n" in done.stderr


def test_artifacts_are_listed_and_downloaded(
    account: Account, completed: HybridJob, tmp_path: Path
) -> None:
    assert told(account, "artifacts", completed.id) == [
        {"name": STEERING, "bytes": 0, "path": None},
        {"name": "notes.txt", "bytes": 5, "path": None},
    ]
    assert not set(run(account, "artifacts", completed.id).stdout) & set(STEERING[:1] + "\x07")
    done = run(account, "artifacts", completed.id, "notes.txt", "--download", str(tmp_path))
    assert done.exit_code == 0
    assert (tmp_path / "notes.txt").read_text() == "hello"
    (tmp_path / "notes.txt").write_text("mine")
    download = ("artifacts", completed.id, "*.txt", "--download", str(tmp_path))
    done = run(account, *download)
    assert (done.exit_code, (tmp_path / "notes.txt").read_text()) == (1, "mine")
    assert f"{tmp_path}/notes.txt is there already. Replace it with --force" in done.stderr
    [row] = told(account, *download, "--force")
    assert (row["path"], (tmp_path / "notes.txt").read_text()) == (f"{tmp_path}/notes.txt", "hello")
    assert run(account, "artifacts", completed.id, "notes.txt", "--show").stdout == "hello\n"
    assert run(account, "artifacts", completed.id, "--force").exit_code == 2
    shown = run(account, "show", completed.id).stdout
    assert "notes.txt (5 bytes)" in shown
    assert f"They are in: {completed.result_archive()} (" in shown
    missing = run(account, "artifacts", completed.id, "other.txt")
    assert (missing.exit_code, missing.stderr.splitlines()) == (
        1,
        [f"Error: {completed.name} left no file other.txt."],
    )


def test_logs_are_whole_in_a_pipe(account: Account, completed: HybridJob) -> None:
    assert STEERING in run(account, "logs", completed.id).stdout.splitlines()
    lines = run(account, "logs", completed.id, "--json").stdout.splitlines()
    assert STEERING in [json.loads(line) for line in lines]


def test_what_steers_a_terminal_is_taken_out_for_one() -> None:
    assert clean(f"{STEERING}\tx\n\x1b[31mred\x1b[0m\r\x9b2J") == "]0;titlered\tx\nred2J"


def test_rename_cancel_and_delete_say_what_they_did(account: Account) -> None:
    job = account.job_of(energy, "x")
    assert told(account, "rename", job.id, "best run")["name"] == "best run"
    assert told(account, "list", "--limit", "1")[0]["name"] == "best run"
    ended = run(account, "cancel", "best run", "--json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["cancelled"] is False
    refused = run(account, "delete", "best run", answer="n\n")
    assert refused.exit_code == 1
    assert run(account, "result", job.id).exit_code == 0
    assert told(account, "delete", "best run", "--yes")["deleted"]
    again = run(account, "delete", "best run", "--yes")
    assert again.stdout == "best run has nothing in S3.\n"


def test_cancel_ends_a_running_job(account: Account, tmp_path: Path) -> None:
    job = account.running(until_told, str(tmp_path / "never"))
    assert told(account, "cancel", job.id) == {
        "job": job.arn,
        "status": "CANCELLED",
        "cancelled": True,
    }


def test_open_gives_the_consoles_address_and_that_of_the_live_page(
    account: Account, completed: HybridJob
) -> None:
    found = told(account, "open", completed.id)
    assert found["console_url"].endswith(completed.arn)
    assert found["live_url"].endswith(f"/braket/{completed.dispatch_id}#node-0")


def test_a_job_of_the_local_braket_has_no_console(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(local_braket.state_dir))
    braket, dispatch_id = local_braket.client("braket"), str(uuid.uuid4())
    tags = {"covalent:dispatch_id": dispatch_id, "covalent:node_id": "0"}
    arn = braket.create_job(**local_braket.job_request("lost-0-1", tags=tags))["jobArn"]
    done = CliRunner().invoke(main, ["jobs", "open", arn, "--set=local=yes"])
    assert done.stdout.startswith("The local Braket has no console.")
    assert f"/braket/{dispatch_id}#node-0" in done.stdout


def test_following_is_ended_by_an_interrupt_with_exit_code_130_and_without_a_traceback(
    account: Account, tmp_path: Path
) -> None:
    job = account.running(until_told, str(tmp_path / "mark"))
    command = [sys.executable, "-m", "covalent_braket_plugin.cli", "logs", job.id, "-f"]
    with subprocess.Popen(
        [*command, *account.options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    ) as reader:
        assert reader.stdout
        while reader.stdout.readline() != "it runs\n":
            assert reader.poll() is None
        reader.send_signal(signal.SIGINT)
        _, errors = reader.communicate(timeout=20)
    assert (reader.returncode, errors) == (130, "")
    assert job.poll() == "RUNNING"
    (tmp_path / "mark").touch()
    eventually(lambda: job.poll() == "COMPLETED")
