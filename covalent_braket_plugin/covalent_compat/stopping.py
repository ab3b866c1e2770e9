"""What happens to dispatches when Covalent's server is stopped: Covalent would cancel them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["on_stop"]


def on_stop(choose: Callable[[str, Callable[[str], Awaitable[Any]]], Awaitable[None]]) -> None:
    """Be asked instead, when the server of this process is stopped.

    Args:
        choose: Gets the status of the dispatches that it is about, and Covalent's own way to
            cancel one by its UUID.
    """
    import covalent_dispatcher.entry_point as dispatcher
    from covalent_dispatcher._service import app

    async def ask(status: Any) -> None:
        await choose(str(status), dispatcher.cancel_running_dispatch)

    app.cancel_all_with_status = ask
