"""What an electron prints, as a file that clients fetch while it is written.

Covalent 0.240 answers with the file's size first and its bytes then (``_service/files.py``). Where
the file changes in between, as the stdout of an electron that runs does, the answer breaks off and
`ct.get_result` raises an error. Here size and bytes are those of one moment.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from covalent_braket_plugin.threads import quickly

__all__ = ["repair"]

STREAMS = "/api/v0/files/{folder:path}/stdout.log"
MOST_BYTES = 16 * 1024 * 1024
"""What runs prints less live; a longer stdout is of an electron that has ended."""


def repair() -> None:
    """Answer for stdout before Covalent does."""
    from covalent_ui.api.main import app

    app.router.routes.insert(0, Route(STREAMS, _stdout, methods=["GET"]))


async def _stdout(request: Request) -> Response:
    from covalent_dispatcher._service import files

    key = f"{request.path_params['folder']}/stdout.log"
    path = Path(files._sanitize_path(str(Path(files.BASE_PATH) / key)))
    text = await quickly(_read, path)
    if text is None:
        stock: Response = await files.download_file(key)
        return stock
    return Response(text, media_type="text/plain; charset=utf-8")


def _read(path: Path) -> bytes | None:
    """Read a file; None if it is Covalent's to answer for."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError:
        return None
    return text if len(text) <= MOST_BYTES else None
