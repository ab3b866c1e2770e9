"""Runs a job's program apart from its host, and ends with it as it ended.

Run as ``python -I -S sandbox.py SPEC``, so that only the standard library is there and start-up
is cheap. In a mount namespace of its own it lays a fresh ``/opt`` over the host's: the host's
entries stay visible, the job's directory is ``/opt/ml``, and nothing is made in the host's
``/opt``. Where that is not possible (macOS, locked-down containers) it sets the variables that
name stand-ins in the job's directory instead.

Where the system allows it, the program and all that it starts have a process namespace of their
own: when its first process is gone, the kernel ends the rest, whatever sessions it made. Elsewhere
this launcher adopts orphans (Linux) and ends them itself.

Signals: SIGTERM asks the program to end, SIGUSR1 ends everything at once. The launcher ends when
nothing is left of the job: with the program, or once asked to end, when its offspring is gone too.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

__all__ = ["main"]

OPT = "/opt"
LINUX = sys.platform == "linux"
POLL_SECONDS = 0.1
SWEEPS = 200
KILLED = 128 + signal.SIGKILL

# <sched.h>, <sys/mount.h> and <sys/prctl.h> of Linux.
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36

SIGNALS = frozenset({signal.SIGTERM, signal.SIGUSR1})


def main() -> None:
    """Run the program that the first argument specifies."""
    # Until the program is there, nobody but this launcher can be asked to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    spec = json.loads(sys.argv[1])
    environment = dict(os.environ)
    apart = False
    try:
        if spec["isolation"] == "none":
            raise OSError("not asked for")
        apart = _enter_namespaces(processes=spec["isolation"] == "processes")
        environment.update(_mount(spec))
    except OSError as error:
        if spec["strict"]:
            sys.exit(f"{error}")
        environment.update(_stand_in(spec))
    # Last, since a new user namespace forgets it.
    _die_with_parent(signal.SIGKILL if apart else signal.SIGUSR1)
    if os.getppid() != spec["parent"]:
        sys.exit("the local Braket is gone")
    program = _Program(spec["command"], environment)
    _end_like(_run_apart(program, strict=spec["strict"]) if apart else program.run(_end_all))


class _Program:
    """The job's program, as the process sees it that starts and reaps it.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._pid = 0
        self._asked = False

    def run(self, end_rest: Callable[[int], None]) -> int:
        """Run it to its end; returns its wait status.

        Args:
            end_rest: Called with its process id, to end what it has left behind.
        """
        if LINUX:
            _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._pid = _fork(self._execute)
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGUSR1, partial(_end_now, lambda: end_rest(self._pid)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = self._reap()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        end_rest(self._pid)
        return status

    def _ask(self, *_: object) -> None:
        self._asked = True
        _signal_group(self._pid, signal.SIGTERM)

    def _reap(self) -> int:
        """Reap until the program has ended and, if it was asked to, until nobody is left."""
        ended: int | None = None
        while ended is None or self._asked:
            try:
                pid, status = _wait()
            except ChildProcessError:
                break
            if pid == self._pid:
                ended = status
        return ended or 0

    def _execute(self) -> NoReturn:
        os.setsid()
        _die_with_parent(signal.SIGKILL)
        # The directory was entered by its host path; from here on it is seen through /opt/ml.
        base = self._environment.get("SAGEMAKER_BASE_DIR", f"{OPT}/ml")
        with contextlib.suppress(OSError):
            os.chdir(os.path.join(base, "code"))
        # Python ignores these, and what is ignored stays so in the program.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        try:
            os.execvpe(self._command[0], self._command, self._environment)
        except OSError as error:
            os.write(2, f"{self._command[0]} cannot be started: {error}\n".encode())
        os._exit(1)


def _run_apart(program: _Program, *, strict: bool) -> int:
    """Run the program under a first process of the new namespace; returns its wait status."""
    status_reading, status_writing = os.pipe()
    life_reading, life_writing = os.pipe()

    def first() -> NoReturn:
        os.setsid()
        _die_with_parent(signal.SIGKILL)
        os.close(life_writing)
        if select.select([life_reading], [], [], 0)[0]:
            os._exit(KILLED)  # the launcher had died before the kernel was asked to watch it
        _mount_proc(strict=strict)
        # When the first process ends, the kernel ends the rest: nothing to do for that.
        os.write(status_writing, struct.pack("i", program.run(lambda pid: None)))
        os._exit(0)

    pid = _fork(first)
    os.close(status_writing)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    signal.signal(signal.SIGUSR1, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    own = os.waitpid(pid, 0)[1]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    told = os.read(status_reading, struct.calcsize("i"))
    return int(struct.unpack("i", told)[0]) if told else own


def _end_now(end_rest: Callable[[], None], *_: object) -> NoReturn:
    end_rest()
    os._exit(KILLED)


def _fork(child: Callable[[], NoReturn]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        child()
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(1)


def _wait() -> tuple[int, int]:
    if LINUX:
        return os.waitpid(-1, 0)
    # Only Linux tells a process that its parent has gone.
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            return pid, status
        if os.getppid() == 1:
            signal.raise_signal(signal.SIGUSR1)
        time.sleep(POLL_SECONDS)


def _end_like(status: int) -> NoReturn:
    """End as the program did: with its exit code, or by the signal that ended it."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if LINUX:
            _libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code)


def _end_all(program: int) -> None:
    """End what is left of a program: its group and, on Linux, all that this process adopted."""
    _signal_group(program, signal.SIGKILL)
    for _ in range(SWEEPS if LINUX else 0):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        found = _descendants(os.getpid())
        if not found:
            return
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except OSError:
        # It may not have made its group yet.
        with contextlib.suppress(OSError):
            os.kill(leader, number)


def _descendants(ancestor: int) -> list[int]:
    """All processes below one, as ``/proc`` shows them."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(ancestor, ()))
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _stand_in(spec: dict[str, Any]) -> dict[str, str]:
    link = os.path.join(spec["root"], "opt", "braket")
    if not os.path.lexists(link):
        os.symlink("ml", link)
    stand_ins: dict[str, str] = spec["stand_ins"]
    return stand_ins


def _die_with_parent(number: int) -> None:
    """Ask the kernel for a signal when the parent of this process is gone."""
    if LINUX:
        _libc().prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def _enter_namespaces(*, processes: bool) -> bool:
    """Enter new namespaces; returns whether the next child is the first of its own processes."""
    if not LINUX:
        raise OSError("namespaces are a thing of Linux")
    user, group = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | (CLONE_NEWPID if processes else 0)
    try:
        _check(_libc().unshare(flags), "unshare")
    except OSError:
        _check(_libc().unshare(flags | CLONE_NEWUSER), "unshare")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    return processes


def _mount_proc(*, strict: bool) -> None:
    """Show the job its own processes in ``/proc``, without which many tools do not work."""
    try:
        _mount_call("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, b"proc")
    except OSError:
        if strict:
            raise


def _mount(spec: dict[str, Any]) -> dict[str, str]:
    """Build the new ``/opt`` aside and move it over the old one.

    Returns:
        Variables that must change: where the checkpoint path could not be mounted.
    """
    _mount_call("none", "/", MS_REC | MS_PRIVATE)
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
    _show_all(OPT, stage, taken)
    _mount_call(stage, OPT, MS_MOVE)
    return _checkpoint_elsewhere(spec)


def _mount_checkpoint(stage: str, directory: str, path: str) -> str:
    """Mount the checkpoints if their path is under ``/opt``; returns its first part there.

    Directories of the host on the way stay visible with all that is in them.
    """
    parts = _inside_opt(path).split("/")
    if parts[0] in ("", "braket", "ml"):
        return parts[0]
    host, target = OPT, stage
    for part, following in itertools.pairwise(parts):
        host, target = os.path.join(host, part), os.path.join(target, part)
        os.mkdir(target)
        if os.path.isdir(host):
            _show_all(host, target, {following})
    _bind_directory(directory, os.path.join(stage, *parts))
    return parts[0]


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


def _show_all(source: str, target: str, hidden: set[str]) -> None:
    """Make a directory's entries visible in another, all but some."""
    for entry in os.scandir(source):
        if entry.name not in hidden:
            _show(entry, os.path.join(target, entry.name))


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
