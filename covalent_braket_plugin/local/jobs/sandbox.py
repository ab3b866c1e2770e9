"""Gives a program its own ``/opt/ml``: a launcher that mounts in a namespace, then becomes it.

Run as ``python -I -S sandbox.py SPEC``, so that only the standard library is there and start-up
is cheap. In a mount namespace of its own it lays a fresh ``/opt`` over the host's: the host's
entries stay visible, the job's directory is ``/opt/ml``, and nothing is made in the host's
``/opt``. Where that is not possible (macOS, locked-down containers) it sets the variables that
name stand-ins in the job's directory instead. Either way it ends by executing the program, with
the same process id.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from typing import Any

__all__ = ["launch_command", "main", "namespaces_work"]

OPT = "/opt"
PROBE_SECONDS = 10.0

# <sched.h>, <sys/mount.h> and <sys/prctl.h> of Linux.
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1


def launch_command(
    command: tuple[str, ...],
    root: str,
    checkpoint: tuple[str, str] | None,
    stand_ins: dict[str, str],
    *,
    namespace: bool = True,
    strict: bool = False,
) -> tuple[str, ...]:
    """The command line that runs a command with the job's directory as its ``/opt/ml``.

    Args:
        command: The program and its arguments.
        root: The job's directory; ``opt/ml`` under it becomes ``/opt/ml``.
        checkpoint: (directory, path at which the program shall see it), if there is one.
        stand_ins: Variables that differ where there are no namespaces.
        namespace: Whether to try a namespace at all.
        strict: End with an error instead of using the stand-ins.
    """
    spec = {
        "command": command,
        "root": root,
        "checkpoint": checkpoint,
        "stand_ins": stand_ins,
        "namespace": namespace,
        "strict": strict,
        "parent": os.getpid(),
    }
    return (sys.executable, "-I", "-S", os.path.abspath(__file__), json.dumps(spec))


def namespaces_work(directory: str) -> bool:
    """Whether programs can be given their own ``/opt/ml`` here; tried out with a small one.

    Args:
        directory: An empty scratch directory.
    """
    if sys.platform != "linux":
        return False
    os.makedirs(os.path.join(directory, "opt", "ml"))
    test = (sys.executable, "-I", "-S", "-c", "import os; os.symlink('ml', '/opt/braket')")
    command = launch_command(test, directory, None, {}, strict=True)
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def main() -> None:
    """Become the program that the first argument specifies."""
    spec = json.loads(sys.argv[1])
    environment = dict(os.environ)
    try:
        if not spec["namespace"]:
            raise OSError("not asked for")
        _enter_namespace()
        environment.update(_mount(spec))
    except OSError as error:
        if spec["strict"]:
            sys.exit(f"{error}")
        environment.update(_stand_in(spec))
    # Last, since a new user namespace forgets it.
    _die_with_parent(spec["parent"])
    _execute(spec["command"], environment)


def _execute(command: list[str], environment: dict[str, str]) -> None:
    # The directory was entered by its host path; from here on it is seen through /opt/ml.
    with contextlib.suppress(OSError):
        os.chdir(os.path.join(environment.get("SAGEMAKER_BASE_DIR", f"{OPT}/ml"), "code"))
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error}")


def _stand_in(spec: dict[str, Any]) -> dict[str, str]:
    link = os.path.join(spec["root"], "opt", "braket")
    if not os.path.lexists(link):
        os.symlink("ml", link)
    stand_ins: dict[str, str] = spec["stand_ins"]
    return stand_ins


def _die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when the local Braket is gone without having ended it."""
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the local Braket is gone")


def _enter_namespace() -> None:
    if sys.platform != "linux":
        raise OSError("mount namespaces are a thing of Linux")
    user, group = os.geteuid(), os.getegid()
    try:
        _check(_libc().unshare(CLONE_NEWNS), "unshare")
    except OSError:
        _check(_libc().unshare(CLONE_NEWNS | CLONE_NEWUSER), "unshare")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    _mount_call("none", "/", MS_REC | MS_PRIVATE)


def _mount(spec: dict[str, Any]) -> dict[str, str]:
    """Build the new ``/opt`` aside and move it over the old one.

    Returns:
        Variables that must change: where the checkpoint path could not be mounted.
    """
    if not os.path.isdir(OPT):
        raise OSError("there is no /opt to mount over")
    stage = os.path.join(spec["root"], "stage")
    os.makedirs(stage)
    _mount_call("tmpfs", stage, 0, b"tmpfs", b"mode=0755")
    ml = os.path.join(stage, "ml")
    _bind_directory(os.path.join(spec["root"], "opt", "ml"), ml)
    taken = {"ml", "braket"}
    if spec["checkpoint"]:
        taken.add(_mount_checkpoint(stage, *spec["checkpoint"]))
    for entry in os.scandir(OPT):
        if entry.name not in taken:
            _show(entry, os.path.join(stage, entry.name))
    _mount_call(stage, OPT, MS_MOVE)
    return _checkpoint_elsewhere(spec)


def _mount_checkpoint(stage: str, directory: str, path: str) -> str:
    """Mount the checkpoints if their path is under ``/opt``; returns its first part there."""
    inside = _inside_opt(path)
    first = inside.split("/")[0]
    if first in ("", "braket"):
        return first
    _bind_directory(directory, os.path.join(stage, inside))
    return first


def _inside_opt(path: str) -> str:
    """The part of a path below ``/opt``; empty if it is elsewhere."""
    path = os.path.normpath(path)
    return path[len(OPT) + 1 :] if path.startswith(f"{OPT}/") else ""


def _checkpoint_elsewhere(spec: dict[str, Any]) -> dict[str, str]:
    """Mount checkpoints whose path is not under ``/opt``, if that directory is there."""
    if not spec["checkpoint"]:
        return {}
    directory, path = spec["checkpoint"]
    if _inside_opt(path):
        return {}
    try:
        _mount_call(directory, path, MS_BIND)
    except OSError:
        return {"AMZN_BRAKET_CHECKPOINT_DIR": directory}
    return {}


def _show(entry: os.DirEntry[str], target: str) -> None:
    """Make an entry of the host's ``/opt`` visible in the new one."""
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)
    elif entry.is_dir():
        _bind_directory(entry.path, target)
    else:
        _write(target, "")
        _mount_call(entry.path, target, MS_BIND)


def _bind_directory(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    _mount_call(source, target, MS_BIND | MS_REC)


def _mount_call(
    source: str, target: str, flags: int, kind: bytes | None = None, data: bytes | None = None
) -> None:
    result = _libc().mount(source.encode(), os.fsencode(target), kind, flags, data)
    _check(result, f"mount on {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main()
