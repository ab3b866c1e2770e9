"""The files that an electron leaves as results: listed, and packed as Braket packs them."""

from __future__ import annotations

import gzip
import math
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["Packed", "found", "packed"]


def found() -> tuple[int, list[tuple[str, int]]]:
    """Tell what the job's result directory holds.

    Returns:
        How many files, and which: their paths in it, and their sizes in bytes. Links are counted,
        and not named; what is just being removed is left out.
    """
    count, files = 0, []
    for path, name in _entries():
        count += 1
        try:
            if path.is_file() and not path.is_symlink():
                files.append((name, path.lstat().st_size))
        except OSError:  # something that the electron left behind is still at work there
            count -= 1
    return count, files


def _entries() -> Iterator[tuple[Path, str]]:
    directory = os.environ.get("AMZN_BRAKET_JOB_RESULTS_DIR", "")
    for folder, folders, files in os.walk(directory) if directory else ():
        folders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            yield path, path.relative_to(directory).as_posix()


@contextmanager
def packed(seconds: float = math.inf) -> Iterator[Packed]:
    """Pack these files into a gzipped tar archive, while it is read.

    Nothing is kept on disk, and little in memory.

    Args:
        seconds: So long it may be read.
    """
    end, beginning = os.pipe()
    with os.fdopen(end, "rb") as source:
        yield Packed(source, os.fdopen(beginning, "wb"), time.monotonic() + seconds)


class Packed:
    """An archive that is read once; one that was read to its end is whole.

    Args:
        source: Where it comes out.
        sink: Where it goes in.
        deadline: Until when it may be read (``time.monotonic``).
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes], deadline: float) -> None:
        self._source, self._sink, self._deadline = source, sink, deadline
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._pack, daemon=True)
        self._thread.start()

    def read(self, size: int = -1) -> bytes:
        """Read on.

        Raises:
            TimeoutError: It takes too long.
            OSError: A file cannot be read.
        """
        if time.monotonic() > self._deadline:
            raise TimeoutError("it took too long, and the job has been told to stop")
        data = self._source.read(size)
        if size < 0 or len(data) < size:
            self._thread.join()
            if self._problem is not None:
                raise self._problem
        return data

    def _pack(self) -> None:
        try:
            with (
                self._sink as sink,
                gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=1) as zipped,
                tarfile.open(fileobj=zipped, mode="w|") as tar,
            ):
                for path, name in _entries():
                    tar.add(path, arcname=name, recursive=False)
        except BaseException as error:
            self._problem = error
