"""The contract between the dispatcher and the container.

Both sides agree here on where things lie in S3, how the manifest and the outcome look, which
hyperparameters name them, and what the worker's exit codes mean. Plain data only: no I/O, no
clock, no environment.

One task lives under one S3 prefix::

    {prefix}/{dispatch_id}/node-{node_id}/attempt-{n}/
        manifest.json        describes and verifies payload.bin         written by the dispatcher
        payload.bin          pickles, one after the other               written by the dispatcher
        worker.tar.gz        the worker, for AWS's own images           written by the dispatcher
        value-{node}.tobj    what the electron returned                 written by the worker
        stdout.log, stderr.log   streams too long for the outcome       written by the worker
        outcome.json         the commit mark, always written last       written by the worker
        results.tar.gz       its result files, if it did not complete   written by the worker
        job/output/model.tar.gz   the electron's result files           written by Braket

Beside the tasks, below the same prefix, lies what is not one attempt's alone::

    {prefix}/checkpoints/{key}/saved/   what Braket keeps in step with a job's checkpoint directory
    {prefix}/inputs/{digest}/           local input data, once per content
    {prefix}/inputs/{digest}.done       its commit mark, written last
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from covalent_braket_plugin.errors import IntegrityError, ProtocolError
from covalent_braket_plugin.records import record

__all__ = [
    "EXIT_ELECTRON_FAILED",
    "EXIT_OK",
    "EXIT_TERMINATED",
    "EXIT_WORKER_FAILED",
    "HP_MANIFEST",
    "HP_MANIFEST_SHA256",
    "HP_PROTOCOL",
    "HP_RUN",
    "INLINE_STREAM_BYTES",
    "MAX_LISTED_FILES",
    "OUT_OF_MEMORY",
    "PROTOCOL_VERSION",
    "STOPPED",
    "Budget",
    "Call",
    "Counted",
    "ErrorData",
    "InputChannel",
    "Keys",
    "Manifest",
    "Mismatch",
    "NodeOutcome",
    "Outcome",
    "Part",
    "Place",
    "ResultFile",
    "Stream",
    "Task",
    "Versions",
    "checkpoints_key",
    "image_versions",
    "inputs_digest",
    "mismatches",
]

PROTOCOL_VERSION = 1
"""Raised whenever a side could misread what the other wrote."""

HP_MANIFEST = "covalent_manifest"
HP_MANIFEST_SHA256 = "covalent_manifest_sha256"
HP_PROTOCOL = "covalent_protocol"
HP_RUN = "covalent_run"
"""What the worker is told about its job beside the manifest, as JSON: ``time_limit`` in seconds,
and ``own_checkpoints``: whether its checkpoints are those of this electron alone. An older worker
does without."""

EXIT_OK = 0
EXIT_ELECTRON_FAILED = 1
EXIT_WORKER_FAILED = 2
EXIT_TERMINATED = 143
"""128 + SIGTERM, as shells report it."""

INLINE_STREAM_BYTES = 64 * 1024
"""A longer stdout or stderr becomes an object of its own, so that nobody loads it into memory."""

MAX_LISTED_FILES = 1000
"""So many of an electron's result files are named in its outcome."""

OUT_OF_MEMORY = "the kernel ended a process of the job because its memory was used up"
"""How an error's message says that there is proof of it."""


STOPPED = "Stopped"
"""Type of the error of an electron that stopped by itself before it was done (`job.stop`)."""


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


@dataclass(frozen=True)
class Versions:
    """What decides whether a pickle can be loaded.

    Attributes:
        python: Python's version, such as ``3.11.7``.
        cloudpickle: cloudpickle's version, such as ``2.2.1``; empty if not known.
    """

    python: str
    cloudpickle: str = ""


@dataclass(frozen=True)
class Mismatch:
    """One reason why a pickle cannot be loaded.

    Attributes:
        kind: What differs.
        text: A sentence without its end.
    """

    kind: Literal["python", "cloudpickle"]
    text: str


