"""What a job left: its record, and the files that the electron wrote as results."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from covalent_braket_plugin import collecting
from covalent_braket_plugin.descriptions import JobSummary
from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.history import archive
from covalent_braket_plugin.history.archive import ArtifactFile
from covalent_braket_plugin.history.items import Item, item_of_file
from covalent_braket_plugin.history.state import JobState
from covalent_braket_plugin.history.streams import ObjectStream
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.protocol import Outcome

__all__ = ["MAX_ARTIFACTS_IN_MEMORY_BYTES", "MAX_ARTIFACT_BYTES", "JobFiles"]

MAX_ARTIFACT_BYTES = 8 * 1024**3
MAX_ARTIFACTS_IN_MEMORY_BYTES = 256 * 1024**2
STREAM_BYTES = 1024 * 1024


class JobFiles(JobState):
    """A job, and what it left in S3.

    Args:
        ctx: Settings and calls.
        job: What is known of it.
    """

    def __init__(self, ctx: Context, job: JobSummary) -> None:
        super().__init__(ctx, job)
        self._ending: tuple[Outcome | None, IntegrityError | None] | None = None

    @property
    def result_files(self) -> tuple[int, list[ArtifactFile]]:
        """How many result files its record counts, and those of them that it names.

        Nothing is read but the record; none if there is none, or the job has not ended.
        """
        outcome = self._left[0] if self.ended else None
        if outcome is None:
            return 0, []
        files = [ArtifactFile(file.name, file.size) for file in outcome.files or ()]
        return outcome.result_files, files

    @property
    def checkpoints(self) -> tuple[int, str]:
        """How many files it had in its checkpoint directory at its end, and where they are kept.

        The second is an S3 URI, empty for a job without checkpoints. What an electron saved is
        deleted when it has completed.
        """
        outcome = self._left[0] if self.ended else None
        return outcome.checkpoints if outcome else 0, self.description.checkpoints

    def result_archive(self) -> str:
        """Say where the archive of its result files is: an S3 URI, empty if there is none.

        Braket's own comes first; the worker makes one if the electron does not complete.

        Raises:
            JobNotEndedError: The job has not ended.
            AwsError: AWS refused or did not answer.
        """
        found = self._archive_key()
        return self.description.keys.uri(found[0]) if found else ""

    def artifact_files(self, max_bytes: int = MAX_ARTIFACT_BYTES) -> list[ArtifactFile]:
        """List the files that the electron left in Braket's result directory; empty if none.

        The job's record names them, if there are not very many; else the archive is read.

        Args:
            max_bytes: Give up if they take more.

        Raises:
            JobNotEndedError: The job has not ended.
            IntegrityError: The archive is damaged, or larger.
            AwsError: AWS refused or did not answer.
        """
        known = self._known_files
        if known is not None:
            return known if self._archive_key() else []
        with self._archive(max_bytes) as packed:
            return archive.listed(packed, max_bytes) if packed else []

    def artifacts(
        self,
        *names: str,
        max_bytes: int = MAX_ARTIFACTS_IN_MEMORY_BYTES,
        allow_pickle: bool = False,
    ) -> list[Item]:
        """Read those files by their names' ends: see `item_of_file`; what is unknown stays bytes.

        Args:
            names: Only these, also as patterns such as ``"*.npy"``; none: all.
            max_bytes: Give up if all files up to the last of them take more.
            allow_pickle: Load pickles, which run whatever code the job put there.

        Raises:
            JobNotEndedError: The job has not ended.
            IntegrityError: The archive is damaged, or larger.
            MissingPackageError: A package that reads such files is not installed.
            SerializationError: A pickle cannot be loaded.
            AwsError: AWS refused or did not answer.
        """
        with self._archive(max_bytes) as packed:
            files = archive.read(packed, max_bytes, self._wanted(names)) if packed else ()
            return [item_of_file(name, data, allow_pickle=allow_pickle) for name, data in files]

    def download(
        self,
        directory: Path | str,
        *names: str,
        max_bytes: int = MAX_ARTIFACT_BYTES,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write those files into a directory.

        Args:
            directory: It is made if it is not there.
            names: Only these, also as patterns such as ``"*.npy"``; none: all. The archive is read
                no further than the last of them.
            max_bytes: Give up if all files up to the last of them take more.
            overwrite: Replace files that are there already.

        Returns:
            The files.

        Raises:
            JobNotEndedError: The job has not ended.
            IntegrityError: The archive is damaged, or larger.
            AwsError: AWS refused or did not answer.
            FileExistsError: A file is there already, and is not to be replaced.
            OSError: A file cannot be written.
        """
        target = Path(directory)
        if not overwrite:
            self._demand_room(target, names)
        with self._archive(max_bytes) as packed:
            if packed is None:
                return []
            wanted = self._wanted(names)
            return archive.extract(packed, target, max_bytes, wanted, overwrite=overwrite)

    @property
    def _left(self) -> tuple[Outcome | None, IntegrityError | None]:
        """What the job left, and what is wrong with that."""
        if self._ending is None:
            self._ending = collecting.left(self._ctx, self.description)
        return self._ending

    @property
    def _known_files(self) -> list[ArtifactFile] | None:
        """The result files as the job's record names them; None if it does not name all."""
        self._require_end("has left no files")
        count, files = self.result_files
        return files if self._left[0] is not None and count == len(files) else None

    def _wanted(self, names: tuple[str, ...]) -> list[str]:
        """Write patterns out where that is known, so that nothing is read beyond the last file."""
        known = self._known_files
        if known is None or not any(map(archive.is_pattern, names)):
            return list(names)
        found = [file.name for file in known if archive.chosen(file.name, names)]
        return found or list(names)

    def _demand_room(self, directory: Path, names: tuple[str, ...]) -> None:
        """Refuse to write over files, before the first is written, as far as it is known."""
        for file in self._known_files or ():
            target = directory / file.name
            if archive.chosen(file.name, names) and os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))

    def _archive_key(self) -> tuple[str, int] | None:
        """Find the key and the size of the archive of the result files; None if there is none."""
        self._require_end("has left no files")
        keys, storage = self.description.keys, self._ctx.storage
        for key in (keys.model_archive, keys.results):
            size = storage.size_of(keys.bucket, key)
            if size is not None:
                return key, size
        return None

    @contextmanager
    def _archive(self, max_bytes: int) -> Iterator[BinaryIO | None]:
        """Read the archive of the result files from S3; None if there is none."""
        found, keys = self._archive_key(), self.description.keys
        if found is None:
            yield None
            return
        key, size = found
        if size > max_bytes:
            raise IntegrityError(
                f"{keys.uri(key)} has {size} bytes, more than {max_bytes}: raise "
                "max_bytes (--max-bytes), or copy it with: aws s3 cp"
            )
        with ObjectStream(self._ctx.jobs.clients, keys.bucket, key) as stream:
            yield io.BufferedReader(stream, STREAM_BYTES)
