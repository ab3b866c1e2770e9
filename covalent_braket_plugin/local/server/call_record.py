"""Notes which operations were called at all, for those who compare that with permissions."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from covalent_braket_plugin.local.server.calls import Call

__all__ = ["DIRECTORY_VARIABLE", "CallRecord"]

DIRECTORY_VARIABLE = "LOCAL_BRAKET_CALLS_DIR"
"""Environment variable that names the directory; unset, nothing is noted."""


class CallRecord:
    """Adds a line ``caller service:Operation`` to a file of its own for each call of a new kind.

    Calls with a job's credentials are the job's, whatever program made them, and no others are:
    what calls itself a worker elsewhere is noted as ``worker``.

    Args:
        directory: Where the file shall be; None to note nothing.
    """

    def __init__(self, directory: Path | None) -> None:
        self._file = directory and directory / f"{uuid.uuid4().hex}.calls"
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    @classmethod
    def asked_for(cls, environ: Mapping[str, str]) -> Self:
        """A record as the environment asks for it."""
        directory = environ.get(DIRECTORY_VARIABLE)
        return cls(Path(directory) if directory else None)

    def add(self, call: Call) -> None:
        """Note a call."""
        if self._file is None:
            return
        caller = "job" if call.in_job else "worker" if call.caller == "job" else call.caller
        line = f"{caller} {call.service}:{call.operation or 'Unknown'}\n"
        with self._lock:
            if line in self._seen:
                return
            self._seen.add(line)
            # Opened each time: a server that is killed has lost nothing.
            with self._file.open("a") as file:
                file.write(line)
