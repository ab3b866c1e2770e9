"""What an electron's stdout says before it has ended: why it waits, then what its job prints.

Covalent shows nothing of an electron between its start and its end. Its stdout is a file of the
server's, so that can be written meanwhile; what the job printed takes its place at the end. A
nicety: it gives way silently where there is no server, or another Covalent than the checked one.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covalent_braket_plugin.covalent_compat.server import is_server
from covalent_braket_plugin.devices.choice import Chosen, Waits
from covalent_braket_plugin.monitoring import phases
from covalent_braket_plugin.scheduler import Standing
from covalent_braket_plugin.threads import quickly

__all__ = ["NodeLog", "Waiting", "WaitingForDevice", "finish", "in_server", "of"]

MAX_BYTES = 4 * 1024 * 1024
"""More live text than that is not kept for one electron, whatever it prints."""
DECLARE_SECONDS = 5.0
"""So often Covalent is told how long the text has become."""
FULL = (
    "\n[The live log ends here, after 4 MB. What the electron printed takes its place when it has "
    "ended.]\n"
)

log = logging.getLogger(__name__)
_logs: dict[tuple[str, int], NodeLog] = {}


@functools.cache
def in_server() -> bool:
    """Whether this process is Covalent's server: else there is no stdout to write to."""
    return is_server()


def of(dispatch_id: str, node_id: int) -> NodeLog:
    """Find or begin the stdout of a node that runs; use `finish` when it has ended."""
    key = dispatch_id, node_id
    if key not in _logs:
        _logs[key] = NodeLog(dispatch_id, node_id)
    return _logs[key]


async def finish(dispatch_id: str, node_id: int, *, empty: bool = False) -> None:
    """Write no more to a node's stdout: what its job printed is there, or nothing will be.

    Args:
        dispatch_id: The dispatch's UUID.
        node_id: The graph node.
        empty: Whether the job printed nothing, so that nothing takes the place of what is there.
    """
    known = _logs.pop((dispatch_id, node_id), None)
    if known is not None:
        await quickly(known.close, empty=empty)


class NodeLog:
    """The stdout of one node that has not ended; all blocking, and none of it fails.

    Args:
        dispatch_id: The dispatch's UUID.
        node_id: The graph node.
    """

    def __init__(self, dispatch_id: str, node_id: int) -> None:
        self._dispatch_id = dispatch_id
        self._node_id = node_id
        self._lock = threading.Lock()
        self._file: Path | None = None
        self._asset: Any = None
        self._size = 0
        self._line_at: int | None = None
        self._declared_at = float("-inf")
        self._full = False
        self._closed = not in_server()

    def line(self, text: str) -> None:
        """Write one line, in the place of the one before if nothing came after that."""
        with self._lock:
            at = self._size if self._line_at is None else self._line_at
            data = text.encode("utf-8", "replace")
            # Not shorter than before: Covalent may be copying by the size that it noted.
            self._write(data.ljust(self._size - at - 1) + b"\n", at)
            self._line_at = at

    def append(self, text: str) -> bool:
        """Write more; whether there is room for yet more."""
        with self._lock:
            data = text.encode("utf-8", "replace")
            if self._full or self._size + len(data) > MAX_BYTES:
                data = b"" if self._full else data[: MAX_BYTES - self._size] + FULL.encode()
                self._full = True
            self._line_at = None
            self._write(data, self._size)
            return not self._full

    def close(self, *, empty: bool = False) -> None:
        """Write nothing any more."""
        with self._lock:
            if self._file is not None:
                self._declared_at = float("-inf")
                self._write(b"", 0 if empty else self._size)
            self._closed = True

    def _write(self, data: bytes, at: int) -> None:
        if self._closed:
            return
        try:
            file = self._file or self._find()
            with file.open("r+b" if at else "wb") as stream:
                stream.seek(at)
                stream.write(data)
                self._size = at + len(data)
            if time.monotonic() - self._declared_at >= DECLARE_SECONDS:
                self._declare()
        except Exception as error:  # no server, another schema, a dispatch it does not know
            log.debug("The stdout of node %s cannot be written: %s", self._node_id, error)
            self._closed = True

    def _find(self) -> Path:
        from covalent_dispatcher._dal.result import get_result_object
        from covalent_dispatcher._db.datastore import workflow_db

        with workflow_db.session() as session:
            result = get_result_object(self._dispatch_id, bare=True, session=session)
            node = result.lattice.transport_graph.get_node(self._node_id, session)
            self._asset = node.get_asset("stdout", session)
        self._file = Path(str(self._asset.storage_path)) / str(self._asset.object_key)
        return self._file

    def _declare(self) -> None:
        """Tell Covalent the size of the stdout: it shows none that is empty."""
        from covalent_dispatcher._db.datastore import workflow_db

        self._declared_at = time.monotonic()
        with workflow_db.session() as session:
            self._asset.update(session, values={"size": self._size})


class _Waits:
    """Tells what an electron waits for before it becomes a job, on the event loop.

    Args:
        dispatch_id: The dispatch's UUID.
        node_id: The graph node.
        name: Who waits, for the server's log.
    """

    def __init__(self, dispatch_id: str, node_id: int, name: str) -> None:
        self._node = dispatch_id, node_id
        self._name = name
        self._since = ""
        self._writing: asyncio.Future[None] | None = None

    def _tell(self, what: str, text: str, level: int = logging.INFO) -> None:
        """Write down why it waits, unless that is just being done."""
        if self._since:  # the server's log has many to tell of
            level = logging.DEBUG
        self._since = self._since or f"{datetime.now(UTC):%H:%M:%S} UTC"
        said = f"Waiting for {what} since {self._since}: {text}."
        log.log(level, "%s: %s", self._name, said)
        phases.enter(*self._node, "waiting", note=text)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(quickly(of(*self._node).line, said))

    async def _say_last(self, text: str) -> None:
        """Write down how it went on, if the electron had to wait."""
        if self._writing is not None:
            await self._writing
            await quickly(of(*self._node).line, text)


class WaitingForDevice(_Waits):
    """Tells which device an electron waits for, and which one it has got."""

    def told(self, waits: Waits) -> None:
        """Write down what it waits for; a warning if that takes an hour or more, or who knows."""
        level = logging.WARNING if waits.long else logging.INFO
        self._tell("a device", waits.text, level)

    async def over(self, chosen: Chosen) -> None:
        """Write down that there is a device, if the electron had to wait, or gets another one."""
        if self._writing is not None:
            phases.enter(*self._node, "staging")
        await self._say_last(f"It waited for a device since {self._since}, and gets {chosen.arn}")
        if chosen.why:
            text = f"Runs on {chosen.arn} instead of {chosen.wanted}: {chosen.why}."
            log.warning("%s: %s", self._name, text)
            await quickly(of(*self._node).append, f"{text}\n")


class Waiting(_Waits):
    """Tells where an electron stands while it waits for a slot."""

    def told(self, standing: Standing) -> None:
        """Write down where it stands, unless that is just being done."""
        self._tell("a slot", _place(standing))

    async def over(self, job_arn: str) -> None:
        """Write down that there is a job, if the electron had to wait for it."""
        await self._say_last(f"It waited for a slot since {self._since}. Its job is {job_arn}")


def _place(standing: Standing) -> str:
    few = {0: "next in line", 1: "1 electron ahead"}
    ahead = few.get(standing.ahead, f"{standing.ahead} electrons ahead")
    of = "" if standing.slots is None else f" of {standing.slots}"
    return f"{ahead}, {standing.running}{of} jobs running"
