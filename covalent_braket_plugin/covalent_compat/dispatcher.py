"""Covalent's dispatcher from inside: go on with a dispatch that an earlier server left.

Covalent counts what a dispatch still waits for in tables that, unless told otherwise, live in a
temporary file and die with the server. They follow from what its database says of the nodes, so
they are built again; after that Covalent goes on by itself. All of it runs on the server's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from covalent_braket_plugin.covalent_compat.store import Dispatch, Node

__all__ = [
    "Due",
    "attach",
    "cancel",
    "cancellations_sent",
    "finish",
    "go_on_with_sublattice",
    "keep_handle",
    "rebuild",
    "submit",
]

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Due:
    """A task group that nothing holds back, and that has not ended.

    Attributes:
        dispatch_id: The dispatch's UUID.
        group_id: Covalent's number of the group.
        node_ids: Its nodes, in the order in which they run.
        open: Those of them that have not ended.
    """

    dispatch_id: str
    group_id: int
    node_ids: tuple[int, ...]
    open: tuple[Node, ...]

    @property
    def first(self) -> Node:
        """A node that speaks for the group."""
        return self.open[0]

    @property
    def handle(self) -> Any:
        """What the executor stored for the group; None if nothing."""
        return next((node.handle for node in self.open if node.handle is not None), None)


async def rebuild(dispatch: Dispatch) -> list[Due]:
    """Count anew what a dispatch waits for, as if its completed nodes completed now.

    Returns:
        What is under way, or should be.
    """
    from covalent_dispatcher._core import dispatcher

    dispatch_id = dispatch.dispatch_id
    first, pending, groups = await dispatcher._get_initial_tasks_and_deps(dispatch_id)
    await dispatcher._clear_caches(dispatch_id)
    await dispatcher._initialize_caches(dispatch_id, pending, groups)
    ready = dict.fromkeys(first)
    for node in dispatch.nodes.values():
        if node.status == "COMPLETED":
            next_groups = await dispatcher._handle_completed_node(dispatch_id, node.node_id)
            ready.update(dict.fromkeys(next_groups))
    due = [_due(dispatch, group, groups[group]) for group in ready]
    due = [each for each in due if each.open]
    for each in due:
        await dispatcher._workflow_run_cache.increment(dispatch_id, len(each.open))
    return due


def _due(dispatch: Dispatch, group: int, node_ids: Sequence[int]) -> Due:
    nodes = (dispatch.nodes[node_id] for node_id in node_ids)
    still_open = tuple(node for node in nodes if not node.ended)
    return Due(dispatch.dispatch_id, group, tuple(node_ids), still_open)


async def submit(due: Due) -> None:
    """Let Covalent run a group from its beginning."""
    from covalent_dispatcher._core import dispatcher

    await dispatcher._submit_task_group(due.dispatch_id, list(due.node_ids), due.group_id)


async def keep_handle(due: Due, job_handle: Any) -> None:
    """Store what a group's executor finds its job with, such as for cancelling it."""
    from covalent_dispatcher._core.data_modules import job_manager

    await job_manager.set_job_handle(due.dispatch_id, due.node_ids[0], json.dumps(job_handle))


async def attach(due: Due, data: Any) -> None:
    """Wait for a group's job that runs already, as Covalent does after it was sent.

    Args:
        due: The group.
        data: What the executor's `send` would have returned.
    """
    from covalent.executor.utils.enums import Signals
    from covalent_dispatcher._core import data_manager, runner_ng
    from covalent_dispatcher._core.runner_modules import executor_proxy
    from covalent_dispatcher._core.runner_modules.utils import get_executor

    dispatch_id, nodes = due.dispatch_id, list(due.node_ids)
    await _mark_running(due)
    keys = ["executor", "executor_data"]
    kept = await data_manager.electron.get(dispatch_id, due.group_id, keys)
    selected = [kept[key] for key in keys]
    executor = get_executor(due.group_id, selected, asyncio.get_running_loop(), None)
    proxy = asyncio.create_task(executor_proxy.watch(dispatch_id, nodes[0], executor))
    group = {"dispatch_id": dispatch_id, "node_ids": nodes, "task_group_id": due.group_id}
    try:
        await runner_ng._poll_task_status(group, executor, data)
    finally:
        executor._notify(Signals.EXIT)
        await proxy


async def _mark_running(due: Due) -> None:
    from covalent._shared_files.util_classes import RESULT_STATUS
    from covalent_dispatcher._core import data_manager

    for node in due.open:
        if node.status == "NEW_OBJECT":
            update = data_manager.generate_node_result(
                node_id=node.node_id, start_time=datetime.now(UTC), status=RESULT_STATUS.RUNNING
            )
            await data_manager.update_node_result(due.dispatch_id, update)


async def cancel(dispatch_id: str, nodes: Sequence[int]) -> None:
    """Cancel some nodes of a dispatch, as a user may."""
    from covalent_dispatcher._core import dispatcher

    await dispatcher.cancel_dispatch(dispatch_id, list(nodes))


async def cancellations_sent(seconds: float, busy: Callable[[], bool]) -> None:
    """Wait until the cancellations that Covalent has begun are done, at most so many seconds.

    Args:
        seconds: Longest time.
        busy: Whether more of them may come.
    """
    from covalent_dispatcher._core.runner_modules import cancel as cancelling

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while cancelling._background_tasks or busy():  # noqa: ASYNC110  no event tells of either
                await asyncio.sleep(LOOK_SECONDS)


async def go_on_with_sublattice(node: Node) -> None:
    """See to it that a sublattice that was built runs, and that its end is told to its node."""
    from covalent_dispatcher._core import data_manager, dispatcher

    if node.sub_status == "NEW_OBJECT":
        dispatcher.run_dispatch(node.sub_dispatch_id)
    elif node.sub_status in ("COMPLETED", "FAILED", "CANCELLED"):
        await data_manager.persist_result(node.sub_dispatch_id)


async def finish(dispatch_id: str) -> None:
    """End a dispatch in which nothing is left to do."""
    from covalent_dispatcher._core import data_manager, dispatcher

    await dispatcher._finalize_dispatch(dispatch_id)
    await data_manager.persist_result(dispatch_id)