def mismatches(
    pickled: Versions, loading: Versions, what: str = "the electron"
) -> Iterator[Mismatch]:
    """Say why ``what``, which ``pickled`` wrote, cannot be loaded by ``loading``.

    Code objects do not survive a change of Python's minor version (the interpreter may even
    crash), and cloudpickle's newer major versions write what older ones cannot read, while the
    reverse works. An unknown (empty) version is taken to fit.
    """
    ours_minor, theirs_minor = _minor(pickled.python), _minor(loading.python)
    if ours_minor and theirs_minor and ours_minor != theirs_minor:
        text = f"{what} was pickled by Python {pickled.python}, "
        yield Mismatch("python", f"{text}but it would be loaded by Python {loading.python}")
    ours, theirs = _major(pickled.cloudpickle), _major(loading.cloudpickle)
    if ours is not None and theirs is not None and ours > theirs:
        text = f"{what} was pickled by cloudpickle {pickled.cloudpickle}, "
        text += f"but it would be loaded by cloudpickle {loading.cloudpickle}"
        yield Mismatch("cloudpickle", text)


def image_versions(image_uri: str) -> Versions:
    """Read from an image's tag what it holds: ``...:py312-cloudpickle2.2.1``.

    AWS names Python that way in the tags of its own Braket images
    (``1.0-cpu-py312-ubuntu24.04``); ``cloudpickle`` is our addition. What the tag does not say
    is empty.
    """
    tag = image_uri.rpartition("/")[2].partition(":")[2]
    python = re.search(r"py(\d)(\d{1,2})(?!\d)", tag)
    pickle = re.search(r"cloudpickle(\d+(?:\.\d+)*)", tag)
    return Versions(
        python=f"{python[1]}.{python[2]}" if python else "",
        cloudpickle=pickle[1] if pickle else "",
    )


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2]) if version else ()


def _major(version: str) -> int | None:
    head = version.split(".")[0]
    return int(head) if head.isdigit() else None


@dataclass(frozen=True)
class Part:
    """One pickle inside the payload.

    Attributes:
        offset: Where it starts, in bytes.
        size: How long it is, in bytes.
        sha256: Its digest, in hexadecimal.
        name: What it is, for errors.
    """

    offset: int
    size: int
    sha256: str
    name: str


@dataclass(frozen=True)
class Call:
    """One electron to run, by numbers of parts.

    Attributes:
        node_id: The graph node.
        name: Function name, for people.
        function: Part of the function.
        args: What the positional arguments are: ``{"part": n}`` or ``{"node": id}``, the value
            of an earlier node of the same group.
        kwargs: The same for keyword arguments.
        hooks: Steps around the call, in order; each has ``when`` (``before`` or ``after``) and
            one of ``bash`` (list of commands), ``pip`` (``packages``, ``requirements``) or
            ``call`` (parts ``function``, ``args``, ``kwargs``; and ``keyword``).
        whole_string: Whether the value's text form is needed whole (Covalent reads a built
            sublattice from there).
    """

    node_id: int
    name: str
    function: int
    args: list[dict[str, int]] = field(default_factory=list)
    kwargs: dict[str, dict[str, int]] = field(default_factory=dict)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    whole_string: bool = False


@dataclass(frozen=True)
class Budget:
    """What an electron's quantum tasks may cost, so that `max_cost` is kept; US dollars.

    Attributes:
        usd: For quantum tasks.
        limit: The setting `max_cost`.
        instance: Kept back for the job's instance, for its whole time limit.
        earlier: What earlier attempts have cost at most.
        prices: Of devices by ``region/name``: ``task`` and ``shot``, or ``minute``.
    """

    usd: float
    limit: float
    instance: float
    earlier: float = 0.0
    prices: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """What was counted of an electron's quantum tasks under a `Budget`; US dollars.

    Attributes:
        usd: What they cost, at most as far as it is known.
        limit: The budget for them.
        tasks: How many were made.
        refused: How many were not.
    """

    usd: float
    limit: float
    tasks: int = 0
    refused: int = 0


