"""Bytes to values and back: pickles one after the other in one file, each with its digest.

The dispatcher only ever copies pickles (`PayloadWriter`); the container verifies the file and
loads them (`verify`, `load_part`) and pickles what an electron returned (`dump_value`).
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import FunctionType, TracebackType
from typing import IO, Any

from covalent_braket_plugin import tobj
from covalent_braket_plugin.errors import DigestError, SerializationError, TruncatedError
from covalent_braket_plugin.protocol import Manifest, Part, Versions

__all__ = [
    "PayloadWriter",
    "covalent_hint",
    "dump_value",
    "file_sha256",
    "load_part",
    "own_versions",
    "verify",
    "why_unpicklable",
]

_CHUNK_BYTES = 1024 * 1024
_SPOOL_BYTES = 8 * 1024 * 1024
_LONG_PICKLE_BYTES = 1024 * 1024
"""Beyond this, a value's text form is abbreviated: ``str`` of 50 MB of bytes takes 200 MB."""
_TEXT_CHARACTERS = 10_000


def own_versions() -> Versions:
    """What this interpreter pickles and loads with."""
    import cloudpickle

    return Versions(platform.python_version(), cloudpickle.__version__)


class PayloadWriter:
    """Writes pickles one after the other into one file, as a context manager.

    Args:
        path: The file to write.
    """

    def __init__(self, path: Path) -> None:
        self.parts: list[Part] = []
        self.size = 0
        self._path = path
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> PayloadWriter:
        """Open the file."""
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def sha256(self) -> str:
        """Digest of all that was written so far, in hexadecimal."""
        return self._digest.hexdigest()

    def add(self, chunks: Iterable[bytes], name: str) -> int:
        """Append one pickle.

        Args:
            chunks: Its bytes.
            name: What it is, for errors.

        Returns:
            The number of the new part.
        """
        if self._file is None:
            raise ValueError("PayloadWriter is used outside of its context")
        offset, digest = self.size, hashlib.sha256()
        for chunk in chunks:
            self._file.write(chunk)
            digest.update(chunk)
            self._digest.update(chunk)
            self.size += len(chunk)
        self.parts.append(Part(offset, self.size - offset, digest.hexdigest(), name))
        return len(self.parts) - 1


def file_sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, manifest: Manifest) -> None:
    """Check that a payload is what its manifest says.

    Raises:
        TruncatedError: It has another size.
        DigestError: It has another digest.
    """
    size = path.stat().st_size
    if size != manifest.payload_size:
        raise TruncatedError(
            f"The payload has {size} bytes where its manifest says {manifest.payload_size}: "
            "it was damaged on the way, and is not loaded"
        )
    found = file_sha256(path)
    if found != manifest.payload_sha256:
        raise DigestError(
            f"The payload's SHA-256 is {found}, its manifest says {manifest.payload_sha256}: "
            "it was changed or damaged on the way, and is not loaded"
        )


def load_part(path: Path, part: Part) -> Any:
    """Unpickle one part of a verified payload.

    Raises:
        SerializationError: It cannot be loaded here; the text names the object and the cause.
    """
    import cloudpickle

    with path.open("rb") as file:
        file.seek(part.offset)
        data = file.read(part.size)
    try:
        return cloudpickle.loads(data)
    except Exception as error:
        raise SerializationError(
            f"{part.name} cannot be unpickled here: {type(error).__name__}: {error}."
            f"{covalent_hint(error) or _module_hint(error)}"
        ) from error


def covalent_hint(error: BaseException) -> str:
    """Say what to do if Covalent itself is missing where the electron runs; else an empty text."""
    missing = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    if missing.partition(".")[0] != "covalent":
        return ""
    return (
        " It uses covalent, which AWS's own images do not hold: install it with "
        "deps_pip=ct.DepsPip(['covalent']), or use an image of your own that has it "
        "(covalent-braket image build)."
    )


