"""What an electron returned, as a file: from S3 while it is there, else from Covalent's records."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from covalent_braket_plugin import tobj
from covalent_braket_plugin.covalent_compat import store
from covalent_braket_plugin.covalent_compat.values import value_file
from covalent_braket_plugin.descriptions import Job, task_of
from covalent_braket_plugin.errors import (
    DigestError,
    IntegrityError,
    ResultGoneError,
    SerializationError,
    VersionMismatchError,
)
from covalent_braket_plugin.payload import file_sha256, own_versions
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.protocol import NodeOutcome, Outcome, mismatches

__all__ = ["fetch", "load"]

_SPOOL_BYTES = 8 * 1024 * 1024


def fetch(ctx: Context, job: Job, outcome: Outcome | None, target: Path) -> None:
    """Bring what a job's electron returned to a file in Covalent's format; unpickle nothing.

    Args:
        ctx: Settings and calls.
        job: The job, which has completed.
        outcome: What it left, if that is still known: its digest is then checked.
        target: The file to write.

    Raises:
        ResultGoneError: It is neither in S3 nor among Covalent's records here.
        IntegrityError: What is there is not what the job left.
        AwsError: S3 refused or did not answer.
    """
    dispatch_id, node_id, _ = task_of(job) or ("", -1, 0)
    node = outcome.node(node_id) if outcome else None
    if node is not None and _is_there(ctx, job, node):
        ctx.storage.fetch_value(job.keys, node, target)
        return
    kept = value_file(dispatch_id, node_id)
    if kept is None:
        raise ResultGoneError(
            f"What {job.name} returned is not in S3 any more, where it is deleted once Covalent "
            f"has it, and {store.database_name()} has no completed node {node_id} of dispatch "
            f"{dispatch_id}. Ask on the machine of the server that ran it; keep_payload=True "
            "keeps such values in S3."
        )
    shutil.copyfile(kept, target)
    if node is not None and node.sha256 and file_sha256(target) != node.sha256:
        raise DigestError(
            f"{kept} is not what {job.name} returned: its SHA-256 is not the one of the outcome"
        )


def _is_there(ctx: Context, job: Job, node: NodeOutcome) -> bool:
    due = job.keys.value(node.node_id)
    if node.key not in ("", due):
        raise IntegrityError(f"The outcome of {job.name} names {node.key} where {due} is due")
    return bool(node.key) and ctx.storage.exists(job.keys.bucket, [node.key])


def load(file: Path, name: str) -> Any:
    """Unpickle a value; that runs whatever code the one who wrote it wants.

    Args:
        file: A file in Covalent's format.
        name: Whose value it is, for errors.

    Raises:
        VersionMismatchError: This Python or cloudpickle cannot load it; Python may even crash.
        SerializationError: It cannot be loaded here.
        IntegrityError: It is not in Covalent's format.
    """
    import cloudpickle

    what = f"What {name} returned"
    for problem in mismatches(tobj.read_header(file).versions, own_versions(), what):
        raise VersionMismatchError(f"{problem.text}. Load it with the Python of the job.")
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as pickled:
        for chunk in tobj.pickle_chunks(file):
            pickled.write(chunk)
        pickled.seek(0)
        try:
            return cloudpickle.load(pickled)
        except Exception as error:
            raise SerializationError(
                f"{what} cannot be unpickled here: {type(error).__name__}: {error}"
            ) from error
