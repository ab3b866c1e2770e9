"""The panes of a node and of a dispatch: source, inputs, result, error, executor.

In Covalent 0.240 they stay empty: the names of an electron's files became
``<dispatch>/node_n/<file>`` below one folder (``_object_store/local.py``), while the UI still joins
that folder and the bare file name (``electron_routes.py``; so it is with the result of a dispatch,
which is a file of its last node). The same questions are answered here by what the table of files
says: dispatches of any age are shown, and nothing in the database is touched.

The stock answers also load whole results and inputs into the server's memory, and are an error 500
for what is not there yet. Here only so much is read as a page can show, and nothing is unpickled.
A node that completed has no error: what it wrote to stderr does not belong into the red box.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from covalent_braket_plugin import tobj
from covalent_braket_plugin.covalent_compat.ui import record, texts
from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.threads import quickly

__all__ = ["repair"]

TEXT_BYTES = 128 * 1024
PICKLE_BYTES = 256 * 1024
DISPATCH = "/api/v1/dispatches/{dispatch_id:uuid}"
NODE = DISPATCH + "/electron/{node_id:int}"

Pane = dict[str, Any]


def repair() -> None:
    """Answer for the panes before Covalent does."""
    from covalent_ui.api.main import app

    panes = {
        f"{NODE}/details/function_string": _source,
        f"{NODE}/details/inputs": _inputs,
        f"{NODE}/details/result": _result,
        f"{NODE}/details/error": _error,
        f"{NODE}/details/executor": _executor,
    }
    routes = [Route(path, _of_node(pane), methods=["GET"]) for path, pane in panes.items()]
    routes.append(Route(f"{DISPATCH}/details/result", _lattice_result, methods=["GET"]))
    app.router.routes[:0] = routes


def _of_node(pane: Callable[[str, int], Pane]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        of = str(request.path_params["dispatch_id"]), request.path_params["node_id"]
        return JSONResponse(await quickly(pane, *of))

    return answer


async def _lattice_result(request: Request) -> Response:
    dispatch_id = str(request.path_params["dispatch_id"])
    return JSONResponse(await quickly(_result_of_lattice, dispatch_id))


# --- panes -------------------------------------------------------------------------------------


def _source(dispatch_id: str, node_id: int) -> Pane:
    path = record.asset(dispatch_id, node_id, "function_string")
    return _pane(texts.head(path, TEXT_BYTES) if path else "")


def _result(dispatch_id: str, node_id: int) -> Pane:
    path = record.asset(dispatch_id, node_id, "output")
    return _object(path, f'ct.get_result("{dispatch_id}").get_node_result({node_id})["output"]')


def _result_of_lattice(dispatch_id: str) -> Pane:
    path = record.lattice_asset(dispatch_id, "result")
    return _object(path, f'ct.get_result("{dispatch_id}").result')


def _error(dispatch_id: str, node_id: int) -> Pane:
    row = record.electron(dispatch_id, node_id)
    if row is None or row.status == "COMPLETED":
        return _pane("")
    files = record.asset_files(dispatch_id, node_id, ("error", "stderr"))
    return _pane(texts.error_text(files, TEXT_BYTES))


def _inputs(dispatch_id: str, node_id: int) -> Pane:
    args, named = record.inputs(dispatch_id, node_id)
    values = [_text(path) for path in args]
    pairs = [f"{name!r}: {_text(path)}" for name, path in named.items()]
    comma = "," if len(values) == 1 else ""
    text = f"{{'args': ({', '.join(values)}{comma}), 'kwargs': {{{', '.join(pairs)}}}}}"
    return _pane(text, _loading([*args, *named.values()], args, named))


def _loading(paths: Iterable[Path], args: list[Path], named: dict[str, Path]) -> str:
    if sum(path.stat().st_size for path in paths if path.exists()) > PICKLE_BYTES:
        return "# These inputs are too large to be copied."
    lines = [f"    {_pickled(path)}," for path in args]
    pairs = [f"    {name!r}: {_pickled(path)}," for name, path in named.items()]
    return "\n".join(["import pickle", "args = (", *lines, ")", "kwargs = {", *pairs, "}"])


def _executor(dispatch_id: str, node_id: int) -> Pane:
    row = record.electron(dispatch_id, node_id)
    if row is None:
        return {"executor_name": None, "executor_details": None}
    details = json.loads(row.executor_data or "{}")
    if row.executor == record.OURS:
        # The pane shows 200 characters: the link comes first, and what is unset not at all.
        attributes = {"live": f"{_server()}/braket/{dispatch_id}#node-{node_id}"}
        given = details.get("attributes", {}).items()
        details["attributes"] = attributes | {k: v for k, v in given if v not in (None, "")}
    return {"executor_name": row.executor, "executor_details": details}


def _server() -> str:
    from covalent._shared_files.utils import format_server_url

    return str(format_server_url())


# --- what files hold ---------------------------------------------------------------------------


def _pane(text: str, python: str | None = None) -> Pane:
    return {"data": text, "python_object": python}


def _object(path: Path | None, otherwise: str) -> Pane:
    """Show a pickled object: its text, and a line of Python that makes it."""
    if path is None or not path.exists():
        return _pane("")
    small = path.stat().st_size <= PICKLE_BYTES
    python = f"import pickle\n{_pickled(path)}" if small else f"import covalent as ct\n{otherwise}"
    return _pane(_text(path), python)


def _text(path: Path) -> str:
    try:
        text = tobj.read_text(path, TEXT_BYTES)
    except (OSError, IntegrityError):
        return "?"
    return text if len(text.encode()) < TEXT_BYTES else f"{text} ..."


def _pickled(path: Path) -> str:
    try:
        return f"pickle.loads({b''.join(tobj.pickle_chunks(path))!r})"
    except (OSError, IntegrityError):
        return "None"
