"""One checkpoint as one file: a zip of ``data.json`` and the parts that it names.

The zip's comment, which is the file's end, is a SHA-256 over the whole file with zeros in its own
place. So a file that is cut off, or of which a bit has changed, is told before any of it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from covalent_braket_plugin.job.tree import Part, flatten, rebuild

__all__ = ["Archive", "DamagedError", "read", "write"]

FORMAT = 1
DATA = "data.json"
ZEROS = b"0" * 64
CHUNK_BYTES = 1024 * 1024


class DamagedError(Exception):
    """A file is not a whole checkpoint."""


@dataclass(frozen=True)
class Archive:
    """A whole checkpoint, of which nothing is unpacked yet.

    Attributes:
        path: The file.
        generation: Which one it is of its name; each is one more than the one before.
        inputs: Digest of the inputs of the electron that saved it; empty if it had none.
        tree: Its values, as `covalent_braket_plugin.job.tree` wrote them.
        pickled: Whether it holds pickles.
    """

    path: Path
    generation: int
    inputs: str
    tree: Any
    pickled: bool

    def data(self, *, allow_pickle: bool) -> Any:
        """Unpack it.

        Raises:
            DamagedError: It says that it holds no pickles, and does: whoever can write to the
                bucket may have made it.
        """
        with zipfile.ZipFile(self.path) as archive:

            def load(kind: str, number: int) -> Any:
                if kind == "pickle" and not allow_pickle:
                    raise DamagedError(f"{self.path} holds pickles, and says that it holds none")
                return _load(archive, kind, number)

            return rebuild(self.tree, load)


class _Digesting(io.RawIOBase):
    """Writes to a file and digests what it writes; it cannot seek, so a zip is written in order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)


def write(
    file: IO[bytes], data: object, generation: int, inputs: str, *, allow_pickle: bool
) -> None:
    """Write data to a new file; see `Archive` for the rest.

    Raises:
        TypeError: Something does not fit; nothing has been written then.
    """
    tree, parts = flatten(data, allow_pickle=allow_pickle)
    pickled = any(part.kind == "pickle" for part in parts)
    head = {"format": FORMAT, "generation": generation, "inputs": inputs, "pickled": pickled}
    out = _Digesting(file)
    with zipfile.ZipFile(out, "w") as archive:
        for number, part in enumerate(parts):
            with archive.open(f"{number}.{part.kind}", "w", force_zip64=True) as entry:
                _dump(part, entry)
        archive.writestr(DATA, json.dumps({**head, "tree": tree}))
        archive.comment = ZEROS
    file.seek(-len(ZEROS), io.SEEK_END)
    file.write(out.digest.hexdigest().encode())


def _dump(part: Part, entry: IO[bytes]) -> None:
    if part.kind == "npy":
        import numpy

        # In chunks, whereas numpy.save would make a copy of an array that is not contiguous.
        numpy.lib.format.write_array(entry, part.value, allow_pickle=False)
    elif part.kind == "bin":
        entry.write(part.value)
    else:
        import cloudpickle

        cloudpickle.dump(part.value, entry)


def read(path: Path) -> Archive:
    """Look into a file and see that all of it is there.

    Raises:
        FileNotFoundError: There is none.
        DamagedError: It is not a whole checkpoint.
        ValueError: A newer version of this package wrote it.
    """
    with path.open("rb") as file:
        found, said = _digest(file)
    if found != said:
        raise DamagedError(f"{path} is damaged, or was not written to its end")
    with zipfile.ZipFile(path) as archive:
        head = json.loads(archive.read(DATA))
    if head["format"] != FORMAT:
        raise ValueError(
            f"{path} is a checkpoint of format {head['format']}, this version of "
            f"covalent-braket-plugin reads {FORMAT}"
        )
    return Archive(path, head["generation"], head["inputs"], head["tree"], head["pickled"])


def _digest(file: IO[bytes]) -> tuple[str, str]:
    """Compute a file's digest, and read the one that it says."""
    left = file.seek(0, io.SEEK_END) - len(ZEROS)
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            break
        digest.update(chunk)
        left -= len(chunk)
    digest.update(ZEROS)
    return digest.hexdigest(), file.read().decode("ascii", "replace")


def _load(archive: zipfile.ZipFile, kind: str, number: int) -> Any:
    with archive.open(f"{number}.{kind}") as entry:
        if kind == "npy":
            import numpy

            return numpy.lib.format.read_array(entry, allow_pickle=False)
        if kind == "bin":
            return entry.read()
        import cloudpickle

        return cloudpickle.load(entry)
