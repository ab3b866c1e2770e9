"""What moves between S3 and a job's directory: inputs, checkpoints and results.

Everything is copied a part at a time, so that the local Braket's memory does not grow with it.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from covalent_braket_plugin.local.aws_clients import S3, AwsClients, Halted, HaltedTransfer
from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_files import JobTree
from covalent_braket_plugin.local.jobs.s3_uri import bucket_and_key

__all__ = ["Transfers"]


class Transfers:
    """Moves one job's data.

    Args:
        clients: Where AWS clients come from.
        job: The job.
        tree: Its directory.
    """

    def __init__(self, clients: AwsClients, job: Job, tree: JobTree) -> None:
        self._s3 = S3(clients)
        self._job = job
        self._tree = tree

    @property
    def checkpoint_directory(self) -> Path | None:
        """Where the job keeps its checkpoints, None if it keeps none."""
        if self._job.checkpoint is None:
            return None
        return self._tree.checkpoints(self._job.checkpoint[1])

    def fetch(self) -> None:
        """Copy the input channels, and the checkpoints of an earlier job, into the directory.

        Raises:
            HaltedTransfer: The job was cancelled meanwhile.
        """
        for channel in self._job.request.get("inputDataConfig") or []:
            uri = channel["dataSource"]["s3DataSource"]["s3Uri"]
            self._fetch_channel(uri, self._tree.channel(channel["channelName"]))
        if self._job.checkpoint is not None and self.checkpoint_directory is not None:
            bucket, prefix = bucket_and_key(self._job.checkpoint[0])
            self._fetch_prefix(bucket, _folder(prefix), self.checkpoint_directory)

    def keep(self) -> None:
        """Upload ``model.tar.gz``, and ``output.tar.gz``, where the job left something."""
        for name, directory in (
            ("model", self._tree.model),
            ("output", self._tree.output_data),
        ):
            if directory.is_dir() and any(directory.iterdir()):
                self._upload_archive(name, directory)

    def keep_checkpoint(self, path: Path, copy: Path, halted: Halted | None) -> None:
        """Upload one file of the checkpoint directory.

        Args:
            path: The file.
            copy: A copy of it, which nobody changes.
            halted: Whether to give up; asked now and then.
        """
        if self._job.checkpoint is None or self.checkpoint_directory is None:
            return
        bucket, prefix = bucket_and_key(self._job.checkpoint[0])
        key = _folder(prefix) + path.relative_to(self.checkpoint_directory).as_posix()
        self._s3.upload(self._job.region, bucket, key, copy, halted)

    def _fetch_channel(self, uri: str, target: Path) -> None:
        """Copy a channel as the service does.

        An object goes to its own name, alone, a directory's content goes below the channel, and
        a prefix that is neither takes every key that begins with it.
        """
        bucket, prefix = bucket_and_key(uri)
        target.mkdir(parents=True, exist_ok=True)
        keys = [key for key in self._keys(bucket, prefix) if not key.endswith("/")]
        if not keys:
            raise FileNotFoundError(f"No S3 objects found under {uri}")
        if prefix in keys:
            keys = [prefix]
        base = _channel_base(prefix, keys)
        for key in keys:
            if key.startswith(base):
                self._fetch(bucket, key, target, key[len(base) :])

    def _fetch_prefix(self, bucket: str, folder: str, target: Path) -> None:
        for key in self._keys(bucket, folder):
            if not key.endswith("/"):
                self._fetch(bucket, key, target, key[len(folder) :])

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        found = []
        for key in self._s3.keys(self._job.region, bucket, prefix):
            if self._job.cancel.is_set():
                raise HaltedTransfer
            found.append(key)
        return found

    def _fetch(self, bucket: str, key: str, target: Path, name: str) -> None:
        # A key may have empty parts, a path has none.
        path = target / name.lstrip("/")
        if not path.resolve().is_relative_to(target.resolve()):
            raise ValueError(f"S3 key {key!r} leads out of the job's directory")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(_clash(key)) from None
        if path.is_dir():
            raise ValueError(_clash(key))
        self._s3.download(self._job.region, bucket, key, path, self._job.cancel.is_set)

    def _upload_archive(self, name: str, directory: Path) -> None:
        archive = self._tree.root / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for entry in sorted(directory.iterdir()):
                tar.add(entry, arcname=entry.name)
        bucket, prefix = bucket_and_key(self._job.request["outputDataConfig"]["s3Path"])
        key = f"{_folder(prefix)}output/{archive.name}"
        self._s3.upload(self._job.region, bucket, key, archive)
        archive.unlink()


def _folder(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""


def _channel_base(prefix: str, keys: list[str]) -> str:
    """The part of the keys that is not part of the names below the channel."""
    if prefix not in keys and any(key.startswith(_folder(prefix)) for key in keys):
        return _folder(prefix)
    return prefix[: prefix.rfind("/") + 1]


def _clash(key: str) -> str:
    return f"S3 key {key!r} cannot become a file: another key needs a directory where one is"
