"""What Covalent's database says of a dispatch, for those who watch it; all of it blocks.

Read by columns: a page asks every second or two, and a dispatch may have a thousand nodes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covalent_braket_plugin.covalent_compat.ui.texts import short_error

__all__ = [
    "OURS",
    "NodeRecord",
    "Record",
    "asset",
    "asset_files",
    "electron",
    "failures",
    "inputs",
    "lattice_asset",
    "read",
    "recent",
]

OURS = "braket"
"""Covalent's short name of our executor."""
SUBLATTICE = ":sublattice:"
FAILED = ("FAILED", "CANCELLED")
MOST_NODES = 2**31
"""A larger number of a node is not even asked for: the database could not take it."""


@dataclass(frozen=True)
class NodeRecord:
    """One node.

    Attributes:
        node_id: Its number in the graph.
        name: The function's name.
        status: Covalent's word.
        executor: Short name of its executor.
        began: When it was sent (UTC); None if it was not.
        ended: When it ended (UTC); None if it has not.
        job_arn: The job that the executor noted; empty if none.
        error: Why it failed, shortened; empty if it did not.
        sub_dispatch_id: The dispatch that a sublattice became; empty if it is none, or not yet.
    """

    node_id: int
    name: str
    status: str
    executor: str
    began: datetime | None
    ended: datetime | None
    job_arn: str = ""
    error: str = ""
    sub_dispatch_id: str = ""


@dataclass(frozen=True)
class Record:
    """One dispatch.

    Attributes:
        dispatch_id: Its UUID.
        workflow: The workflow's name.
        status: Covalent's word.
        began: When it was started (UTC); None if it was not.
        nodes: Its electrons and sublattices, without Covalent's own steps.
    """

    dispatch_id: str
    workflow: str
    status: str
    began: datetime | None
    nodes: Sequence[NodeRecord] = ()


def recent(limit: int) -> list[Record]:
    """Read the newest dispatches that have electrons of ours, newest first, without their nodes."""
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Electron, Lattice
    from sqlalchemy import exists, select

    has_ours = exists().where(Electron.parent_lattice_id == Lattice.id, Electron.executor == OURS)
    query = (
        select(Lattice.dispatch_id, Lattice.name, Lattice.status, Lattice.started_at)
        .where(Lattice.is_active.is_not(False), has_ours)
        .order_by(Lattice.id.desc())
        .limit(limit)
    )
    with workflow_db.session() as session:
        rows = session.execute(query).all()
    return [Record(row[0], row[1], row[2], _utc(row[3])) for row in rows]


def read(dispatch_id: str) -> Record | None:
    """Read one dispatch with its nodes; None if Covalent does not know it."""
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Lattice
    from sqlalchemy import select

    query = select(Lattice.id, Lattice.name, Lattice.status, Lattice.started_at).where(
        Lattice.dispatch_id == dispatch_id, Lattice.is_active.is_not(False)
    )
    with workflow_db.session() as session:
        found = session.execute(query).first()
        if found is None:
            return None
        nodes, numbers = _nodes(session, found.id)
        failed = {numbers[node.node_id]: node for node in nodes if node.status in FAILED}
        files = _files(session, failed, ("error", "stderr"))
    errors = {failed[row].node_id: short_error(paths) for row, paths in files.items()}
    told = [replace(node, error=errors.get(node.node_id, "")) for node in nodes]
    return Record(dispatch_id, found.name, found.status, _utc(found.started_at), told)


def _nodes(session: Any, lattice_row: int) -> tuple[list[NodeRecord], dict[int, int]]:
    """Read the nodes of a dispatch, and their rows in the table by their numbers."""
    from covalent_dispatcher._db.models import Electron, Job
    from sqlalchemy import select

    query = (
        select(
            Electron.id,
            Electron.transport_graph_node_id,
            Electron.name,
            Electron.status,
            Electron.executor,
            Electron.started_at,
            Electron.completed_at,
            Job.job_handle,
        )
        .join(Job, Job.id == Electron.job_id)
        .where(
            Electron.parent_lattice_id == lattice_row,
            ~Electron.name.startswith(":") | Electron.name.startswith(SUBLATTICE),
        )
        .order_by(Electron.transport_graph_node_id)
    )
    rows = session.execute(query).all()
    subs = _sub_dispatches(session, [row.id for row in rows if row.name.startswith(SUBLATTICE)])
    nodes = [_node(row, subs.get(row.id, "")) for row in rows]
    return nodes, {row.transport_graph_node_id: row.id for row in rows}


def _node(row: Any, sub_dispatch_id: str) -> NodeRecord:
    return NodeRecord(
        node_id=row.transport_graph_node_id,
        name=row.name.removeprefix(SUBLATTICE),
        status=row.status,
        executor=row.executor or "",
        began=_utc(row.started_at),
        ended=_utc(row.completed_at),
        job_arn=_arn(row.job_handle),
        sub_dispatch_id=sub_dispatch_id,
    )


def _sub_dispatches(session: Any, rows: list[int]) -> dict[int, str]:
    from covalent_dispatcher._db.models import Lattice
    from sqlalchemy import select

    found: dict[int, str] = {}
    for some in _parts(rows):
        query = select(Lattice.electron_id, Lattice.dispatch_id).where(
            Lattice.electron_id.in_(some)
        )
        found |= {row.electron_id: row.dispatch_id for row in session.execute(query)}
    return found


