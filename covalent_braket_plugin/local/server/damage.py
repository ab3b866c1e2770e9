"""Faults with which a call is carried out and answered, but not quite as it should be."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from covalent_braket_plugin.local.server.faults import FLIP, SLOW, TRUNCATE, Fault
from covalent_braket_plugin.local.server.http_server import DropConnection, WsgiApp

__all__ = ["DISTURBANCES", "disturbed"]

DISTURBANCES = frozenset({SLOW, FLIP, TRUNCATE})
"""The kinds of these faults."""

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Headers = list[tuple[str, str]]


def disturbed(
    fault: Fault, app: WsgiApp, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    """Have a call answered, with the disturbance that a fault asks for.

    Args:
        fault: One of `DISTURBANCES`.
        app: Carries the call out.
        environ: The request.
        start_response: Receives status and headers.
    """
    if fault.kind == TRUNCATE:
        return _truncated(app, environ, start_response)
    if fault.kind == SLOW:
        time.sleep(fault.seconds)
    elif fault.where == "answer":
        return _flipped_answer(app, environ, start_response)
    else:
        environ["wsgi.input"] = io.BytesIO(_flipped(environ["wsgi.input"].read()))
    return app(environ, start_response)


def _flipped_answer(
    app: WsgiApp, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    status, headers, body = _whole_answer(app, environ)
    start_response(status, headers)
    return [_flipped(body)]


def _truncated(app: WsgiApp, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Answer with the length of the whole body, send half of it, and break the connection off."""
    status, headers, body = _whole_answer(app, environ)
    if not body:
        raise DropConnection
    start_response(status, headers)
    yield body[: len(body) // 2]
    raise DropConnection


def _flipped(body: bytes) -> bytes:
    """The body with one byte changed, in its middle; an empty one stays as it is."""
    if not body:
        return body
    changed = bytearray(body)
    # The lowest bit: what was text is still text.
    changed[len(body) // 2] ^= 1
    return bytes(changed)


def _whole_answer(app: WsgiApp, environ: Environ) -> tuple[str, Headers, bytes]:
    started: list[tuple[str, Headers]] = []
    parts = app(environ, lambda status, headers, *_: started.append((status, headers)))
    body = b"".join(parts)
    status, headers = started[-1]
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    return status, [*kept, ("Content-Length", str(len(body)))], body
