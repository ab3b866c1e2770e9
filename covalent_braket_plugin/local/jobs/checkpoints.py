"""Keeps S3 in step with a job's checkpoint directory while the job writes to it."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from covalent_braket_plugin.local.jobs.transfers import Transfers

__all__ = ["CheckpointSync"]

TRIES = 3
COPY_BYTES = 1024 * 1024

Signature = tuple[int, int]


class CheckpointSync:
    """Uploads changed files; nothing is deleted. Its methods may be called by several threads.

    Args:
        transfers: Moves the files.
        staging: Where a private copy of a file is made: a file that changes while it is sent
            would break the request.
    """

    def __init__(self, transfers: Transfers, staging: Path) -> None:
        self._transfers = transfers
        self._staging = staging
        self._known: dict[Path, Signature] = {}
        self._lock = threading.Lock()
        self._last = threading.Event()

    def baseline(self) -> None:
        """Take what is there now for known: it was just restored."""
        self._known = self._files()

    def sync(self) -> None:
        """Upload what is new or changed; a file that is being written is left for later."""
        with self._lock:
            self._upload_changed(halting=True)

    def finish(self, timeout: float) -> None:
        """Upload the rest once the job has ended; a `sync` under way gives up.

        Args:
            timeout: Seconds to wait for that.

        Raises:
            TimeoutError: It did not.
            OSError: A file still changes, or cannot be read.
        """
        self._last.set()
        if not self._lock.acquire(timeout=timeout):
            raise TimeoutError("an earlier upload of checkpoints hangs")
        try:
            left = self._upload_changed(halting=False)
        finally:
            self._lock.release()
        if left:
            raise OSError(f"checkpoint {left[0].name} cannot be read in one piece")

    def _upload_changed(self, *, halting: bool) -> list[Path]:
        """Returns the files that could not be copied."""
        left: list[Path] = []
        for path, signature in self._files().items():
            if halting and self._last.is_set():
                return left
            if self._known.get(path) == signature:
                continue
            copied = _copy(path, self._staging)
            if copied is None:
                left.append(path)
                continue
            halted = self._last.is_set if halting else None
            self._transfers.keep_checkpoint(path, self._staging, halted)
            self._known[path] = copied
        self._staging.unlink(missing_ok=True)
        return left

    def _files(self) -> dict[Path, Signature]:
        directory = self._transfers.checkpoint_directory
        found: dict[Path, Signature] = {}
        for path in [] if directory is None else directory.rglob("*"):
            try:
                status = path.lstat()
            except OSError:
                continue  # it was there a moment ago
            if stat.S_ISREG(status.st_mode):
                found[path] = _signature(status)
        return found


def _copy(path: Path, target: Path) -> Signature | None:
    """Copy a file as it was at one moment; returns that moment's signature, None if it moves."""
    for _ in range(TRIES):
        try:
            # Neither a link out of the directory nor a pipe that nobody writes to.
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            before = _signature(os.fstat(file))
            copied = _copy_bytes(file, target, before[1])
            if copied == before[1] and _signature(os.fstat(file)) == before:
                return before
        finally:
            os.close(file)
    return None


def _copy_bytes(source: int, target: Path, size: int) -> int:
    done = 0
    with target.open("wb") as file:
        while done < size:
            part = os.read(source, min(COPY_BYTES, size - done))
            if not part:
                break
            done += file.write(part)
    return done


def _signature(status: os.stat_result) -> Signature:
    return status.st_mtime_ns, status.st_size
