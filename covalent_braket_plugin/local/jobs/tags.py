"""Tags of jobs and quantum tasks: TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from covalent_braket_plugin.local.jobs.job_checks import check_tags
from covalent_braket_plugin.local.service import Caller, Operation, Params, ServiceError

__all__ = ["Tags"]

TagLookup = Callable[[str], dict[str, str] | None]


class Tags:
    """The tag operations over resources that others keep.

    Args:
        lookups: Each gives the live tags of a resource by ARN, None if it is not theirs.
    """

    def __init__(self, lookups: Sequence[TagLookup]) -> None:
        self._lookups = lookups

    def operations(self) -> dict[str, Operation]:
        """The operations of this room, by name."""
        return {
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTagsForResource": self.list_tags,
        }

    def tag(self, caller: Caller, params: Params) -> Params:
        """TagResource: add tags or change their values."""
        tags = self._find(caller, params)
        check_tags(tags | params["tags"])
        tags.update(params["tags"])
        return {}

    def untag(self, caller: Caller, params: Params) -> Params:
        """UntagResource: remove tags; those that are not there are ignored."""
        tags = self._find(caller, params)
        for key in params["tagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags(self, caller: Caller, params: Params) -> Params:
        """ListTagsForResource."""
        return {"tags": dict(self._find(caller, params))}

    def _find(self, caller: Caller, params: Params) -> dict[str, str]:
        arn = params["resourceArn"]
        here = arn.split(":")[3:5] == [*caller.place]
        for lookup in self._lookups if here else ():
            tags = lookup(arn)
            if tags is not None:
                return tags
        raise ServiceError("ResourceNotFoundException", f"Resource {arn} does not exist")
