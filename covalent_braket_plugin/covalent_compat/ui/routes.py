"""The live page and its JSON, served by Covalent's own server below ``/braket``.

Only questions (GET), on the address and port that the server has anyway. Covalent's own routes
answer any web page that the user visits (CORS is open to all); ours answer their own page only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from covalent_braket_plugin.covalent_compat.ui import record, texts, view
from covalent_braket_plugin.monitoring import watched
from covalent_braket_plugin.monitoring.board import BOARD
from covalent_braket_plugin.threads import quickly

__all__ = ["LOG_BYTES", "add", "tail_of"]

LOG_BYTES = 256 * 1024
MAX_LISTED = 200
API = "/braket/api/dispatches"

Answer = Callable[[Request], Awaitable[Response]]


class Json(JSONResponse):
    """JSON in ASCII: what electrons say may hold halves of characters, which have no UTF-8."""

    def render(self, content: object) -> bytes:
        """Write it down."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def add() -> None:
    """Put our routes before Covalent's, whose last ones catch all."""
    from covalent_ui.api.main import app

    nodes = "/{dispatch_id:uuid}/nodes/{node_id:int}"
    ours = [
        (API, _list),
        (API + "/{dispatch_id:uuid}", _dispatch),
        (API + nodes + "/log", _log),
        (API + nodes + "/error", _error),
        ("/braket", _page),
        ("/braket/{dispatch_id:uuid}", _page),
    ]
    app.router.routes[:0] = [Route(path, _own(answer), methods=["GET"]) for path, answer in ours]


def _own(answer: Answer) -> Answer:
    """Refuse what another site's page asks; browsers say so in these headers."""

    async def checked(request: Request) -> Response:
        origin = request.headers.get("origin")
        host = request.headers.get("host", "")
        foreign = origin is not None and origin.partition("://")[2] != host
        api = request.url.path.startswith(API)
        if foreign or (
            api and request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        ):
            return Json({"detail": "Only this server's own pages may ask."}, 403)
        response = await answer(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return checked


def _missing(what: str) -> Response:
    return Json({"detail": f"There is no {what}."}, 404)


def _number(request: Request, name: str, default: int) -> int:
    try:
        return int(request.query_params.get(name, default))
    except ValueError:
        return default


async def _list(request: Request) -> Response:
    limit = min(max(1, _number(request, "limit", 20)), MAX_LISTED)
    found = await quickly(record.recent, limit)
    return Json({"dispatches": [view.summary(each) for each in found]})


async def _dispatch(request: Request) -> Response:
    dispatch_id = str(request.path_params["dispatch_id"])
    found = await quickly(record.read, dispatch_id)
    if found is None:
        return _missing(f"dispatch {dispatch_id}")
    watched.note(dispatch_id)
    told = view.dispatch_view(
        found,
        BOARD.entries(dispatch_id),
        lambda node_id: BOARD.metrics(dispatch_id, node_id),
        datetime.now(UTC),
    )
    return Json(told)


async def _log(request: Request) -> Response:
    dispatch_id, node_id = str(request.path_params["dispatch_id"]), request.path_params["node_id"]
    watched.note(dispatch_id)
    told = await quickly(_read_log, dispatch_id, node_id, _number(request, "offset", 0))
    return _missing(f"node {node_id} in {dispatch_id}") if told is None else Json(told)


def _read_log(dispatch_id: str, node_id: int, offset: int) -> dict[str, Any] | None:
    path = record.asset(dispatch_id, node_id, "stdout")
    return None if path is None else tail_of(path, offset)


def tail_of(path: Path, offset: int) -> dict[str, Any]:
    """Read a text file on from an offset in bytes, at most 256 KB, in whole characters.

    Args:
        path: The file; if it is not there, it is empty.
        offset: Where to begin; negative: so many bytes before the end.

    Returns:
        ``text``, ``offset`` (where to go on; smaller than asked for if the file was written anew),
        ``size``.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(0, size + offset) if offset < 0 else min(offset, size)
            file.seek(start)
            data = file.read(LOG_BYTES)
    except OSError:
        return {"text": "", "offset": 0, "size": 0}
    if offset < 0 and start > 0:  # begin with a whole line
        skipped = data.find(b"\n") + 1
        start, data = start + skipped, data[skipped:]
    data = data[: len(data) - _unfinished(data)]
    return {"text": data.decode("utf-8", "replace"), "offset": start + len(data), "size": size}


def _unfinished(data: bytes) -> int:
    """Count the bytes at the end that begin a character and do not end it."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:  # not a byte from within a character
            length = 2 if byte >> 5 == 6 else 3 if byte >> 4 == 14 else 4 if byte >> 3 == 30 else 1
            return back if length > back else 0
    return 0


async def _error(request: Request) -> Response:
    dispatch_id, node_id = str(request.path_params["dispatch_id"]), request.path_params["node_id"]
    text = await quickly(_read_error, dispatch_id, node_id)
    return Json({"text": text})


def _read_error(dispatch_id: str, node_id: int) -> str:
    return texts.error_text(record.asset_files(dispatch_id, node_id, ("error", "stderr")))


# --- the page ----------------------------------------------------------------------------------

PAGE = Path(__file__).with_name("page.html")
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


async def _page(request: Request) -> Response:
    text = await quickly(PAGE.read_text, encoding="utf-8")
    return HTMLResponse(text, headers={"Content-Security-Policy": _policy(text)})


def _policy(page: str) -> str:
    """What a browser lets the page do: run its own script, and ask its own server."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _SCRIPT.findall(page)
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'"
    )