def _module_hint(error: Exception) -> str:
    if not isinstance(error, ModuleNotFoundError):
        return ""
    return (
        f" The module {error.name!r} is not there where the electron runs: put it into "
        "the image, install it with deps_pip=ct.DepsPip([...]), or, if it is your own, "
        f"call cloudpickle.register_pickle_by_value({error.name}) before you dispatch."
    )


def dump_value(value: Any, path: Path, *, name: str, whole_string: bool = False) -> str:
    """Pickle what an electron returned into a ``.tobj`` file.

    Args:
        value: The object.
        path: The file to write.
        name: What it is, for errors.
        whole_string: Keep the text form whole, however long.

    Returns:
        The file's SHA-256.

    Raises:
        SerializationError: It cannot be pickled; the text names the part that cannot.
    """
    import cloudpickle

    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES, dir=str(path.parent)) as spool:
        try:
            cloudpickle.dump(value, spool)
        except Exception as error:
            raise SerializationError(why_unpicklable(value, error, name)) from error
        text = _text_of(value, spool.tell(), whole_string)
        spool.seek(0)
        with path.open("wb") as target:
            tobj.write(
                target,
                spool,
                text=text,
                name=str(getattr(value, "__name__", "") or ""),
                versions=own_versions(),
            )
    return file_sha256(path)


def _text_of(value: Any, pickled_bytes: int, whole: bool) -> str:
    kind = type(value)
    if not whole and pickled_bytes > _LONG_PICKLE_BYTES and kind.__module__ != "numpy":
        return f"<{kind.__module__}.{kind.__qualname__}: {pickled_bytes} bytes pickled>"
    try:
        text = str(value)
    except Exception:
        text = object.__repr__(value)
    return text if whole or len(text) <= _TEXT_CHARACTERS else text[:_TEXT_CHARACTERS] + " ..."


def why_unpicklable(value: Any, error: Exception, name: str = "") -> str:
    """Say which object cannot be pickled, and which part of it is to blame.

    Args:
        value: The object.
        error: What pickling it raised.
        name: What it is, such as ``The value that f() returned``.
    """
    reason = str(error).partition("\n")[0]  # what explains it may stand there already
    culprit, kind = "value", ""
    with contextlib.suppress(Exception):  # reading a user's object may run any code of theirs
        culprit, kind = _find_culprit(value)
    what = f"{name or _described(value)} cannot be pickled: {type(error).__name__}: {reason}."
    where = f" The part that cannot is {culprit}, a {kind}." if culprit != "value" else ""
    return (
        f"{what}{where} Use plain data instead: numbers, arrays, dictionaries, or objects without "
        "open files, locks, sockets or generators; make such things inside the electron."
    )


def _described(value: Any) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    name = getattr(value, "__qualname__", None)
    return f"{name} (a {kind})" if isinstance(name, str) else f"An object of {kind}"


def _find_culprit(value: Any, path: str = "value", depth: int = 4) -> tuple[str, str]:
    """Walk into containers and attributes to the innermost object that cannot be pickled."""
    for label, child in _children(value, path):
        if depth and not _picklable(child):
            return _find_culprit(child, label, depth - 1)
    return path, f"{type(value).__module__}.{type(value).__qualname__}"


def _children(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{path}[{key!r}]", item) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, FunctionType):
        return _function_parts(value)
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        return [(f"{path}.{key}", item) for key, item in attributes.items()]
    return []


def _function_parts(function: FunctionType) -> list[tuple[str, Any]]:
    parts = []
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    for name, cell in cells:
        with contextlib.suppress(ValueError):  # a variable that is not bound yet
            parts.append((f"the enclosed variable {name}", cell.cell_contents))
    used = (name for name in function.__code__.co_names if name in function.__globals__)
    return parts + [(f"the global variable {name}", function.__globals__[name]) for name in used]


def _picklable(value: Any) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True
