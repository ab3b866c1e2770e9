"""What a plan of Terraform would do, resource by resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Change", "changes", "resources"]

_VERBS = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
}
# What people call a resource, the first that it has.
_NAMES = ("bucket", "name", "policy_name", "repository", "role", "id")


@dataclass(frozen=True)
class Change:
    """What is to happen to one resource.

    Attributes:
        address: As Terraform calls it, such as ``aws_s3_bucket.braket``.
        action: ``create``, ``change``, ``replace``, ``destroy`` or ``keep``.
        name: As AWS calls it, if that is known before it is there.
        attributes: Which of its attributes differ, if it is to be changed.
    """

    address: str
    action: str
    name: str
    attributes: tuple[str, ...] = ()


def changes(plan: Mapping[str, Any]) -> list[Change]:
    """List what the plan would do; resources that stay as they are not among it."""
    return [each for each in resources(plan) if each.action != "keep"]


def resources(plan: Mapping[str, Any]) -> list[Change]:
    """List all resources of the plan; data sources are not among them."""
    entries = plan.get("resource_changes", ())
    return [_change(entry) for entry in entries if entry.get("mode") != "data"]


def _change(entry: Mapping[str, Any]) -> Change:
    change = entry["change"]
    before, after = change.get("before") or {}, change.get("after") or {}
    action = _VERBS.get(tuple(change["actions"]), "keep")
    known = after or before
    name = next((str(known[key]) for key in _NAMES if known.get(key)), "")
    unknown = change.get("after_unknown") or {}
    differing = (
        key
        for key in sorted({*before, *after, *unknown})
        if before.get(key) != after.get(key) or unknown.get(key) is True
    )
    attributes = tuple(differing) if action in ("change", "replace") else ()
    return Change(entry["address"], action, name, attributes)