def _arn(handle: str | None) -> str:
    told = json.loads(handle or "null")
    return told if isinstance(told, str) and told.startswith("arn:") else ""


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)


# --- files -------------------------------------------------------------------------------------


def asset(dispatch_id: str, node_id: int, key: str) -> Path | None:
    """Find the file of one of a node's assets, such as ``stdout``; None if there is no such node.

    The file itself may not be there yet.
    """
    return asset_files(dispatch_id, node_id, (key,)).get(key)


def asset_files(dispatch_id: str, node_id: int, keys: Iterable[str]) -> Mapping[str, Path]:
    """Find the files of some of a node's assets by their keys; none if there is no such node."""
    if node_id > MOST_NODES:  # the database knows no such number
        return {}
    from covalent_dispatcher._db.datastore import workflow_db

    with workflow_db.session() as session:
        row = session.execute(_one_electron(dispatch_id, node_id)).first()
        return {} if row is None else _files(session, (row.id,), keys).get(row.id, {})


def failures(dispatch_id: str) -> list[tuple[int, str, Callable[[], str]]]:
    """Read which nodes failed, Covalent's own too: number, name, and what says why."""
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Electron, Lattice
    from sqlalchemy import select

    query = (
        select(Electron.id, Electron.transport_graph_node_id, Electron.name)
        .join(Lattice, Lattice.id == Electron.parent_lattice_id)
        .where(Lattice.dispatch_id == dispatch_id, Electron.status == "FAILED")
        .order_by(Electron.transport_graph_node_id)
    )
    with workflow_db.session() as session:
        rows = session.execute(query).all()
        files = _files(session, [row[0] for row in rows], ("error", "stderr"))
    return [
        (node_id, name, functools.partial(short_error, files.get(row, {})))
        for row, node_id, name in rows
    ]


def lattice_asset(dispatch_id: str, key: str) -> Path | None:
    """Find the file of one of a dispatch's own assets, such as ``result``."""
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Asset, Lattice, LatticeAsset
    from sqlalchemy import select

    query = (
        select(Asset.storage_path, Asset.object_key)
        .join(LatticeAsset, LatticeAsset.asset_id == Asset.id)
        .join(Lattice, Lattice.id == LatticeAsset.meta_id)
        .where(
            Lattice.dispatch_id == dispatch_id,
            LatticeAsset.key == key,
            Asset.storage_type == "file",
        )
    )
    with workflow_db.session() as session:
        found = session.execute(query).first()
    return None if found is None else Path(found.storage_path) / found.object_key


def electron(dispatch_id: str, node_id: int) -> Any:
    """Read id, status, executor and its data (JSON) of a node; None if there is none."""
    from covalent_dispatcher._db.datastore import workflow_db

    with workflow_db.session() as session:
        return session.execute(_one_electron(dispatch_id, node_id)).first()


def inputs(dispatch_id: str, node_id: int) -> tuple[list[Path], dict[str, Path]]:
    """Find the files of what a node gets: its positional arguments in order, and the named ones."""
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import ElectronDependency as Edge
    from sqlalchemy import select

    query = select(Edge.parent_electron_id, Edge.edge_name, Edge.parameter_type).order_by(
        Edge.arg_index
    )
    with workflow_db.session() as session:
        row = session.execute(_one_electron(dispatch_id, node_id)).first()
        found = (
            [] if row is None else session.execute(query.where(Edge.electron_id == row.id)).all()
        )
        files = _files(session, {edge.parent_electron_id for edge in found}, ("output",))
    edges = [edge for edge in found if "output" in files.get(edge.parent_electron_id, {})]
    paths = [(edge, files[edge.parent_electron_id]["output"]) for edge in edges]
    named = {edge.edge_name: path for edge, path in paths if edge.parameter_type == "kwarg"}
    return [path for edge, path in paths if edge.parameter_type == "arg"], named


def _one_electron(dispatch_id: str, node_id: int) -> Any:
    from covalent_dispatcher._db.models import Electron, Lattice
    from sqlalchemy import select

    return (
        select(Electron.id, Electron.status, Electron.executor, Electron.executor_data)
        .join(Lattice, Lattice.id == Electron.parent_lattice_id)
        .where(Lattice.dispatch_id == dispatch_id, Electron.transport_graph_node_id == node_id)
    )


def _files(session: Any, rows: Iterable[int], keys: Iterable[str]) -> dict[int, dict[str, Path]]:
    from covalent_dispatcher._db.models import Asset, ElectronAsset
    from sqlalchemy import select

    found: dict[int, dict[str, Path]] = {}
    for some in _parts(list(rows)):
        query = (
            select(ElectronAsset.meta_id, ElectronAsset.key, Asset.storage_path, Asset.object_key)
            .join(Asset, Asset.id == ElectronAsset.asset_id)
            .where(
                ElectronAsset.meta_id.in_(some),
                ElectronAsset.key.in_(list(keys)),
                Asset.storage_type == "file",
            )
        )
        for row, key, folder, name in session.execute(query):
            found.setdefault(row, {})[key] = Path(folder) / name
    return found


def _parts(rows: list[int], size: int = 500) -> Iterable[list[int]]:
    # SQLite takes only so many variables in one statement.
    return (rows[i : i + size] for i in range(0, len(rows), size))
