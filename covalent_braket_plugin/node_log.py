"""What an electron's stdout says before its job has any: why it waits.

Covalent shows nothing of an electron between its start and its end. Its stdout is a file of the
server's, so that can be written meanwhile; what the job printed takes its place at the end. A
nicety: it gives way silently where there is no server, or another Covalent than the checked one.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

from covalent_braket_plugin.scheduler import Standing
from covalent_braket_plugin.threads import quickly

__all__ = ["NodeLog", "Waiting"]

log = logging.getLogger(__name__)


class NodeLog:
    """The stdout of one node that has no job yet; all blocking.

    Args:
        dispatch_id: The dispatch's UUID.
        node_id: The graph node.
    """

    def __init__(self, dispatch_id: str, node_id: int) -> None:
        self._dispatch_id = dispatch_id
        self._node_id = node_id
        self._file: Path | None = None
        self._size = 0
        self._useless = False

    def write(self, text: str) -> None:
        """Replace what is there by one line; never fails."""
        if self._useless:
            return
        line = text.ljust(self._size - 1) + "\n"  # Covalent copies by the size that it noted
        try:
            if self._file is None or len(line) > self._size:
                self._declare(line)
            else:
                self._file.write_text(line, encoding="utf-8")
        except Exception as error:  # no server, another schema, a dispatch it does not know
            log.debug("The stdout of node %s cannot be written: %s", self._node_id, error)
            self._useless = True

    def _declare(self, line: str) -> None:
        """Write what is longer than all before, and tell Covalent the size of the stdout."""
        from covalent_dispatcher._dal.result import get_result_object
        from covalent_dispatcher._db.datastore import workflow_db

        with workflow_db.session() as session:
            result = get_result_object(self._dispatch_id, bare=True, session=session)
            node = result.lattice.transport_graph.get_node(self._node_id, session)
            asset = node.get_asset("stdout", session)
            self._file = Path(str(asset.storage_path)) / str(asset.object_key)
            self._file.write_text(line, encoding="utf-8")
            self._size = len(line)  # it is ASCII
            asset.update(session, values={"size": self._size})


class Waiting:
    """Tells where an electron stands while it waits to become a job, on the event loop.

    Args:
        dispatch_id: The dispatch's UUID.
        node_id: The graph node.
        job_name: The name that its job will have.
    """

    def __init__(self, dispatch_id: str, node_id: int, job_name: str) -> None:
        self._node_log = NodeLog(dispatch_id, node_id)
        self._job_name = job_name
        self._since = ""
        self._writing: asyncio.Future[None] | None = None

    def told(self, standing: Standing) -> None:
        """Write down where it stands, unless that is just being done."""
        level = (
            logging.DEBUG if self._since else logging.INFO
        )  # the server's log has many to tell of
        self._since = self._since or f"{datetime.now(UTC):%H:%M:%S} UTC"
        text = f"Waiting for a slot since {self._since}: {_place(standing)}."
        log.log(level, "%s: %s", self._job_name, text)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(quickly(self._node_log.write, text))

    async def over(self, job_arn: str) -> None:
        """Write down that there is a job, if the electron had to wait for it."""
        if self._writing is None:
            return
        await self._writing
        text = f"It waited for a slot since {self._since}. Its job is {job_arn}"
        await quickly(self._node_log.write, text)


def _place(standing: Standing) -> str:
    ahead = f"{standing.ahead} electrons ahead" if standing.ahead != 1 else "1 electron ahead"
    of = "" if standing.slots is None else f" of {standing.slots}"
    return f"{ahead}, {standing.running}{of} jobs running"
