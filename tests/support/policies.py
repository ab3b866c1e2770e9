"""What policies grant, however their statements are cut."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["grants_of"]

Grants = set[tuple[str, str, str]]


def grants_of(document: dict[str, Any]) -> Grants:
    """Take a policy apart: each action on each resource, under which conditions."""
    return {
        (action, resource, json.dumps(_conditions(statement), sort_keys=True))
        for statement in document["Statement"]
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
        if _allows(statement)
    }


def _allows(statement: dict[str, Any]) -> bool:
    assert statement["Effect"] == "Allow", statement
    return True


def _conditions(statement: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    return {
        operator: {key: sorted(_listed(values)) for key, values in keys.items()}
        for operator, keys in statement.get("Condition", {}).items()
    }


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
