"""The manifest, which describes and verifies a payload."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from covalent_braket_plugin.protocol.coding import encoded, load
from covalent_braket_plugin.protocol.versions import Versions
from covalent_braket_plugin.protocol.words import (
    HP_MANIFEST,
    HP_MANIFEST_SHA256,
    HP_PROTOCOL,
    HP_RUN,
    PROTOCOL_VERSION,
)
from covalent_braket_plugin.records import record

__all__ = [
    "Budget",
    "Call",
    "Counted",
    "InputChannel",
    "Manifest",
    "Part",
    "inputs_digest",
]


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
        return encoded(self, "budget", "inputs")

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Decode.

        Raises:
            ProtocolError: It is of another version of the protocol.
            IntegrityError: It is not a manifest.
        """
        return record(cls, load(data, "manifest"), "manifest")


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
