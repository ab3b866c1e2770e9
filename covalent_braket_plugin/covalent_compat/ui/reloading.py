"""Open pages of Covalent's UI reload on each change of a dispatch or of a node.

Its pages wait for the message ``result-update`` on their socket, and reload what they show. In
Covalent 0.240 nobody sends it any more. It is sent here whenever the server has noted a new status.

A page that is told ``RUNNING`` ignores what comes within 3 seconds, and so may never learn of the
last change; told any other word it reloads each time. The bound is kept here instead: a dispatch is
told of once a second at most, large ones less often, and the last change is always told.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Reloading", "repair"]

EVERY_SECONDS = 1.0
AT_ONCE = 10
"""The list of dispatches reloads with each of them."""
SECONDS_PER_NODE = 0.004
"""A page asks for all nodes of a dispatch each time: with 1000 of them every 4 seconds."""
CHANGED = "CHANGED"

log = logging.getLogger(__name__)

Tell = Callable[[str], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


class Reloading:
    """Tells pages that a dispatch has changed: soon, not too often, and of the last change too.

    Args:
        tell: Tells all pages that a dispatch has changed.
        sleep: Waits so many seconds.
    """

    def __init__(self, tell: Tell, sleep: Sleep = asyncio.sleep) -> None:
        self._tell = tell
        self._sleep = sleep
        self._changed: dict[str, int] = {}
        self._rests: dict[str, int] = {}
        self._telling: asyncio.Task[None] | None = None

    def changed(self, dispatch_id: str, nodes: int) -> None:
        """Note that a dispatch of so many nodes has changed; on the event loop."""
        self._changed[dispatch_id] = nodes
        if self._telling is None or self._telling.done():
            self._telling = asyncio.ensure_future(self._go_on())

    async def _go_on(self) -> None:
        while self._changed or self._rests:
            due = [each for each in self._changed if each not in self._rests][:AT_ONCE]
            for dispatch_id in due:
                nodes = self._changed.pop(dispatch_id)
                self._rests[dispatch_id] = max(1, round(nodes * SECONDS_PER_NODE / EVERY_SECONDS))
                try:
                    await self._tell(dispatch_id)
                except Exception:
                    log.warning("Pages could not be told of %s", dispatch_id, exc_info=True)
            await self._sleep(EVERY_SECONDS)
            self._rests = {each: left - 1 for each, left in self._rests.items() if left > 1}


def repair() -> None:
    """Tell open pages of each new status that this server notes; on its event loop."""
    from covalent_dispatcher._dal.result import Result
    from covalent_ui.api.main import sio

    async def tell(dispatch_id: str) -> None:
        update = {"dispatch_id": dispatch_id, "status": CHANGED}
        await sio.emit("result-update", {"event": "result-update", "result": update})

    loop, reloading = asyncio.get_running_loop(), Reloading(tell)

    def changed(result: Any) -> None:
        # The page of a dispatch shows the dispatches of its sublattices too.
        about = result.metadata.attrs
        for dispatch_id in {about["dispatch_id"], about["root_dispatch_id"]} - {None, ""}:
            loop.call_soon_threadsafe(reloading.changed, dispatch_id, about["electron_num"])

    for name in ("_update_node", "_update_dispatch"):
        setattr(Result, name, _and_then(getattr(Result, name), changed))


def _and_then(update: Callable[..., Any], changed: Callable[[Any], None]) -> Callable[..., Any]:
    """Tell of an update once it stands in the database; it runs in a thread of Covalent's."""

    @functools.wraps(update)
    def updated(self: Any, *args: Any, **values: Any) -> Any:
        done = update(self, *args, **values)
        if done is not False and values.get("status") is not None:
            try:
                changed(self)
            except Exception:  # a nicety: the update stands
                log.warning("Pages could not be told of a change", exc_info=True)
        return done

    return updated
