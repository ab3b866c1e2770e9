"""A link from Covalent's page of a dispatch to the live page.

Covalent's UI has no place for links of plugins. Its one HTML file gets a script of ours, which adds
a link beside what the UI shows and touches nothing else.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from covalent_braket_plugin.threads import quickly

__all__ = ["repair"]

SCRIPT = Path(__file__).with_name("link.js")
TAG = '<script defer src="/braket/link.js"></script></head>'


def repair() -> None:
    """Serve the UI's first page, and its page of a dispatch, with our script in it."""
    import covalent_ui
    from covalent_ui.api.main import app

    index = Path(next(iter(covalent_ui.__path__)), "webapp", "build", "index.html")
    html = index.read_text(encoding="utf-8")
    if html.count("</head>") != 1:
        raise ValueError(f"{index} is not the page that we know")
    page = html.replace("</head>", TAG)

    async def answer(request: Request) -> Response:
        return HTMLResponse(page)

    async def script(request: Request) -> Response:
        text = await quickly(SCRIPT.read_text, encoding="utf-8")
        return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    app.router.routes[:0] = [
        Route("/", answer, methods=["GET"]),
        Route("/{dispatch_id:uuid}", answer, methods=["GET"]),
        Route("/braket/link.js", script, methods=["GET"]),
    ]
