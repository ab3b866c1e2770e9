"""What the text files of electrons say: errors, sources; never more of them than can be shown."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

__all__ = ["error_text", "head", "short_error"]

ERROR_BYTES = 1024 * 1024
SHORT_ERROR_CHARS = 2000


def short_error(files: Mapping[str, Path]) -> str:
    """Read the beginning of what a node's error says, or the end of its stderr."""
    error, stderr = (_stamped(files[key]) if key in files else None for key in ("error", "stderr"))
    if error is not None and (text := _head(*error)):
        return text
    return _last_line(*stderr) if stderr is not None else ""


def error_text(files: Mapping[str, Path], limit: int = ERROR_BYTES) -> str:
    """Read what a node's error and stderr say, of each at most so many bytes from its end."""
    texts = [_tail(files[key], limit).strip("\n") for key in ("error", "stderr") if key in files]
    told = [text for text in texts if text]
    if len(told) == 2 and told[1] in told[0]:
        del told[1]
    return "\n\n".join(told)


def _stamped(path: Path) -> tuple[Path, int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return (path, about.st_size, about.st_mtime_ns) if about.st_size else None


# A page asks again and again, and an ended electron says the same each time.
@functools.lru_cache(maxsize=4096)
def _head(path: Path, size: int, changed_ns: int) -> str:
    text = head(path, SHORT_ERROR_CHARS * 4).strip()
    return text if len(text) <= SHORT_ERROR_CHARS else f"{text[:SHORT_ERROR_CHARS]} ..."


@functools.lru_cache(maxsize=4096)
def _last_line(path: Path, size: int, changed_ns: int) -> str:
    lines = _tail(path, SHORT_ERROR_CHARS).strip().splitlines()
    cancelled = (line for line in lines if line.startswith("Cancelled: "))
    return next(cancelled, lines[-1]) if lines else ""


def head(path: Path, limit: int) -> str:
    """Read the beginning of a text; empty if there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def _tail(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - limit))
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""
