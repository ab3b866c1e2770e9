"""Where a job in AWS's own image begins: the entry point of the archive that `bundle` makes.

AWS's container program imports this from the unpacked archive, in a child process of its own with
many modules loaded, and calls `run`. The worker gets a fresh interpreter instead, with the
archive's packages before the image's. It takes the place of that child process, so its exit code
and the signals sent to it are what the container program sees.

Standard library only; in the archive it is not part of this package.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

__all__ = ["run"]


def run() -> NoReturn:
    """Become the worker.

    Without parameters: AWS's program would fill them from the hyperparameters.
    """
    packages = os.path.join(os.path.dirname(os.path.abspath(__file__)), "packages")
    known = os.environ.get("PYTHONPATH")
    path = f"{packages}{os.pathsep}{known}" if known else packages
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", "covalent_braket_plugin.worker", "train"]
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})
