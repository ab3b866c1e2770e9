"""Covalent's own record of its dispatches: what has not ended, and what an executor needs of it.

Read from the server's database, by its own models. All of it blocks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "TERMINAL",
    "Dispatch",
    "Node",
    "argument_names",
    "database_name",
    "database_url",
    "dispatches",
    "in_status",
]

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
"""Covalent's words; the same as Braket's."""


@dataclass(frozen=True)
class Node:
    """One node of a dispatch.

    Attributes:
        node_id: Its number in the graph.
        group_id: Its task group; one group is one job.
        name: The function's name; Covalent's own steps begin with a colon.
        status: Covalent's word, such as ``RUNNING``.
        executor: Short name of its executor.
        attributes: The executor's attributes, as it was given.
        handle: What the executor stored to find its job again; None if nothing.
        cancel_requested: Whether somebody wants it cancelled.
        parents: The nodes that it needs.
        sub_dispatch_id: The dispatch of a sublattice; empty if it is none, or has none yet.
        sub_status: That dispatch's status.
    """

    node_id: int
    group_id: int
    name: str
    status: str
    executor: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    handle: Any = None
    cancel_requested: bool = False
    parents: tuple[int, ...] = ()
    sub_dispatch_id: str = ""
    sub_status: str = ""

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in TERMINAL


@dataclass(frozen=True)
class Dispatch:
    """One dispatch.

    Attributes:
        dispatch_id: Its UUID.
        root_id: The dispatch that it is a sublattice of, at the top; itself if it is none.
        name: The workflow's name.
        status: Covalent's word.
        began: When it was started, or last changed if it has not quite started (UTC).
        nodes: Its nodes, by number.
    """

    dispatch_id: str
    root_id: str
    name: str
    status: str
    began: datetime
    nodes: Mapping[int, Node]

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in TERMINAL

    def ready(self, node: Node) -> bool:
        """Whether all that a node's group waits for has completed."""
        group = [each for each in self.nodes.values() if each.group_id == node.group_id]
        outside = {parent for each in group for parent in each.parents}
        return all(
            self.nodes[parent].status == "COMPLETED"
            for parent in outside - {each.node_id for each in group}
        )


def database_url() -> str:
    """Say which database the server that is configured here uses."""
    from covalent_dispatcher._db.datastore import workflow_db

    return str(workflow_db.db_URL)


def database_name() -> str:
    """Name that database where people read it, without its password."""
    from sqlalchemy.engine import make_url

    return str(make_url(database_url()).render_as_string(hide_password=True))


def dispatches(
    statuses: Collection[str] | None = None, dispatch_ids: Collection[str] | None = None
) -> list[Dispatch]:
    """Read dispatches, oldest first; none where no server has used the database yet.

    Each filter may be left out.

    Args:
        statuses: Covalent's words.
        dispatch_ids: Their UUIDs.
    """
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Lattice
    from sqlalchemy import inspect, select

    query = select(Lattice).order_by(Lattice.id)
    if statuses is not None:
        query = query.where(Lattice.status.in_(statuses))
    if dispatch_ids is not None:
        query = query.where(Lattice.dispatch_id.in_(dispatch_ids))
    with workflow_db.session() as session:
        if not inspect(session.connection()).has_table(Lattice.__tablename__):
            return []
        return [_read(session, row) for row in session.scalars(query).all()]


def argument_names(dispatch_id: str, node_id: int) -> list[str]:
    """Read the names of a node's positional arguments: of its parameters, ``arg[3]`` of ``*args``.

    Args:
        dispatch_id: The dispatch's UUID.
        node_id: The node.
    """
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Electron, ElectronDependency, Lattice
    from sqlalchemy import select

    query = (
        select(ElectronDependency.edge_name)
        .join(Electron, Electron.id == ElectronDependency.electron_id)
        .join(Lattice, Lattice.id == Electron.parent_lattice_id)
        .where(Lattice.dispatch_id == dispatch_id, Electron.transport_graph_node_id == node_id)
        .where(ElectronDependency.parameter_type == "arg")
        .order_by(ElectronDependency.arg_index)
    )
    with workflow_db.session() as session:
        return list(session.scalars(query))


def in_status(dispatch_ids: Collection[str], statuses: Collection[str]) -> list[str]:
    """Tell which of some dispatches have one of these statuses."""
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Lattice
    from sqlalchemy import select

    query = select(Lattice.dispatch_id).where(
        Lattice.dispatch_id.in_(dispatch_ids), Lattice.status.in_(statuses)
    )
    with workflow_db.session() as session:
        return [str(each) for each in session.scalars(query).all()]


def _read(session: Any, row: Any) -> Dispatch:
    """Read one dispatch with its nodes from a row of the table of lattices."""
    began = row.started_at or row.updated_at
    return Dispatch(
        row.dispatch_id,
        row.root_dispatch_id or row.dispatch_id,
        row.name,
        row.status,
        began.replace(tzinfo=UTC),
        {node.node_id: node for node in _nodes(session, row.id)},
    )


def _nodes(session: Any, lattice_row: int) -> list[Node]:
    from covalent_dispatcher._db.models import Electron, Job
    from sqlalchemy import select

    query = (
        select(Electron, Job)
        .join(Job, Job.id == Electron.job_id)
        .where(Electron.parent_lattice_id == lattice_row)
        .order_by(Electron.transport_graph_node_id)
    )
    rows = session.execute(query).all()
    numbers = {electron.id: electron.transport_graph_node_id for electron, _ in rows}
    parents, subs = _parents(session, lattice_row), _sub_dispatches(session, lattice_row)
    return [
        _node(electron, job, [numbers[p] for p in parents.get(electron.id, ())], subs)
        for electron, job in rows
    ]


def _node(electron: Any, job: Any, parents: list[int], subs: dict[int, tuple[str, str]]) -> Node:
    sub_id, sub_status = subs.get(electron.id, ("", ""))
    data = json.loads(electron.executor_data or "{}")
    return Node(
        node_id=electron.transport_graph_node_id,
        group_id=electron.task_group_id,
        name=electron.name,
        status=electron.status,
        executor=electron.executor or "",
        attributes=data.get("attributes", {}),
        handle=json.loads(job.job_handle or "null"),
        cancel_requested=bool(job.cancel_requested),
        parents=tuple(parents),
        sub_dispatch_id=sub_id,
        sub_status=sub_status,
    )


def _parents(session: Any, lattice_row: int) -> dict[int, list[int]]:
    from covalent_dispatcher._db.models import Electron, ElectronDependency
    from sqlalchemy import select

    query = (
        select(ElectronDependency.electron_id, ElectronDependency.parent_electron_id)
        .join(Electron, Electron.id == ElectronDependency.electron_id)
        .where(Electron.parent_lattice_id == lattice_row)
    )
    found: dict[int, list[int]] = {}
    for child, parent in session.execute(query).all():
        found.setdefault(child, []).append(parent)
    return found


def _sub_dispatches(session: Any, lattice_row: int) -> dict[int, tuple[str, str]]:
    from covalent_dispatcher._db.models import Electron, Lattice
    from sqlalchemy import select

    query = (
        select(Lattice.electron_id, Lattice.dispatch_id, Lattice.status)
        .join(Electron, Electron.id == Lattice.electron_id)
        .where(Electron.parent_lattice_id == lattice_row)
    )
    return {row.electron_id: (row.dispatch_id, row.status) for row in session.execute(query)}
