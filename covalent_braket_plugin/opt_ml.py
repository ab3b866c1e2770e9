"""What SageMaker lays out for a training container below ``/opt/ml``, and what it reads there.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
and https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.protocol import HP_MANIFEST

__all__ = [
    "link_opt_braket",
    "other_host",
    "read_hyperparameters",
    "seconds_since_start",
    "write_failure",
]

MAX_FAILURE_CHARACTERS = 1000
"""Braket cuts a job's failure reason at 1024 characters (service model, GetJob)."""


def link_opt_braket() -> None:
    """Link /opt/braket, which the environment names, to /opt/ml.

    In AWS's own images their container program does it, so in any other image we must.
    """
    link = Path("/opt/braket")
    if Path("/opt/ml").is_dir() and not link.exists():
        with contextlib.suppress(OSError):
            link.symlink_to("/opt/ml")


def _hyperparameter_file() -> Path:
    named = Path(os.environ.get("AMZN_BRAKET_HP_FILE", ""))
    usual = Path("/opt/ml/input/config/hyperparameters.json")
    return named if named.is_file() else usual


def read_hyperparameters() -> dict[str, str]:
    """Read the job's hyperparameters.

    Raises:
        IntegrityError: They cannot be read, or are not those of a job of ours.
    """
    path = _hyperparameter_file()
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise IntegrityError(f"The hyperparameter file cannot be read: {error}") from error
    if not isinstance(found, dict) or HP_MANIFEST not in found:
        raise IntegrityError(
            f"{path} has no {HP_MANIFEST}: this program runs jobs that the Covalent Braket "
            "executor made, and no others"
        )
    return {key: str(value) for key, value in found.items()}


def other_host() -> str:
    """This instance's name if it is not the job's first; empty if it is the first or the only one.

    Of a job with several instances, each runs the same program with the same hyperparameters.
    """
    here, hosts = _hosts()
    return "" if not here or not hosts or here == min(hosts) else here


def _hosts() -> tuple[str, list[str]]:
    path = _hyperparameter_file().with_name("resourceconfig.json")
    config: Any = None
    with contextlib.suppress(OSError, ValueError):
        config = json.loads(path.read_text())
    if not isinstance(config, dict):
        config = {"current_host": os.environ.get("SM_CURRENT_HOST", "")}
        with contextlib.suppress(ValueError):
            config["hosts"] = json.loads(os.environ.get("SM_HOSTS", "[]"))
    hosts = config.get("hosts")
    names = [str(name) for name in hosts] if isinstance(hosts, list) else []
    return str(config.get("current_host") or ""), names


def seconds_since_start() -> float:
    """For how long the job's program has been running; 0 if the system does not tell.

    In AWS's own images that program is AWS's, and has installed packages before it started us.
    """
    # A container's first process is its program, and leads our session.
    return _age(1 if os.getsid(0) == 1 else os.getpid())


def _age(pid: int) -> float:
    """For how many seconds a process has been there (proc(5), field 22 of stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def write_failure(reason: str) -> None:
    """Say why in the file that Braket turns into the job's failure reason; never fails."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        output = _hyperparameter_file().resolve().parents[2] / "output"
        output.mkdir(parents=True, exist_ok=True)
        text = reason[:MAX_FAILURE_CHARACTERS]
        (output / "failure").write_text(text, encoding="utf-8", errors="replace")
