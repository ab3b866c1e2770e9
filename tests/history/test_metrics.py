"""The metrics that a job's code logs: from Python, and from the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from covalent_braket_plugin.cli import main
from covalent_braket_plugin.history import HybridJob
from tests.history.conftest import Account

ENERGIES = [-1.0, -1.1, -1.125]


def descend(mark: str) -> None:
    """Log two metrics; the last values come when it is told."""
    import time
    from pathlib import Path

    from braket.jobs.metrics import log_metric

    for step, energy in enumerate([-1.0, -1.1, -1.125]):
        while step == 2 and not Path(mark).exists():
            time.sleep(0.05)
        log_metric("energy", energy, iteration_number=step)
        log_metric("gradient", 2.0**-step, iteration_number=step)


def quiet() -> None:
    print("nothing to tell")


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mark") / "go-on"


@pytest.fixture(scope="module")
def running(account: Account, mark: Path) -> HybridJob:
    return account.running(descend, str(mark))


@pytest.fixture(scope="module")
def ended(running: HybridJob, mark: Path) -> HybridJob:
    mark.touch()
    running.wait(30)
    return running


def ask(account: Account, *arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["jobs", "metrics", *arguments, *account.options])
    assert result.exit_code == code, result.output
    return result


def test_metrics_are_there_while_the_job_runs(running: HybridJob) -> None:
    values = running.each_metric(follow=True)
    first = [next(values) for _ in range(4)]
    assert [(each.name, each.value) for each in first[:2]] == [("energy", -1.0), ("gradient", 1.0)]
    table = running.metrics()
    assert running.status == "RUNNING"
    assert list(table["value"]) == [-1.0, 1.0, -1.1, 0.5]
    assert list(table["iteration_number"]) == [0, 0, 1, 1]
    values.close()  # type: ignore[attr-defined]  # a generator


def test_following_shows_each_value_until_the_job_has_ended(
    account: Account, ended: HybridJob
) -> None:
    lines = ask(account, ended.id, "--follow", "--metric", "energy").stdout.splitlines()
    assert lines == ["iteration 0  energy  -1", "iteration 1  energy  -1.1",
                     "iteration 2  energy  -1.125"]  # fmt: skip


def test_metrics_stand_side_by_side_in_a_table(account: Account, ended: HybridJob) -> None:
    node = f"{ended.dispatch_id}:{ended.node_id}"
    rows = [line.split() for line in ask(account, node).stdout.splitlines()]
    assert rows == [["iteration", "energy", "gradient"], ["0", "-1", "1"], ["1", "-1.1", "0.5"],
                    ["2", "-1.125", "0.25"]]  # fmt: skip


def test_programs_get_json_or_csv(account: Account, ended: HybridJob) -> None:
    found = json.loads(ask(account, ended.id, "--json", "--metric", "energy").stdout)
    assert [each["value"] for each in found] == ENERGIES
    assert [each["iteration_number"] for each in found] == [0, 1, 2]
    text = ask(account, ended.id, "--csv", "--metric", "energy").stdout
    assert [{**row, "value": float(row["value"])} for row in csv.DictReader(io.StringIO(text))] == [
        {**each, "iteration_number": str(each["iteration_number"])} for each in found
    ]
    lines = ask(account, ended.id, "--json", "--follow", "--metric", "energy").stdout.splitlines()
    assert list(map(json.loads, lines)) == found


def test_metrics_are_drawn_here_or_into_a_file(
    account: Account, ended: HybridJob, tmp_path: Path
) -> None:
    picture = tmp_path / "curve.svg"
    result = ask(account, ended.id, "--terminal", "--plot", str(picture))
    assert "energy\n" in result.stdout
    assert "gradient\n" in result.stdout
    assert "-1.125┤" in result.stdout
    assert f"drawn into {picture}" in result.stderr
    assert "<!-- gradient -->" in picture.read_text()
    by_python = tmp_path / "same.svg"
    ended.plot(str(by_python))
    assert by_python.read_bytes() == picture.read_bytes()
    ended.plot(by_python, "gradient")
    assert "<!-- energy -->" not in by_python.read_text()
    assert "<!-- gradient -->" in by_python.read_text()


def test_what_cannot_be_drawn_or_found_is_said(account: Account, ended: HybridJob) -> None:
    refused = ask(account, ended.id, "--plot", "curve.pdf", code=2)
    assert "--plot curve.pdf: the name must end in .png or .svg" in refused.stderr
    nowhere = ask(account, ended.id, "--plot", "/proc/curve.png", code=1)
    assert "--plot /proc/curve.png: the file cannot be written" in nowhere.stderr
    none = ask(account, ended.id, "--metric", "loss")
    assert "is COMPLETED and has logged no metric named loss" in none.stderr
    assert none.stdout == ""


def test_a_job_without_metrics_says_so(account: Account) -> None:
    job = account.job_of(quiet)
    assert job.metrics().empty
    assert json.loads(ask(account, job.id, "--json").stdout) == []


def many() -> None:
    for number in range(5000):
        print(f"Metrics - timestamp={number + 0.5}; m{number}=1;")


def test_of_thousands_of_metrics_the_first_ones_stand_side_by_side(account: Account) -> None:
    shown = ask(account, account.job_of(many).id)
    assert "these are the first 20 of 5000 metrics; --metric chooses" in shown.stderr
    assert len(shown.stdout.splitlines()) == 21
