"""Tells which S3 operation a path-style request is, by botocore's own model of S3."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl

__all__ = ["s3_operation"]

Environ = dict[str, Any]


@dataclass(frozen=True)
class _Route:
    """What a request must have to be an operation.

    Attributes:
        operation: Name of the operation.
        fixed: Parameters that are part of its address, such as ``tagging`` or ``list-type=2``.
        needed: Parameters of the query that it cannot do without, such as ``uploadId``.
        headers: Headers that it cannot do without, as WSGI names them.
        deprecated: Whether a newer operation has the same address.
    """

    operation: str
    fixed: frozenset[tuple[str, str]]
    needed: frozenset[str]
    headers: frozenset[str]
    deprecated: bool

    def fits(self, query: dict[str, list[str]], environ: Environ) -> bool:
        return (
            all(value in query.get(name, ()) for name, value in self.fixed)
            and self.needed <= query.keys()
            and self.headers <= environ.keys()
        )

    @property
    def rank(self) -> tuple[int, int, bool]:
        """The more an operation demands, the more surely it is the one."""
        return len(self.fixed), len(self.needed) + len(self.headers), not self.deprecated


def s3_operation(environ: Environ) -> str:
    """Name of the operation that a path-style request asks for; empty if there is none.

    Args:
        environ: The WSGI environment.
    """
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    bucket, _, key = environ.get("PATH_INFO", "").lstrip("/").partition("/")
    depth = 2 if bucket and key else 1 if bucket else 0
    candidates = _routes().get((environ["REQUEST_METHOD"], depth), [])
    return next((route.operation for route in candidates if route.fits(query, environ)), "")


@cache
def _routes() -> dict[tuple[str, int], list[_Route]]:
    """The operations by method and depth of the path, those that demand most first."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("s3")
    routes: dict[tuple[str, int], list[_Route]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _, query = operation.http["requestUri"].partition("?")
        if path in _DEPTHS and name not in _DIRECTORY_BUCKETS:
            place = operation.http["method"], _DEPTHS[path]
            routes.setdefault(place, []).append(_route(operation, query))
    return {
        place: sorted(found, key=lambda route: route.rank, reverse=True)
        for place, found in routes.items()
    }


_DEPTHS = {"/": 0, "/{Bucket}": 1, "/{Bucket}/{Key+}": 2}
_DIRECTORY_BUCKETS = frozenset({"ListDirectoryBuckets", "CreateSession"})


def _route(operation: Any, query: str) -> _Route:
    needed: dict[str, set[str]] = {"querystring": set(), "header": set()}
    shape = operation.input_shape
    for member in shape.required_members if shape else ():
        place = shape.members[member].serialization
        if place.get("location") in needed:
            needed[place["location"]].add(place["name"])
    return _Route(
        operation.name,
        frozenset(parse_qsl(query, keep_blank_values=True)),
        frozenset(needed["querystring"]),
        frozenset(f"HTTP_{name.upper().replace('-', '_')}" for name in needed["header"]),
        bool(operation.deprecated),
    )
