"""Covalent's server as the process that we are in: whether it is one, when it is up, and alone."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covalent_braket_plugin.covalent_compat.release import checked_release
from covalent_braket_plugin.covalent_compat.store import database_url

__all__ = ["STARTED", "alone", "beside_database", "is_server", "when_up", "write_log"]

STARTED = datetime.now(UTC)
"""Covalent loads us with its server: all dispatches of this process begin later."""
LOOK_SECONDS = 0.1
UP_WITHIN_SECONDS = 300.0
PACKAGE = __name__.partition(".")[0]
LOG_FORMAT = "[%(asctime)s] [%(levelname)s] %(name)s: %(message)s"
"""As the other lines of the server's log; Covalent makes the times UTC."""

log = logging.getLogger(__name__)
_locks: dict[Path, int] = {}


def is_server() -> bool:
    """Whether this process is Covalent's server: the program ``covalent_ui/app.py``."""
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if program is None or Path(program).name != "app.py":
        return False
    spec = importlib.util.find_spec("covalent_ui")
    places = spec.submodule_search_locations if spec else None
    return any(Path(program).resolve() == Path(place, "app.py").resolve() for place in places or ())


def when_up(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run something on the server's event loop once it works; elsewhere do nothing.

    Covalent loads us long before it has a loop, and tells nobody when it has one: a thread waits
    until its dispatcher listens.
    """
    if checked_release() and is_server():
        threading.Thread(target=_wait, args=(work,), name="covalent-braket-up", daemon=True).start()


def _wait(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while time.monotonic() < deadline:
        dispatcher = sys.modules.get("covalent_dispatcher._core.dispatcher")
        listener = getattr(dispatcher, "_global_event_listener", None)
        if isinstance(listener, asyncio.Task):
            with contextlib.suppress(RuntimeError):  # it has ended already
                listener.get_loop().call_soon_threadsafe(_start, work)
            return
        time.sleep(LOOK_SECONDS)


_started: set[asyncio.Task[None]] = set()


def _start(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    write_log()
    _started.add(asyncio.ensure_future(_safely(work)))


async def _safely(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except Exception:
        log.exception("What an earlier server left could not be gone on with")


def write_log() -> None:
    """Write what we log to the server's stderr, which is its log; unless somebody has seen to it.

    Covalent sees to its own loggers only. Importing its ``cloud_resource_manager`` gives the root
    logger a stream without a format: that is nobody's wish for ours.
    """
    ours = logging.getLogger(PACKAGE)
    if ours.handlers or not all(map(_bare, logging.getLogger().handlers)):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False  # each line stands there once


def _bare(handler: logging.Handler) -> bool:
    return type(handler) is logging.StreamHandler and handler.formatter is None


def alone() -> bool:
    """Whether no other server uses this one's database; blocking.

    What is unfinished there may belong to the other. Each server shares a lock for as long as it
    lives, however it ends, and is alone if it could have the lock for itself.
    """
    path = _lock_path(database_url())
    try:
        if path not in _locks:
            _locks[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # Of this process alone: a lock of flock would live on in what the server has forked.
            fcntl.lockf(_locks[path], fcntl.LOCK_SH)
    except OSError as error:
        log.warning("%s cannot be locked: %s", path, error)
        return False
    try:
        fcntl.lockf(_locks[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.lockf(_locks[path], fcntl.LOCK_SH)
    return True


def _lock_path(url: str) -> Path:
    return beside_database(url, "lock")


def beside_database(url: str, kind: str) -> Path:
    """Find a file of ours beside a database that is a file; else in Covalent's cache directory.

    Args:
        url: The database's URL.
        kind: What the file is for.
    """
    _, separator, file = url.partition(":///")
    if separator and Path(file).is_file():
        return Path(f"{Path(file).resolve()}.braket-{kind}")
    from covalent._shared_files.config import get_config

    mark = hashlib.sha256(url.encode()).hexdigest()[:16]
    return Path(str(get_config("dispatcher.cache_dir"))) / f"braket-{mark}.{kind}"
