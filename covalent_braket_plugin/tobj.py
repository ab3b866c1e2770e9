"""Covalent's file format of a pickled object (``.tobj``), read and written as a stream.

The layout, as ``covalent/_workflow/transportable_object.py`` (0.240.0) writes it::

    8 bytes   offset of the text form, big-endian
    8 bytes   offset of the data, big-endian
    header    JSON: py_version, cloudpickle_version, attrs: {doc, name}
    text      str(object), UTF-8
    data      the cloudpickle, in base64

Nothing here unpickles anything, and nothing is loaded into memory whole.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.protocol import Versions

__all__ = ["Header", "pickle_chunks", "read_header", "read_text", "write"]

_OFFSETS_BYTES = 16
_CHUNK_BYTES = 3 * 4 * 64 * 1024
"""A multiple of 3 and of 4, so that base64 can be coded chunk by chunk."""

TEXT_HEAD_BYTES = 512
MAX_HEADER_BYTES = 256 * 1024 * 1024
"""A header holds a name and a docstring; what claims to be larger is not a header."""


@dataclass(frozen=True)
class Header:
    """What a ``.tobj`` file says about itself before the pickle.

    Attributes:
        versions: What pickled the object.
        name: The object's ``__name__``; empty if it has none.
        text_head: The first bytes of the object's ``str()``, as text.
        text_offset: Where the whole of it starts, in bytes.
        data_offset: Where the base64 data starts, in bytes.
    """

    versions: Versions
    name: str
    text_head: str
    text_offset: int
    data_offset: int


def read_header(path: Path) -> Header:
    """Read the header of a ``.tobj`` file.

    Raises:
        IntegrityError: The file is not in this format.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        text_offset = int.from_bytes(file.read(8), "big")
        data_offset = int.from_bytes(file.read(8), "big")
        size = os.fstat(file.fileno()).st_size
        fits = _OFFSETS_BYTES <= text_offset <= data_offset <= size
        if not fits or text_offset > MAX_HEADER_BYTES:
            raise IntegrityError(f"{path.name} is not a pickled Covalent object")
        header = file.read(text_offset - _OFFSETS_BYTES)
        text = file.read(min(TEXT_HEAD_BYTES, data_offset - text_offset))
    try:
        raw = json.loads(header)
        attrs = raw.get("attrs") or {}
        versions = Versions(raw["py_version"], raw.get("cloudpickle_version", ""))
        name = str(attrs.get("name") or "")
    except (ValueError, KeyError, AttributeError) as error:
        raise IntegrityError(f"{path.name} has no readable header: {error}") from error
    return Header(versions, name, text.decode("utf-8", "replace"), text_offset, data_offset)


def read_text(path: Path, limit: int) -> str:
    """Read the object's ``str()``, at most so many bytes of it.

    Raises:
        IntegrityError: The file is not in this format.
        OSError: The file cannot be read.
    """
    header = read_header(path)
    with path.open("rb") as file:
        file.seek(header.text_offset)
        text = file.read(min(limit, header.data_offset - header.text_offset))
    return text.decode("utf-8", "replace")


def pickle_chunks(path: Path) -> Iterator[bytes]:
    """Stream the pickle out of a ``.tobj`` file.

    Raises:
        IntegrityError: The data is not base64.
    """
    offset = read_header(path).data_offset
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(_CHUNK_BYTES):
            try:
                yield binascii.a2b_base64(chunk, strict_mode=True)
            except binascii.Error as error:
                raise IntegrityError(f"{path.name} is damaged: {error}") from error


def write(
    target: IO[bytes], pickled: IO[bytes], *, text: str, name: str, versions: Versions
) -> None:
    """Write a ``.tobj`` file.

    Args:
        target: Where to write.
        pickled: The pickle, read to its end.
        text: The object's text form, shown by Covalent.
        name: The object's ``__name__``, or empty.
        versions: What pickled the object.
    """
    header = json.dumps(
        {
            "py_version": versions.python or platform.python_version(),
            "cloudpickle_version": versions.cloudpickle,
            "attrs": {"doc": "", "name": name},
        }
    ).encode()
    encoded = text.encode("utf-8", "replace")
    text_offset = _OFFSETS_BYTES + len(header)
    target.write(text_offset.to_bytes(8, "big"))
    target.write((text_offset + len(encoded)).to_bytes(8, "big"))
    target.write(header)
    target.write(encoded)
    while chunk := pickled.read(_CHUNK_BYTES):
        target.write(base64.b64encode(chunk))
