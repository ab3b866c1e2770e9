"""The outcome: what a job left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.protocol.coding import encoded, load
from covalent_braket_plugin.protocol.manifest import Counted
from covalent_braket_plugin.protocol.versions import Versions
from covalent_braket_plugin.protocol.words import PROTOCOL_VERSION
from covalent_braket_plugin.records import record

__all__ = [
    "ErrorData",
    "NodeOutcome",
    "Outcome",
    "ResultFile",
    "Stream",
]


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
        return encoded(self, "spent", "files")

    @classmethod
    def from_json(cls, data: bytes) -> Outcome:
        """Decode.

        Raises:
            ProtocolError: It is of another version of the protocol.
            IntegrityError: It is not an outcome.
        """
        outcome = record(cls, load(data, "outcome"), "outcome")
        if outcome.status == "completed" and any(n.status != "completed" for n in outcome.nodes):
            raise IntegrityError("The outcome says completed, but a node in it is not: damaged")
        return outcome
