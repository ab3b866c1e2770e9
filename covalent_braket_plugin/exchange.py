"""Between Covalent's words and ours: staged task groups in, status and files of nodes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covalent._shared_files.schemas.asset import AssetUpdate
from covalent._shared_files.util_classes import RESULT_STATUS
from covalent.executor.schemas import ResourceMap, TaskSpec, TaskUpdate

if TYPE_CHECKING:
    from covalent_braket_plugin.collecting import Collected
    from covalent_braket_plugin.packing import Group

__all__ = ["read_group", "updates", "variables"]


def read_group(
    specs: Sequence[TaskSpec], resources: ResourceMap, metadata: Mapping[str, Any]
) -> Group:
    """Read a task group from the files that Covalent has staged; blocking.

    Raises:
        IntegrityError: A file is not what it should be.
    """
    from covalent_braket_plugin import packing

    return packing.read_group(
        metadata["dispatch_id"],
        [(spec.electron_id, spec.args, spec.kwargs) for spec in specs],
        _paths(resources.functions),
        _paths(resources.hooks),
        _paths(resources.inputs),
        partial(_names, metadata["dispatch_id"]),
    )


def _names(dispatch_id: str, node: int) -> list[str]:
    from covalent_braket_plugin.covalent_compat.store import argument_names

    return argument_names(dispatch_id, node)


def _paths(uris: Mapping[int, str]) -> dict[int, Path]:
    return {node: Path(uri.removeprefix("file://")) for node, uri in uris.items()}


def updates(metadata: Mapping[str, Any], collected: Collected | None) -> list[TaskUpdate]:
    """Tell Covalent what became of each node of a group.

    Args:
        metadata: Covalent's words for the group.
        collected: What came back; None if the group was cancelled before it became a job.
    """
    return [_update(metadata, node, collected) for node in metadata["node_ids"]]


def _update(metadata: Mapping[str, Any], node: int, collected: Collected | None) -> TaskUpdate:
    status, assets = _fate(node, collected)
    return TaskUpdate(
        dispatch_id=metadata["dispatch_id"],
        node_id=node,
        status=status,
        assets={key: _asset(path) for key, path in assets.items()},
    )


def _fate(node: int, collected: Collected | None) -> tuple[Any, dict[str, Path | None]]:
    if collected is None:
        return RESULT_STATUS.CANCELLED, {}
    texts = collected.texts_of(node)
    assets = {"stdout": texts.stdout, "stderr": texts.stderr}
    if collected.cancelled:
        return RESULT_STATUS.CANCELLED, assets
    if node in collected.values:
        return RESULT_STATUS.COMPLETED, {**assets, "output": collected.values[node]}
    return RESULT_STATUS.FAILED, {**assets, "error": texts.error}


def _asset(path: Path | None) -> AssetUpdate:
    if path is None:
        return AssetUpdate(remote_uri="", size=0)
    return AssetUpdate(remote_uri=f"file://{path}", size=path.stat().st_size)


def variables(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Variables by which Covalent's own steps reach its server, as its local executor sets them."""
    from covalent._shared_files.utils import format_server_url

    tasks = [{"electron_id": node} for node in metadata["node_ids"]]
    return {
        "COVALENT_DISPATCH_ID": metadata["dispatch_id"],
        "COVALENT_DISPATCHER_URL": format_server_url(),
        "COVALENT_TASKS": json.dumps(tasks),
    }
