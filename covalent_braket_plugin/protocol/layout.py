"""Where things lie in S3."""

from __future__ import annotations

import re
from dataclasses import dataclass

from covalent_braket_plugin.errors import IntegrityError

__all__ = [
    "Keys",
    "Place",
    "Task",
    "checkpoints_key",
]


@dataclass(frozen=True)
class Task:
    """One thing that we run as one job.

    Attributes:
        dispatch_id: The dispatch's UUID.
        node_id: The graph node; for a packed group, its first node that is the user's own.
        attempt: Counted from 1.
        name: The electron's function name, for people.
        lattice_name: The workflow's name, for people; may be empty.
        origin: The first in the chain of dispatches of which this one is a redispatch; empty if it
            is none.
    """

    dispatch_id: str
    node_id: int
    attempt: int = 1
    name: str = "electron"
    lattice_name: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Keys:
    """The S3 keys of one task, below one bucket.

    Attributes:
        bucket: Bucket name.
        base: Key prefix of the task, without a trailing slash.
    """

    bucket: str
    base: str

    @classmethod
    def of(cls, bucket: str, prefix: str, task: Task) -> Keys:
        """Place ``task`` below ``prefix`` (which may be empty)."""
        parts = [prefix.strip("/"), task.dispatch_id, f"node-{task.node_id}"]
        parts.append(f"attempt-{task.attempt}")
        return cls(bucket, "/".join(part for part in parts if part))

    @classmethod
    def from_manifest_uri(cls, uri: str) -> Keys:
        """Find the task's keys from its manifest's URI.

        Raises:
            IntegrityError: The URI is not the one of a manifest.
        """
        match = re.fullmatch(r"s3://([^/]+)/(.+)/manifest\.json", uri)
        if match is None:
            raise IntegrityError(f"{uri!r} is not the S3 URI of a manifest.json")
        return cls(match[1], match[2])

    @property
    def node_id(self) -> int | None:
        """The task's node; None if the prefix is not one of a task."""
        match = re.search(r"(?:^|/)node-(\d+)/attempt-\d+$", self.base)
        return int(match[1]) if match else None

    @property
    def attempt(self) -> int:
        """Which attempt at the task it is, counted from 1."""
        match = re.search(r"/attempt-(\d+)$", self.base)
        return int(match[1]) if match else 1

    def of_attempt(self, attempt: int) -> Keys:
        """Find the keys of another attempt at the same task."""
        return Keys(self.bucket, re.sub(r"attempt-\d+$", f"attempt-{attempt}", self.base))

    @property
    def manifest(self) -> str:
        """Key of the manifest."""
        return f"{self.base}/manifest.json"

    @property
    def payload(self) -> str:
        """Key of the payload."""
        return f"{self.base}/payload.bin"

    @property
    def source(self) -> str:
        """Key of the worker's archive."""
        return f"{self.base}/worker.tar.gz"

    @property
    def outcome(self) -> str:
        """Key of the outcome."""
        return f"{self.base}/outcome.json"

    @property
    def model_archive(self) -> str:
        """Key of the archive that Braket makes of the result files."""
        return f"{self.base}/job/output/model.tar.gz"

    @property
    def output_uri(self) -> str:
        """What the job gets as its output path."""
        return self.uri(f"{self.base}/job")

    @property
    def results(self) -> str:
        """Key of the archive that the worker makes of result files that Braket may not keep."""
        return f"{self.base}/results.tar.gz"

    def value(self, node_id: int) -> str:
        """Key of the value of a node."""
        return f"{self.base}/value-{node_id}.tobj"

    def stream(self, name: str) -> str:
        """Key of a long stream, ``stdout`` or ``stderr``."""
        return f"{self.base}/{name}.log"

    def uri(self, key: str) -> str:
        """S3 URI of a key."""
        return f"s3://{self.bucket}/{key}"

    @property
    def place(self) -> Place:
        """All that lies with the task."""
        return Place(self.bucket, self.base)

    def own_checkpoints(self, uri: str) -> Place | None:
        """Find the checkpoints of the task's node, which no other node uses.

        Args:
            uri: What a job says of its checkpoints, which may be anything.

        Returns:
            None if they are not below the same prefix, of another node, or named by users.
        """
        match = re.fullmatch(r"((?:.+/)?)[^/]+/node-(\d+)/attempt-\d+", self.base)
        if match is None:
            return None
        below = re.escape(f"s3://{self.bucket}/{match[1]}checkpoints/")
        found = re.fullmatch(rf"{below}((?!named/)[^/]+/node-{match[2]}/saved)", uri)
        return Place(self.bucket, f"{match[1]}checkpoints/{found[1]}") if found else None


@dataclass(frozen=True)
class Place:
    """A folder in S3.

    Attributes:
        bucket: Bucket name.
        key: Its key, without a trailing slash.
    """

    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> Place:
        """Read an S3 URI.

        Raises:
            IntegrityError: It is none.
        """
        match = re.fullmatch(r"s3://([^/]+)/(.*[^/])/*", uri)
        if match is None:
            raise IntegrityError(f"{uri!r} is not the S3 URI of a folder")
        return cls(match[1], match[2])


def checkpoints_key(prefix: str, task: Task, name: str | None) -> str:
    """Place a task's checkpoints below ``prefix`` (which may be empty).

    All attempts at a task share them, and the same node of redispatches; or whoever names them.
    No such key begins with another: it is not known whether Braket takes it for a folder.

    Args:
        prefix: The setting `s3_prefix`.
        task: The task.
        name: The setting `checkpoint_key`.
    """
    own = f"{task.origin or task.dispatch_id}/node-{task.node_id}"
    parts = [prefix.strip("/"), "checkpoints", f"named/{name}" if name else own, "saved"]
    return "/".join(part for part in parts if part)