@dataclass(frozen=True)
class InputChannel:
    """One channel of input data, as the job gets it.

    Attributes:
        name: The channel's name.
        uri: S3 URI of an object, or of a folder, with a slash at its end.
        content: Name of the content below ``inputs/`` of the prefix; empty for data that the user
            has in S3.
        content_type: MIME type of a single file, if its name says it.
    """

    name: str
    uri: str
    content: str = ""
    content_type: str = ""


@dataclass(frozen=True)
class Manifest:
    """Describes and verifies a payload.

    Attributes:
        dispatch_id: The dispatch's UUID.
        versions: What wrote the pickles.
        payload_sha256: Digest of the whole payload.
        payload_size: Its size, in bytes.
        parts: The pickles in it.
        calls: What to run, in order.
        main_node: The node that stdout and stderr belong to: the user's own.
        strict_versions: False: another cloudpickle is a warning only.
        strict_python: False: another minor version of Python is a warning only.
        kms_key_id: Key that encrypts what the worker stores; empty: the bucket's own rule.
        budget: What the quantum tasks may cost; None: there is no limit. It is left out then: a
            worker that does not know it refuses a manifest that has one, as it could not keep it.
        inputs: The channels of input data, the same for all attempts; None, and left out, if there
            are none.
        protocol: Version of this contract.
    """

    dispatch_id: str
    versions: Versions
    payload_sha256: str
    payload_size: int
    parts: list[Part]
    calls: list[Call]
    main_node: int
    strict_versions: bool = True
    strict_python: bool = True
    kms_key_id: str = ""
    budget: Budget | None = None
    inputs: list[InputChannel] | None = None
    protocol: int = PROTOCOL_VERSION

    def to_json(self) -> bytes:
        """Encode for S3."""
        return _encoded(self, "budget", "inputs")

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Decode.

        Raises:
            ProtocolError: It is of another version of the protocol.
            IntegrityError: It is not a manifest.
        """
        return record(cls, _load(data, "manifest"), "manifest")


def inputs_digest(manifest: Manifest, hyperparameters: Mapping[str, str]) -> str:
    """Digest what an electron works on: what was computed of other things is of no use to it.

    Args:
        manifest: Its manifest, for its arguments and its input data.
        hyperparameters: Of its job; ours do not count, nor those that SageMaker adds, such as the
            job's name.
    """
    ours = (HP_MANIFEST, HP_MANIFEST_SHA256, HP_PROTOCOL, HP_RUN)
    given = {
        name: text
        for name, text in hyperparameters.items()
        if name not in ours and not name.startswith("sagemaker_")
    }
    data = [asdict(channel) for channel in manifest.inputs or ()]
    said = [json.dumps([given, data], sort_keys=True)]
    for call in manifest.calls:
        named = [*enumerate(call.args), *sorted(call.kwargs.items())]
        for name, item in named:
            what = manifest.parts[item["part"]].sha256 if "part" in item else item["node"]
            said.append(f"{call.node_id} {name} {what}")
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


@dataclass(frozen=True)
class ErrorData:
    """An exception as data; it never crosses as a pickle.

    Attributes:
        type: Qualified name of the exception's class.
        message: Its text.
        traceback: The whole traceback as Python prints it, causes included.
        location: The user's own line, such as ``File "flow.py", line 12, in energy: ...``.
        phase: ``start``, ``fetch``, ``verify``, ``load``, ``bash``, ``pip``, ``call_before``,
            ``electron``, ``call_after``, ``pickle``, ``upload``, ``terminated``, ``time_limit`` (it
            stopped by itself before) or ``killed``.
        node_id: The node that failed; None if it is not known, or the whole task failed.
        name: That node's function name.
    """

    type: str
    message: str
    traceback: str = ""
    location: str = ""
    phase: str = "electron"
    node_id: int | None = None
    name: str = ""


@dataclass(frozen=True)
class Stream:
    """What was written to stdout or stderr: the text itself, or where a long one lies.

    Attributes:
        text: The text, unless ``key`` is set.
        key: S3 key of the whole text.
        size: Size of the whole text, in bytes.
    """

    text: str = ""
    key: str = ""
    size: int = 0


@dataclass(frozen=True)
class NodeOutcome:
    """What became of one node.

    Attributes:
        node_id: The graph node.
        status: ``completed``, ``failed`` or ``not_run``.
        key: S3 key of the value; empty unless completed.
        size: The value's size, in bytes.
        sha256: The value's digest.
        name: Function name, for people.
    """

    node_id: int
    status: Literal["completed", "failed", "not_run"]
    key: str = ""
    size: int = 0
    sha256: str = ""
    name: str = ""


@dataclass(frozen=True)
class ResultFile:
    """A file that the electron left in the job's result directory.

    Attributes:
        name: Its path in that directory.
        size: Its size, in bytes.
    """

    name: str
    size: int


@dataclass(frozen=True)
class Outcome:
    """What a job left.

    Attributes:
        status: ``completed``, ``failed``, or ``terminated`` (told to stop, or killed).
        nodes: One entry a node.
        stdout: What the electron wrote to stdout.
        stderr: What it wrote to stderr.
        error: Why it failed.
        seconds: How long each phase took, in seconds.
        versions: What ran it.
        result_files: How many files the electron left as results.
        files: Those files, the first `MAX_LISTED_FILES` of them; None, and left out, if there are
            none.
        main_node: The node that stdout and stderr belong to; None if the manifest was never read.
        spent: What was counted of its quantum tasks; None, and left out, if there was no budget.
        device: The quantum device that the job had, an ARN or ``local:...``.
        checkpoints: How many files lay in its checkpoint directory at the end.
        protocol: Version of this contract.
    """

    status: Literal["completed", "failed", "terminated"]
    nodes: list[NodeOutcome]
    stdout: Stream = field(default_factory=Stream)
    stderr: Stream = field(default_factory=Stream)
    error: ErrorData | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    versions: Versions = field(default_factory=lambda: Versions(""))
    result_files: int = 0
    files: list[ResultFile] | None = None
    main_node: int | None = None
    spent: Counted | None = None
    device: str = ""
    checkpoints: int = 0
    protocol: int = PROTOCOL_VERSION

    def node(self, node_id: int) -> NodeOutcome:
        """Find a node's entry; one that is missing did not run."""
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        return NodeOutcome(node_id, "not_run")

    def to_json(self) -> bytes:
        """Encode for S3."""
        return _encoded(self, "spent", "files")

    @classmethod
    def from_json(cls, data: bytes) -> Outcome:
        """Decode.

        Raises:
            ProtocolError: It is of another version of the protocol.
            IntegrityError: It is not an outcome.
        """
        outcome = record(cls, _load(data, "outcome"), "outcome")
        if outcome.status == "completed" and any(n.status != "completed" for n in outcome.nodes):
            raise IntegrityError("The outcome says completed, but a node in it is not: damaged")
        return outcome


def _encoded(made: Manifest | Outcome, *newer: str) -> bytes:
    """Encode; a side that does not know newer fields yet can read it while they are not used."""
    raw = asdict(made)
    return json.dumps(
        {key: raw[key] for key in raw if key not in newer or raw[key] is not None}
    ).encode()


def _load(data: bytes, what: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:  # a job may have written any bytes
        raise IntegrityError(f"The {what} is not JSON: {error}") from error
    if not isinstance(raw, dict) or "protocol" not in raw:
        raise IntegrityError(f"The {what} is not one of ours: it names no protocol")
    if raw["protocol"] != PROTOCOL_VERSION:
        raise ProtocolError(
            f"The {what} speaks protocol {raw['protocol']!r}, this side speaks {PROTOCOL_VERSION}: "
            "the package in the image and the one beside Covalent are of different versions. "
            "Install the same covalent-braket-plugin on both sides."
        )
    return raw
