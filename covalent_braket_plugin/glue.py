"""Covalent's own little electrons, run in a child process on the dispatcher's machine.

A workflow that unpacks, indexes or passes lists has many of them, on the same executor as the
user's electrons; a job of minutes for each would be absurd. They are trusted as much as the rest
of the workflow: they get a process of their own, never the dispatcher's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from covalent_braket_plugin import runtime
from covalent_braket_plugin.protocol import ErrorData, Manifest, NodeOutcome, Outcome, Stream

__all__ = ["Ended", "outcome_of", "run"]

MAX_PARALLEL = max(2, os.cpu_count() or 2)
_slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def _slot() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    for old in [known for known in _slots if known.is_closed()]:
        del _slots[old]
    return _slots.setdefault(loop, asyncio.Semaphore(MAX_PARALLEL))


@dataclass(frozen=True)
class Ended:
    """How the child ended.

    Attributes:
        returncode: Its exit code.
        stdout: What it wrote to stdout.
        stderr: What it wrote to stderr.
    """

    returncode: int
    stdout: bytes
    stderr: bytes


async def run(directory: Path, environ: Mapping[str, str]) -> Ended:
    """Run a group of glue electrons in a child process.

    Args:
        directory: Holds ``manifest.json`` and ``payload.bin``; the values are left there.
        environ: Variables added to this process's environment.

    Raises:
        asyncio.CancelledError: The caller was cancelled; the child is dead by then.
    """
    async with _slot():
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", runtime.__name__, str(directory)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environ},
        )
        try:
            stdout, stderr = await child.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            raise
    return Ended(child.returncode or 0, stdout, stderr)


def outcome_of(directory: Path, manifest: Manifest, ended: Ended) -> Outcome:
    """Read what the child left; the keys in the outcome are file names in ``directory``."""
    path = directory / runtime.RESULT_FILE
    stdout, stderr = _stream(ended.stdout), _stream(ended.stderr)
    if path.is_file():
        return replace(Outcome.from_json(path.read_bytes()), stdout=stdout, stderr=stderr)
    nodes = [NodeOutcome(call.node_id, "failed", name=call.name) for call in manifest.calls]
    text = f"Covalent's own step ended with exit code {ended.returncode} without a result"
    error = ErrorData("ProcessExit", text, phase="killed")
    return Outcome("failed", nodes, stdout, stderr, error, main_node=manifest.main_node)


def _stream(data: bytes) -> Stream:
    return Stream(text=data.decode("utf-8", "replace"), size=len(data))
