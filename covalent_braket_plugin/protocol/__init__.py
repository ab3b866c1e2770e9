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

from covalent_braket_plugin.protocol.layout import (
    Keys,
    Place,
    Task,
    checkpoints_key,
)
from covalent_braket_plugin.protocol.manifest import (
    Budget,
    Call,
    Counted,
    InputChannel,
    Manifest,
    Part,
    inputs_digest,
)
from covalent_braket_plugin.protocol.outcome import (
    ErrorData,
    NodeOutcome,
    Outcome,
    ResultFile,
    Stream,
)
from covalent_braket_plugin.protocol.versions import (
    Mismatch,
    Versions,
    image_versions,
    mismatches,
)
from covalent_braket_plugin.protocol.words import (
    EXIT_ELECTRON_FAILED,
    EXIT_OK,
    EXIT_TERMINATED,
    EXIT_WORKER_FAILED,
    HP_MANIFEST,
    HP_MANIFEST_SHA256,
    HP_PROTOCOL,
    HP_RUN,
    INLINE_STREAM_BYTES,
    MAX_LISTED_FILES,
    OUT_OF_MEMORY,
    PROTOCOL_VERSION,
    STOPPED,
)

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
