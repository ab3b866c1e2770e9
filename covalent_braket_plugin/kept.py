"""What came back of a task, noted beside its files until Covalent has copied them; all blocking.

S3 is cleared before Covalent has the result. A server that is killed in between would lose it, were
it not for this note: the next one finds the files where the first had put them.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from covalent_braket_plugin.collecting import Collected, Texts

__all__ = ["keep", "read"]

NOTE = "kept.json"

log = logging.getLogger(__name__)


def keep(place: Path, collected: Collected) -> None:
    """Note what came back; a full disk is no reason to lose it.

    Args:
        place: Directory of the files.
        collected: What came back; not of Covalent's own steps, which can be run again.
    """
    if collected.job is None:
        return
    note = {
        "job": collected.job.arn,
        "kind": collected.kind,
        "values": {node: path.name for node, path in collected.values.items()},
        "texts": {node: _names(texts) for node, texts in collected.texts.items()},
        "rest": _names(collected.rest),
    }
    half = place / f"{NOTE}.half"
    try:
        half.write_text(json.dumps(note), encoding="utf-8")
        os.replace(half, place / NOTE)
    except OSError as error:
        log.warning("What came back of %s is not noted: %s", collected.job.arn, error)


def read(place: Path, job_arn: str) -> Collected | None:
    """Find what an earlier server brought back of a job; None if not all of it is there."""
    try:
        note = json.loads((place / NOTE).read_text(encoding="utf-8"))
        if note["job"] != job_arn:
            return None
        values = {int(node): place / name for node, name in note["values"].items()}
        texts = {int(node): _texts(place, names) for node, names in note["texts"].items()}
        rest = _texts(place, note["rest"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    files = [*values.values(), *(file for each in (*texts.values(), rest) for file in _files(each))]
    if not all(file.is_file() for file in files):
        return None
    return Collected({}, values, texts, rest, kind=note["kind"])


def _files(texts: Texts) -> list[Path]:
    return [file for file in (texts.stdout, texts.stderr, texts.error) if file is not None]


def _names(texts: Texts) -> list[str | None]:
    files = (texts.stdout, texts.stderr, texts.error)
    return [None if file is None else file.name for file in files]


def _texts(place: Path, names: list[Any]) -> Texts:
    return Texts(*(place / name if name else None for name in names))
