"""What `execute` refuses before anything is sent, and what results can be made into."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from braket.circuits import Circuit, Observable
from braket.devices import Devices
from click.testing import CliRunner

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.cli import main
from covalent_braket_plugin.errors import NoServerError, PlotError, ProgramError, SettingError
from covalent_braket_plugin.execution import ExecutionJob, Results, execute, get_execution_jobs

BELL = "OPENQASM 3.0; qubit[2] q; h q[0]; cnot q[0], q[1];"
VALUE = Circuit().h(0).expectation(Observable.Z(), 0)
SIX = ["SV1", "DM1", "Garnet", "Emerald", "Forte-1", "Ibex-Q1"]

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "six backends": ({"backends": SIX}, "on 1 to 5 backends at a time, not 6"),
    "no backends": ({"backends": []}, "not 0. Leave it out: a local simulator"),
    "a backend twice": ({"backends": ["SV1", Devices.Amazon.SV1]}, "SV1 is there twice"),
    "a device by two names": ({"backends": ["IonQ Forte 1", "Forte-1"]}, "is there twice"),
    "a retired device": ({"backends": ["SV1", "Lucy"]}, "OQC Lucy is retired"),
    "a simulator of another's": ({"backends": "local:pennylane/lightning"}, "simulators only"),
    "no backend": ({"backends": [7]}, "a backend is a device's name or ARN"),
    "settings of an executor": (
        {"backends": BraketExecutor(local=True), "retries": 1},
        "a BraketExecutor has its settings already",
    ),
    "a setting that there is not": ({"backends": "SV1", "regoin": "us-east-1"}, "regoin"),
    "too many shots": ({"num_shots": 10**7}, "num_shots=10000000 is not valid"),
    "fewer than no shots": ({"num_shots": -1}, "num_shots=-1 is not valid"),
    "no shots for bits": ({"num_shots": 0}, "has to be run at least once"),
    "a name that no tag takes": ({"job_name": "bell!"}, "job_name='bell!' is not valid"),
}


@pytest.fixture
def nobody() -> str:
    """An address at which no server answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("why", REFUSED)
def test_what_makes_no_sense_is_refused_before_the_server_is_asked(why: str, nobody: str) -> None:
    given, words = REFUSED[why]
    with pytest.raises((SettingError, TypeError), match=words):
        execute(BELL, server=nobody, **given)


def test_values_cannot_be_asked_for_as_written(nobody: str) -> None:
    with pytest.raises(ProgramError, match="transpile=False"):
        execute(VALUE, transpile=False, server=nobody)


def test_without_brakets_sdk_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "braket.circuits", None)
    with pytest.raises(ProgramError, match="pip install"):
        execute(BELL)


COMMANDS = {
    "a file that is not there": (["no-such.qasm"], 1, "There is no such file"),
    "a picture of another kind": (["a.qasm", "--plot", "a.gif"], 2, "'a.gif' is not a name"),
    "a picture without results": (["a.qasm", "--plot", "a.svg", "--no-wait"], 2, "--no-wait out"),
    "an input that is no number": (["a.qasm", "--input", "a=b"], 2, "write NAME=NUMBER"),
    "an unknown setting": (["a.qasm", "--set", "regoin=x"], 2, "there is no setting 'regoin'"),
}


@pytest.mark.parametrize("why", COMMANDS)
def test_the_command_says_in_a_line_what_is_wrong(why: str) -> None:
    arguments, code, words = COMMANDS[why]
    done = CliRunner().invoke(main, ["execute", *arguments])
    assert done.exit_code == code, done.output
    assert words in done.output
    assert "Traceback" not in done.output


def test_without_a_server_the_error_says_how_to_start_one(nobody: str) -> None:
    calls: list[Any] = [
        lambda: execute(BELL, server=nobody),
        lambda: get_execution_jobs(server=nobody),
        lambda: ExecutionJob.from_id("3f2a", nobody),
        lambda: ExecutionJob("3f2a", nobody).result(0),
    ]
    for call in calls:
        with pytest.raises(NoServerError, match="covalent start"):
            call()


def test_a_list_has_at_least_one_entry(nobody: str) -> None:
    with pytest.raises(SettingError, match="limit=0"):
        get_execution_jobs(limit=0, server=nobody)


def answer(backend: str, counts: dict[str, int], *values: Any) -> dict[str, Any]:
    return {"backend": backend, "counts": counts, "values": list(values), "shots": 100}


TWO = Results(
    [
        answer("SV1", {"00": 48, "11": 52}),
        answer("Garnet", {"00": 45, "11": 44, "01": 11}),
        answer("DM1", {}, ["expectation z(0)", 0.5]),
    ],
    {"Forte-1": "it was offline"},
)


def test_results_are_a_list_of_named_values_with_their_types() -> None:
    assert [(each.name, each.value_type) for each in TWO] == [
        ("SV1", "counts"),
        ("Garnet", "counts"),
        ("DM1 expectation z(0)", "number"),
    ]
    assert TWO[2].value == 0.5
    assert TWO.failed == {"Forte-1": "it was offline"}


def test_counts_of_all_devices_are_one_table_that_can_be_filtered() -> None:
    table = TWO.counts_dataframe(state="0?", min_count=20)
    assert list(table.columns) == ["backend", "state", "count", "probability"]
    assert table.to_numpy().tolist() == [["SV1", "00", 48, 0.48], ["Garnet", "00", 45, 0.45]]
    assert list(Results([]).counts_dataframe().columns) == list(table.columns)


def test_a_histogram_compares_the_devices(tmp_path: Path) -> None:
    for name in ("counts.svg", "counts.png"):
        TWO.plot(tmp_path / name, title="Bell")
        assert (tmp_path / name).stat().st_size > 5000
    TWO.plot(tmp_path / "again.svg", title="Bell")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "counts.svg").read_bytes()
    text = TWO.terminal_plot(width=70)
    shares = {tuple(line.split()[:2]): line.split()[-1] for line in text.splitlines()[1:]}
    assert shares["01", "Garnet"] == "0.11"
    assert shares["11", "SV1"] == "0.52"
    assert shares["00", "Garnet"] == "0.45"


def test_of_many_states_the_rarest_are_left_out_and_said_to_be() -> None:
    many = Results([answer("SV1", {f"{each:06b}": each + 1 for each in range(64)})])
    text = many.terminal_plot()
    assert "32 rarer states left out" in text
    assert "\n111111 SV1" in text
    assert "\n000000 SV1" not in text


def test_without_counts_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(PlotError, match="no backend has counts"):
        Results([TWO.answers[2]]).plot(tmp_path / "x.svg")
    with pytest.raises(PlotError, match=r"\.png or \.svg"):
        TWO.plot(tmp_path / "x.gif")
