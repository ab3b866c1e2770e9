"""The demo, and the workflow that it shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from demo_server import DemoServer

from covalent_braket_plugin import local_endpoint
from tests.docs.pages import ROOT, texts_in

EXAMPLES = ROOT / "examples"


def run_demo(server: DemoServer, *arguments: str, folder: Path = EXAMPLES) -> tuple[int, str]:
    command = [sys.executable, str(folder / "demo.py"), "--folder", str(server.folder), *arguments]
    # A user's own settings must not reach the demo.
    environment = {**os.environ, "AWS_PROFILE": "no-such-profile", "COVALENT_SVC_PORT": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    return done.returncode, done.stdout + done.stderr


def group_of(leader: int) -> set[int]:
    found = set()
    for pid in psutil.pids():
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == leader:
                found.add(pid)
    return found


@pytest.mark.e2e
def test_the_demo_shows_right_results_and_says_how_to_stop(demo: DemoServer) -> None:
    code, output = run_demo(demo)
    assert code == 0, output
    for words in ("fair_coin", "24 quantum tasks", "All results are right", "make demo-stop"):
        assert words in output
    assert "arning" not in output
    assert "energy (line: exact, -1.13727)" in output
    assert re.search(r"^-1\.1167┤", output, re.M)
    (asking,) = re.findall(r"^  Ask about its jobs +\((.+)\)$", output, re.M)
    environment = {"PATH": os.environ["PATH"]}
    asked = asking.replace("covalent-braket", "python -m covalent_braket_plugin.cli")
    jobs = subprocess.run(
        ["sh", "-c", asked], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "ground-state-energy" in jobs.stdout
    assert (demo.folder / "energy.png").read_bytes().startswith(b"\x89PNG")
    link = re.search(r"UI +(http://\S+)", output)
    assert link
    live = re.search(r"live +(http://\S+)", output)
    assert live
    for url in (link[1], live[1]):
        with urllib.request.urlopen(url, timeout=30) as page:
            assert page.headers.get_content_type() == "text/html"


@pytest.mark.e2e
def test_a_second_demo_uses_the_servers_of_the_first(demo: DemoServer, tmp_path: Path) -> None:
    before = demo.find_or_start(), local_endpoint.find_or_start(demo.local_braket)["pid"]
    picture = tmp_path / "energy.svg"
    code, output = run_demo(demo, "--picture", str(picture))
    assert code == 0, output
    found = local_endpoint.find(demo.local_braket)
    assert found
    assert (demo.find(), found["pid"]) == before
    # The picture in the documentation is made so; another matplotlib may draw it elsewhere.
    kept = ROOT / "docs" / "images" / "energy.svg"
    assert texts_in(picture) == texts_in(kept) >= {"energy", "iteration", "exact: -1.13727"}


@pytest.mark.e2e
def test_a_failing_electron_is_named_with_its_error(demo: DemoServer, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))
    program = folder / "quickstart.py"
    source = program.read_text()
    assert "return float(circuit())" in source
    program.write_text(source.replace("return float(circuit())", "raise ValueError('[no] coin')"))
    code, output = run_demo(demo, folder=folder)
    assert code == 1
    assert "fair_coin failed" in output
    assert "ValueError: [no] coin" in output
    assert str(demo.log) in output


@pytest.mark.e2e
def test_the_quickstart_runs_beside_any_server(demo: DemoServer) -> None:
    demo.find_or_start()
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "quickstart.py")],
        env=demo.environment(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "-1.137270" in done.stdout


@pytest.mark.e2e
def test_a_killed_server_is_replaced_and_leaves_nobody_behind(demo: DemoServer) -> None:
    url = demo.find_or_start()
    state = json.loads((demo.folder / "covalent-server.json").read_text())
    os.kill(state["pid"], signal.SIGKILL)
    assert demo.find_or_start() != url
    # The server itself was a child of this process, which has not asked yet how it ended.
    assert group_of(state["pid"]) <= {state["pid"]}


@pytest.mark.e2e
def test_stopping_the_demo_ends_both_servers(demo: DemoServer) -> None:
    demo.find_or_start()
    local_endpoint.find_or_start(demo.local_braket)
    code, output = run_demo(demo, "--stop")
    assert (code, output.strip()) == (0, "The demo's servers are stopped.")
    assert demo.find() is None
    assert local_endpoint.find(demo.local_braket) is None
    assert run_demo(demo, "--stop")[1].strip() == "Nothing was running."


def test_another_process_that_got_the_servers_number_is_left_alone(tmp_path: Path) -> None:
    server = DemoServer(tmp_path)
    state = f'{{"url": "http://127.0.0.1:9", "pid": {os.getpid()}, "created": 1.0}}'
    (tmp_path / "covalent-server.json").write_text(state)
    assert server.find() is None
    assert server.stop() is False


def test_a_users_own_settings_do_not_reach_the_demo(tmp_path: Path) -> None:
    theirs = {
        "HOME": "/home/ada",
        "AWS_PROFILE": "work",
        "COVALENT_CONFIG_DIR": "/x",
        "PATH": "/bin",
    }
    environment = DemoServer(tmp_path).environment(theirs)
    assert environment["PATH"] == "/bin"
    assert environment["HOME"].startswith(str(tmp_path))
    assert not {"AWS_PROFILE", "COVALENT_CONFIG_DIR"} & set(environment)


def quickstart_constants(tmp_path: Path) -> tuple[dict[str, float], float]:
    """Read from a fresh process, since importing Covalent writes into the home."""
    code = "import json, quickstart as q; print(json.dumps([q.H2, q.EXACT]))"
    environment = DemoServer(tmp_path).environment(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    words, exact = json.loads(done.stdout.splitlines()[-1])
    return words, exact


def test_the_exact_energy_is_the_lowest_eigenvalue_of_the_hamiltonian(tmp_path: Path) -> None:
    words, exact = quickstart_constants(tmp_path)
    pauli = {
        "I": np.eye(2),
        "X": np.array([[0.0, 1.0], [1.0, 0.0]]),
        "Z": np.diag([1.0, -1.0]),
    }
    terms = [value * np.kron(*(pauli[axis] for axis in word)) for word, value in words.items()]
    matrix = np.sum(terms, axis=0)
    assert np.linalg.eigvalsh(matrix)[0] == pytest.approx(exact, abs=1e-9)


def test_the_hamiltonian_is_that_of_hydrogen(tmp_path: Path) -> None:
    """Hartree-Fock and full configuration interaction anew, with all four qubits."""
    import pennylane as qml

    _, exact = quickstart_constants(tmp_path)
    distance = 0.7414
    hydrogen = qml.qchem.Molecule(
        ["H", "H"], np.array([[0, 0, 0], [0, 0, distance]]), unit="angstrom", basis_name="sto-3g"
    )
    hamiltonian, wires = qml.qchem.molecular_hamiltonian(hydrogen)
    energies = np.linalg.eigvalsh(qml.matrix(hamiltonian, wire_order=range(wires)))
    assert energies[0] == pytest.approx(exact, abs=1e-6)
