"""What both sides call things, and how long some of them may be."""

from __future__ import annotations

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
