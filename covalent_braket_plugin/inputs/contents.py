"""What a local file or folder holds, and the one name of that content.

A file is treated as a folder with one file in it. A link to a file stands for the file, wherever
that is; what is neither a file nor a folder is refused, as is a link to a folder: nothing is left
out in silence, and no loop is walked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from covalent_braket_plugin.inputs.places import Place

__all__ = ["Content", "File", "Found", "content_of", "found_at"]

MAX_FILES = 100_000
"""Each file is a call to S3, and one when the job starts."""
MAX_KEY_BYTES = 900
"""Of the 1024 that S3 allows for a key, what is left for the path in a folder."""
CHUNK_BYTES = 1024 * 1024
REMEMBERED = 100_000
SETTLED_SECONDS = 2.0
"""A file that was changed later than that may change again and keep its time stamp."""

_CONTROL = re.compile("[\0-\x1f\x7f]")

Heard = Callable[[int], None]
"""Told of so many bytes that were read."""

Stamp = tuple[int, int, int, int]
"""Device, inode, size in bytes, time of the last change in nanoseconds."""

_digests: OrderedDict[tuple[str, Stamp], str] = OrderedDict()


@dataclass(frozen=True)
class Found:
    """A file that belongs to a channel.

    Attributes:
        name: Its path in the channel's directory, with slashes.
        path: Where it is.
        stamp: What changes if it changes.
    """

    name: str
    path: Path
    stamp: Stamp

    @property
    def size(self) -> int:
        """Its size, in bytes."""
        return self.stamp[2]


@dataclass(frozen=True)
class File:
    """A file whose bytes are known.

    Attributes:
        found: The file.
        sha256: Digest of its bytes, in hexadecimal.
    """

    found: Found
    sha256: str


@dataclass(frozen=True)
class Content:
    """What a file or folder holds.

    Attributes:
        files: All files, by name.
        digest: SHA-256 of names, sizes and digests; equal for equal content.
        single: Whether it is one file, and not a folder.
    """

    files: tuple[File, ...]
    digest: str
    single: bool

    @property
    def size(self) -> int:
        """Size of all files, in bytes."""
        return sum(file.found.size for file in self.files)


def found_at(place: Place) -> list[Found]:
    """List the files of a local file or folder, by name; opens the first of them.

    Raises:
        SettingError: It is not there, may not be read, is empty, or holds what is no file.
    """
    path = place.path
    try:
        found = _in_folder(place, path) if path.is_dir() else [_file(place, path, path.name)]
        if found:
            found[0].path.open("rb").close()
    except FileNotFoundError as error:
        fix = "Correct the path. Covalent's server reads it, on the machine that it runs on."
        raise place.refusal(f"{error.filename} does not exist", fix) from error
    except OSError as error:
        fix = "Covalent's server reads it: give its user the right to."
        what = f"{error.filename or path} cannot be read ({error.strerror or error})"
        raise place.refusal(what, fix) from error
    if not found:
        raise place.refusal("the folder holds no file", "Name one that does, or leave it out.")
    return sorted(found, key=lambda file: file.name)


def _in_folder(place: Place, folder: Path) -> list[Found]:
    found = []
    for path in _walk(place, folder):
        found.append(_file(place, path, path.relative_to(folder).as_posix()))
        if len(found) > MAX_FILES:
            fix = "Pack them into an archive, or put them into S3 yourself."
            raise place.refusal(f"the folder holds more than {MAX_FILES} files", fix)
    return found


def _walk(place: Place, folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                yield Path(entry.path)
            elif entry.is_symlink():
                what = f"{entry.path} is a link to a folder, which is not followed"
                raise place.refusal(what, "Give that folder a channel of its own.")
            else:
                yield from _walk(place, Path(entry.path))


def _file(place: Place, path: Path, name: str) -> Found:
    seen = path.stat()  # of the file that a link leads to
    if not stat.S_ISREG(seen.st_mode):
        what = f"{path} is neither a file nor a folder (a socket, pipe or device)"
        raise place.refusal(what, "Take it out of the folder, or name what is beside it.")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise place.refusal(
            f"the name of {os.fsencode(path)!r} is no UTF-8, as S3 has it", "Rename it."
        ) from error
    if _CONTROL.search(name):
        what = f"the name of {str(path)!r} holds a line break or another control character"
        raise place.refusal(f"{what}, with which not all who read S3 can deal", "Rename it.")
    if length > MAX_KEY_BYTES:
        what = f"{path} has a path of {length} bytes below the folder, S3 takes {MAX_KEY_BYTES}"
        raise place.refusal(what, "Shorten it.")
    stamp = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return Found(name, path, stamp)


def content_of(place: Place, heard: Heard = lambda size: None) -> Content:
    """Read a local file or folder; of files that were read before and did not change, nothing.

    Args:
        place: The file or folder.
        heard: Told of the bytes that are read.

    Raises:
        SettingError: As `found_at`, or a file in it cannot be read.
    """
    files = tuple(File(found, _digest(place, found, heard)) for found in found_at(place))
    listing = [[file.found.name, file.found.size, file.sha256] for file in files]
    digest = hashlib.sha256(json.dumps(listing).encode()).hexdigest()
    return Content(files, digest, single=not place.path.is_dir())


def _digest(place: Place, found: Found, heard: Heard) -> str:
    key = (str(found.path), found.stamp)
    known = _digests.get(key)
    if known is not None:
        heard(found.size)
        return known
    settled = time.time() - found.stamp[3] / 1e9 > SETTLED_SECONDS
    try:
        digest = _sha256(found.path, heard)
    except OSError as error:
        fix = "Covalent's server reads it: give its user the right to."
        raise place.refusal(f"{found.path} cannot be read ({error.strerror})", fix) from error
    if settled:
        _digests[key] = digest
        while len(_digests) > REMEMBERED:
            _digests.popitem(last=False)
    return digest


def _sha256(path: Path, heard: Heard) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            heard(len(chunk))
    return digest.hexdigest()
