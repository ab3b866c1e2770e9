"""What Covalent keeps of what electrons returned, on this machine: files, which stay pickled.

Read from the server's database, so that no server has to run.
"""

from __future__ import annotations

from pathlib import Path

from covalent_braket_plugin.covalent_compat.release import checked_release

__all__ = ["value_file"]


def value_file(dispatch_id: str, node_id: int) -> Path | None:
    """Find the ``.tobj`` file of what a node returned; None if this machine has none.

    Blocks.
    """
    if not checked_release():
        return None
    from covalent_dispatcher._db.datastore import workflow_db
    from covalent_dispatcher._db.models import Asset, Electron, ElectronAsset, Lattice
    from sqlalchemy import inspect, select

    query = (
        select(Asset.storage_path, Asset.object_key)
        .join(ElectronAsset, ElectronAsset.asset_id == Asset.id)
        .join(Electron, Electron.id == ElectronAsset.meta_id)
        .join(Lattice, Lattice.id == Electron.parent_lattice_id)
        .where(Lattice.dispatch_id == dispatch_id)
        .where(Electron.transport_graph_node_id == node_id)
        .where(Electron.status == "COMPLETED")
        .where(ElectronAsset.key == "output")
        .where(Asset.size > 0)
    )
    with workflow_db.session() as session:
        if not inspect(session.connection()).has_table(Lattice.__tablename__):
            return None
        row = session.execute(query).first()
    found = Path(row.storage_path) / row.object_key if row else None
    return found if found is not None and found.is_file() else None
