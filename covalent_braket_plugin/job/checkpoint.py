"""Checkpoints: what an electron needs to go on where an earlier job of it was cut off.

    from covalent_braket_plugin import job

    state = job.checkpoint.load(default={"step": 0})
    while state["step"] < 1000 and not job.should_stop():
        ...
        job.checkpoint.save(state)

Braket copies the directory of checkpoints to S3 while the job runs, and into the next job before
it begins. The file ``NAME.ckpt`` is the newest checkpoint of a name, ``NAME.ckpt.before`` the one
before it; a file that begins with a dot is one that was being written.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from pathlib import Path
from typing import Any

from covalent_braket_plugin.job import archive, stopping
from covalent_braket_plugin.job.archive import Archive, DamagedError
from covalent_braket_plugin.job.context import context

__all__ = ["INPUTS_VARIABLE", "load", "names", "save"]

INPUTS_VARIABLE = "COVALENT_BRAKET_INPUTS"
"""Environment variable with the digest of the electron's inputs; empty: of any inputs."""

SUFFIX = ".ckpt"
BEFORE = ".ckpt.before"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A process that is forked while a thread saves would take itself to be saving for ever.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
_written: dict[Path, int] = {}
"""Generations of the files that this process wrote: these are whole."""


def save(data: object, name: str = "checkpoint", *, allow_pickle: bool = False) -> None:
    """Save data, whole or not at all, and keep what was saved under the name before it.

    Lists, tuples, dicts, text, numbers, bytes, None, and NumPy and PennyLane arrays come back as
    they were. A signal to stop waits until it is done. Two processes must not save under one name
    at the same time.

    Args:
        data: What to save.
        name: Which of the electron's checkpoints it is: letters, digits and ``. _ -``.
        allow_pickle: Pickle what does not fit otherwise; `load` has to allow it then, too.

    Raises:
        TypeError: Something does not fit; the text says where it is in the data.
        ValueError: It is not a name, or the data holds itself.
        OSError: The directory cannot be written to.
    """
    directory, newest = _files(name)
    with _lock, stopping.uninterrupted():
        directory.mkdir(parents=True, exist_ok=True)
        generation = _written[newest] if newest in _written else _generation(name)
        scratch = directory / f".{name}.part"
        try:
            with scratch.open("wb") as file:
                inputs = os.environ.get(INPUTS_VARIABLE, "")
                archive.write(file, data, generation + 1, inputs, allow_pickle=allow_pickle)
                file.flush()
                os.fsync(file.fileno())
            _put_in_place(scratch, newest)
        finally:
            scratch.unlink(missing_ok=True)  # it is there still if that failed
        _written[newest] = generation + 1


def load(name: str = "checkpoint", *, allow_pickle: bool = False, default: Any = None) -> Any:
    """Load the newest whole checkpoint of a name.

    A damaged one is left out with a warning, and the one before it is taken. One that was saved
    with other arguments, hyperparameters or input data of the electron is not used either, unless
    the executor names it (`checkpoint_key`).

    Args:
        name: Its name.
        allow_pickle: Unpickle what was saved with ``allow_pickle=True``: that runs code of
            whoever can write to the bucket.
        default: What to return if there is none.

    Raises:
        ValueError: It holds pickles, and they are not allowed; or it is not a name.
    """
    found = _whole(name, tell=True)
    if not found:
        return default
    newest = max(found, key=lambda each: each.generation)
    inputs = os.environ.get(INPUTS_VARIABLE, "")
    if inputs and newest.inputs and newest.inputs != inputs:
        warnings.warn(
            f"The checkpoint {name!r} was saved by this electron with other arguments, "
            "hyperparameters or input data: it is not used, and the work begins anew. To go on "
            "with it all the same, set `checkpoint_key` on the executor of both.",
            stacklevel=2,
        )
        return default
    if newest.pickled and not allow_pickle:
        raise ValueError(
            f"The checkpoint {name!r} holds pickles: load it with allow_pickle=True, if you trust "
            "whoever can write to the bucket"
        )
    return newest.data(allow_pickle=allow_pickle)


def names() -> list[str]:
    """List the names under which there are checkpoints, in order."""
    directory = context().checkpoints
    files = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    found = {file.removesuffix(BEFORE).removesuffix(SUFFIX) for file in files if _ours(file)}
    return sorted(found)


def _ours(file: str) -> bool:
    return file.endswith((SUFFIX, BEFORE)) and not file.startswith(".")


def _files(name: str) -> tuple[Path, Path]:
    """The directory, and the file of a name's newest checkpoint."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a name for a checkpoint: use 1 to 128 letters, digits and . _ -, "
            "and no dot at its beginning"
        )
    directory = context().checkpoints
    return directory, directory / f"{name}{SUFFIX}"


def _whole(name: str, *, tell: bool) -> list[Archive]:
    """Look at the files of a name; those that are whole."""
    directory, newest = _files(name)
    found = []
    for path in (newest, directory / f"{name}{BEFORE}"):
        try:
            found.append(archive.read(path))
        except FileNotFoundError:
            continue
        except DamagedError as error:
            if tell:
                warnings.warn(f"{error}: the checkpoint before it is taken", stacklevel=3)
    return found


def _generation(name: str) -> int:
    """Tell which generation is the newest; a newest file that is damaged is out of the way then."""
    found = _whole(name, tell=False)
    _, newest = _files(name)
    if newest not in {each.path for each in found}:
        newest.unlink(missing_ok=True)
    return max((each.generation for each in found), default=0)


def _put_in_place(scratch: Path, newest: Path) -> None:
    if newest.exists():
        newest.replace(newest.with_name(newest.name.removesuffix(SUFFIX) + BEFORE))
    scratch.replace(newest)
    directory = os.open(newest.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
