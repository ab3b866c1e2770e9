"""How far jobs can be kept apart from their host, and the command line that does it.

The work is done by `sandbox`, a program of its own that runs between the local Braket and the
job's program.
"""

from __future__ import annotations

import enum
import json
import os
import shutil
import subprocess
import sys

__all__ = ["Isolation", "best_isolation", "launch_command"]

PROBE_SECONDS = 10.0
LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sandbox.py")

# What a job must be able to do: leave /opt/braket, and find itself in /proc.
PROBE = """
import os
os.symlink('ml', '/opt/braket')
assert int(os.readlink('/proc/self')) == os.getpid()
"""


class Isolation(enum.StrEnum):
    """What a job has for itself alone.

    Attributes:
        PROCESSES: Its ``/opt`` and its process numbers; nothing it starts can outlive it.
        FILES: Its ``/opt``.
        NONE: Nothing; variables point to stand-ins in the job's directory.
    """

    PROCESSES = "processes"
    FILES = "files"
    NONE = "none"


def launch_command(
    command: tuple[str, ...],
    root: str,
    checkpoint: tuple[str, str] | None,
    stand_ins: dict[str, str],
    *,
    isolation: Isolation = Isolation.PROCESSES,
    strict: bool = False,
) -> tuple[str, ...]:
    """The command line that runs a command with the job's directory as its ``/opt/ml``.

    Args:
        command: The program and its arguments.
        root: The job's directory; ``opt/ml`` under it becomes ``/opt/ml``.
        checkpoint: (directory, path at which the program shall see it), if there is one.
        stand_ins: Variables that differ where there are no namespaces.
        isolation: What to try.
        strict: End with an error instead of using the stand-ins.
    """
    spec = {
        "command": command,
        "root": root,
        "checkpoint": checkpoint,
        "stand_ins": stand_ins,
        "isolation": isolation,
        "strict": strict,
        "parent": os.getpid(),
    }
    return (sys.executable, "-I", "-S", LAUNCHER, json.dumps(spec))


def best_isolation(directory: str) -> Isolation:
    """The most that is possible here; tried out with small programs.

    Args:
        directory: A scratch directory; emptied before and removed after.
    """
    if sys.platform == "linux":
        for isolation in (Isolation.PROCESSES, Isolation.FILES):
            if _works(directory, isolation):
                return isolation
    return Isolation.NONE


def _works(directory: str, isolation: Isolation) -> bool:
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(os.path.join(directory, "opt", "ml"))
    test = (sys.executable, "-I", "-S", "-c", PROBE)
    command = launch_command(test, directory, None, {}, isolation=isolation, strict=True)
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return done.returncode == 0
