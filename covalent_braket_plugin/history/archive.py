"""Files of a job's archive of result files, which anybody may have packed: read with care.

It is read as a stream, no further than needed, whatever it claims: at most so many bytes and
files; links, devices and names that lead out of the directory are passed over, and a warning says
so.
"""

from __future__ import annotations

import gzip
import io
import logging
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, NamedTuple

from covalent_braket_plugin.errors import IntegrityError

__all__ = ["ArtifactFile", "Source", "chosen", "extract", "is_pattern", "listed", "read"]

Source = Path | BinaryIO
"""An archive: its file, or what reads it."""

MAX_FILES = 10_000
MAX_HEADER_BYTES = 64 * 1024
"""Of what stands before a file, such as a long name; tarfile reads it into memory."""
_CHUNK_BYTES = 1024 * 1024
_BEFORE_A_FILE = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)

log = logging.getLogger(__name__)


class ArtifactFile(NamedTuple):
    """A file that a job left.

    Attributes:
        name: Its path in the job's result directory.
        size: Its size, in bytes.
    """

    name: str
    size: int


def listed(archive: Source, max_bytes: int) -> list[ArtifactFile]:
    """List the files of an archive.

    Raises:
        IntegrityError: It is damaged, or holds more than ``max_bytes`` or 10,000 files.
    """
    return [file for file, _ in _files(archive, max_bytes)]


def is_pattern(name: str) -> bool:
    """Whether a name may mean several files: ``*`` stands for anything, ``?`` for a character."""
    return any(character in name for character in "*?[")


def chosen(name: str, names: Collection[str]) -> bool:
    """Whether a file is one of those that are wanted: by name or pattern; none: all."""
    return not names or name in names or any(fnmatchcase(name, each) for each in names)


def read(
    archive: Source, max_bytes: int, names: Collection[str] = ()
) -> Iterator[tuple[str, bytes]]:
    """Read files of an archive into memory, one after the other.

    Args:
        archive: The file, or what reads it.
        max_bytes: Give up if it unpacks to more.
        names: Those that are wanted, also as patterns; none: all. When all that are named in full
            were found, it is not read on.

    Raises:
        IntegrityError: As for `listed`.
    """
    for file, body in _chosen_files(archive, max_bytes, names):
        with _damage_is_told():
            data = body.read()
        yield file.name, data


def extract(
    archive: Source,
    directory: Path,
    max_bytes: int,
    names: Collection[str] = (),
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Unpack files of an archive into a directory, which is made if it is not there.

    Args:
        archive: The file, or what reads it.
        directory: The directory.
        max_bytes: Give up if it unpacks to more.
        names: Those that are wanted, as for `read`.
        overwrite: Replace a file that is there already.

    Returns:
        The files that were written.

    Raises:
        IntegrityError: As for `listed`.
        FileExistsError: A file is there already, and is not to be replaced.
        OSError: A file cannot be written.
    """
    written: list[Path] = []
    for file, body in _chosen_files(archive, max_bytes, names):
        target = directory / file.name
        if not target.parent.resolve().is_relative_to(directory.resolve()):
            raise IntegrityError(f"{target} lies elsewhere: there is a link on the way to it")
        target.parent.mkdir(parents=True, exist_ok=True)
        if overwrite or target in written:  # the last one of a name counts, as for tar
            target.unlink(missing_ok=True)
        with _damage_is_told():
            _write(body, target)
        written.append(target)
    return list(dict.fromkeys(written))


def _chosen_files(
    archive: Source, max_bytes: int, names: Collection[str]
) -> Iterator[tuple[ArtifactFile, IO[bytes]]]:
    missing = set(names)
    for file, body in _files(archive, max_bytes):
        if chosen(file.name, names):
            yield file, body
        missing.discard(file.name)
        if names and not missing:
            return


def _write(body: IO[bytes], target: Path) -> None:
    """Write a file whole or not at all: a disk may become full."""
    out = target.open("xb")
    try:
        with out:
            while chunk := body.read(_CHUNK_BYTES):
                out.write(chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _files(archive: Source, max_bytes: int) -> Iterator[tuple[ArtifactFile, IO[bytes]]]:
    with _damage_is_told(), gzip.open(archive) as packed:
        stream = _Bounded(packed, max_bytes)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
            for number, member in enumerate(tar):
                if number >= MAX_FILES:
                    raise IntegrityError(f"The result archive holds more than {MAX_FILES} files")
                body = tar.extractfile(member) if _is_safe(member) else None
                if body is not None:
                    name = str(PurePosixPath(member.name))
                    yield ArtifactFile(name, member.size), body


@contextmanager
def _damage_is_told() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise IntegrityError(f"The result archive is damaged: {error}") from error


def _is_safe(member: tarfile.TarInfo) -> bool:
    """Whether it is a plain file inside the directory; a warning if it is not, or no directory."""
    path = PurePosixPath(member.name)
    inside = not path.is_absolute() and ".." not in path.parts and path.parts
    plain = member.isfile() and not member.issparse()
    if not member.isdir() and not (inside and plain):
        log.warning("%r of the result archive is not a plain file in it: left out", member.name)
    return bool(inside and plain)


class _Member(tarfile.TarInfo):
    """A member whose header is not taken for granted."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        """Read a header.

        Raises:
            IntegrityError: It announces more of what tarfile reads into memory than is sane.
        """
        found = super().frombuf(buf, encoding, errors)
        if found.type in _BEFORE_A_FILE and found.size > MAX_HEADER_BYTES:
            raise IntegrityError(f"The result archive has a header of {found.size} bytes")
        return found


class _Bounded(io.RawIOBase):
    """What an archive unpacks to, up to a limit."""

    def __init__(self, packed: gzip.GzipFile | IO[bytes], limit: int) -> None:
        self._packed, self._limit, self._read = packed, limit, 0

    def read(self, size: int = -1) -> bytes:
        """Read on.

        Raises:
            IntegrityError: There is more than the limit allows.
        """
        data = self._packed.read(size)
        self._read += len(data)
        if self._read > self._limit:
            raise IntegrityError(
                f"The result archive unpacks to more than {self._limit} bytes: it is left alone. "
                "If it is meant to be so large, raise max_bytes (--max-bytes)."
            )
        return data
