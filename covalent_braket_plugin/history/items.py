"""Named values, and tables of those that are tables: counts, metrics, rows; pure.

pandas and numpy are loaded when a table is made or looked at, not before.
"""

from __future__ import annotations

import base64
import io
import json
import numbers
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from covalent_braket_plugin.errors import MissingPackageError, SerializationError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Item", "counts_frame", "item", "item_of_file", "items_of"]

_NOT_SUCH_A_FILE = (
    ValueError,
    EOFError,
    MemoryError,
    RecursionError,
    zipfile.BadZipFile,
)
"""What readers raise of a file that is not what its name says, or is damaged."""


@dataclass(frozen=True)
class Item:
    """One of a job's results or artefacts.

    Attributes:
        name: The key in the dictionary that the electron returned, or the file's name.
        value: The value, or what the file holds.
        type: ``counts`` (of bit strings), ``metrics`` (columns with ``timestamp`` or
            ``iteration_number``), ``table``, ``array``, ``number``, ``text``, ``bytes``, or the
            name of the value's class.
    """

    name: str
    value: Any
    type: str

    @property
    def value_type(self) -> str:
        """The same as `type`, as Classiq's results call it."""
        return self.type

    @property
    def frame(self) -> pd.DataFrame | None:
        """The value as a table; None if it is no counts, metrics or table."""
        import pandas as pd

        if self.type == "counts":
            return counts_frame(self.value)
        return pd.DataFrame(self.value) if self.type in ("metrics", "table") else None


def items_of(value: Any) -> list[Item]:
    """Take apart what an electron returned: a dictionary's entries, else one ``result``."""
    named = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if not named or not value or _are_counts(value):
        return [item("result", value)]
    return [item(key, each) for key, each in value.items()]


def item_of_file(name: str, data: bytes, *, allow_pickle: bool = False) -> Item:
    """Read a file by the end of its name; it stays bytes if it is not what that says.

    JSON, CSV, Parquet, NumPy's arrays and archives of arrays, and text are read; pickles only if
    that is asked for. Of ``results.json``, as Braket's ``save_job_result`` writes it, the value is
    what was saved.

    Args:
        name: The file's name.
        data: What it holds.
        allow_pickle: Load pickles, which run whatever code the job put there.

    Raises:
        MissingPackageError: It is Parquet, and nothing is installed that reads it.
        SerializationError: A pickle cannot be loaded.
    """
    try:
        return item(name, _read(name.lower(), data, allow_pickle))
    except _NOT_SUCH_A_FILE:
        return Item(name, data, "bytes")


def counts_frame(
    counts: Mapping[str, int],
    *,
    state: str = "*",
    min_count: int = 0,
    sort: Literal["count", "state"] = "count",
) -> pd.DataFrame:
    """Make a table of measurement counts, with the columns ``state, count, probability``.

    Args:
        counts: How often each bit string was measured.
        state: Only states like this: ``?`` stands for any bit, ``*`` for any number of them, so
            that ``1?0`` is both 100 and 110.
        min_count: Only states that were measured so often.
        sort: By ``count``, the most frequent first, or by ``state``.

    Returns:
        The table; probabilities are shares of all counts, also of those left out.
    """
    import pandas as pd

    total = sum(counts.values()) or 1
    rows = [
        (each, int(count), count / total)
        for each, count in counts.items()
        if count >= min_count and fnmatchcase(each, state)
    ]
    rows.sort(key=lambda row: (-row[1], row[0]) if sort == "count" else (0, row[0]))
    return pd.DataFrame(rows, columns=["state", "count", "probability"])


def item(name: str, value: object) -> Item:
    """Name a value, and say of which type it is."""
    return Item(name, value, _type_of(value))


def _type_of(value: Any) -> str:
    if _are_counts(value):
        return "counts"
    if _are_columns(value):
        return "metrics" if {"timestamp", "iteration_number"} & set(value) else "table"
    if isinstance(value, list) and value and all(map(_is_row, value)):
        return "table"
    if isinstance(value, numbers.Number) and not isinstance(value, bool):
        return "number"
    known = {"str": "text", "ndarray": "array", "DataFrame": "table", "bytes": "bytes"}
    return known.get(type(value).__name__, type(value).__name__)


def _are_counts(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(key, str) and key and not key.strip("01") for key in value)
        and len({len(key) for key in value}) == 1
        and all(isinstance(n, numbers.Integral) and int(n) >= 0 for n in value.values())
    )


def _are_columns(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(isinstance(key, str) for key in value)
        and all(isinstance(column, list) for column in value.values())
        and len({len(column) for column in value.values()}) == 1
        and all(isinstance(n, int | float) for column in value.values() for n in column)
    )


def _is_row(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and isinstance(each, str | int | float | None)
        for key, each in value.items()
    )


def _read(name: str, data: bytes, allow_pickle: bool) -> object:
    reader = _READERS.get(PurePosixPath(name).suffix)
    return reader(data, allow_pickle) if reader else data


def _json(data: bytes, allow_pickle: bool) -> object:
    return _saved(json.loads(data), allow_pickle)


def _csv(data: bytes, allow_pickle: bool) -> object:
    import pandas as pd

    return pd.read_csv(io.BytesIO(data))


def _parquet(data: bytes, allow_pickle: bool) -> object:
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(data))
    except ImportError as error:
        raise MissingPackageError(
            "A Parquet file is read by pyarrow, which is not installed. Install it with: pip "
            "install pyarrow; or leave this file out, or download it."
        ) from error


def _numpy(data: bytes, allow_pickle: bool) -> object:
    import numpy as np

    found = np.load(io.BytesIO(data), allow_pickle=allow_pickle)
    return {key: found[key] for key in found.files} if hasattr(found, "files") else found


def _pickle(data: bytes, allow_pickle: bool) -> object:
    return _unpickled(data) if allow_pickle else data


def _unpickled(data: bytes) -> object:
    try:
        return pickle.loads(data)
    except Exception as error:  # a pickle is a program
        raise SerializationError(
            f"The pickle cannot be loaded here: {type(error).__name__}: {error}"
        ) from error


def _text(data: bytes, allow_pickle: bool) -> object:
    return data.decode()


_READERS: Mapping[str, Callable[[bytes, bool], object]] = {
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".npy": _numpy,
    ".npz": _numpy,
    ".pkl": _pickle,
    ".pickle": _pickle,
    ".txt": _text,
    ".log": _text,
    ".md": _text,
}
"""By the end of a name: makes a value of bytes, of pickled ones only if that is allowed."""


def _saved(value: Any, allow_pickle: bool) -> Any:
    """Unwrap what Braket's ``save_job_result`` wrote."""
    if not isinstance(value, dict) or "dataDictionary" not in value:
        return value
    saved = value["dataDictionary"]
    if value.get("dataFormat") == "plaintext":
        return saved
    if value.get("dataFormat") == "pickled_v4" and allow_pickle:
        return {key: _unpickled(base64.b64decode(text)) for key, text in saved.items()}
    return value
