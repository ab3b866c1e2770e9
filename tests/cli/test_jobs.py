"""``covalent-braket jobs`` where there is nothing to find; the rest is shown end to end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from covalent_dispatcher._db.datastore import workflow_db

from covalent_braket_plugin.covalent_compat import store
from tests.support.braket_server import BraketServer


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own, where no server runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "COVALENT_"))}
    return {**kept, "HOME": str(tmp_path), "COVALENT_BRAKET_LOCAL_DIR": str(tmp_path / "local")}


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "covalent_braket_plugin.cli", "jobs", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def configure(environ: dict[str, str], text: str) -> None:
    path = Path(environ["HOME"]) / ".config/covalent/covalent.conf"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_reattach_without_a_server_says_how_to_start_one(environ: dict[str, str]) -> None:
    # Nobody listens at the lowest port.
    configure(environ, '[dispatcher]\naddress = "127.0.0.1"\nport = 1\n')
    done = run(environ, "reattach")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Covalent's server does not answer at http://127.0.0.1:1")
    assert "covalent start" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_orphans_without_a_local_braket_says_so(environ: dict[str, str]) -> None:
    done = run(environ, "orphans", "--set", "local=yes")
    assert done.returncode == 1
    assert done.stderr == "Error: No local Braket is running, so that there are no jobs.\n"


def test_orphans_can_be_looked_for_before_a_server_has_ever_run(
    environ: dict[str, str], local_braket: BraketServer
) -> None:
    variables = {**environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    where = f"--set=endpoint_url={local_braket.endpoint_url}", "--set=region=us-west-2"
    done = run(variables, "orphans", *where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No orphans")


def test_orphans_of_nowhere_asks_for_a_region(environ: dict[str, str]) -> None:
    done = run(environ, "orphans")
    assert done.returncode == 1
    assert "--set region=" in done.stderr
    assert "role" not in done.stderr


def test_a_databases_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow_db, "db_URL", "postgresql://me:hidden@db.example/covalent")
    assert store.database_name() == "postgresql://me:***@db.example/covalent"


def test_orphans_of_others_are_cancelled_only_with_both_options(environ: dict[str, str]) -> None:
    done = run(environ, "orphans", "--all")
    assert done.returncode == 2
    assert "--cancel" in done.stderr
