"""A TCP proxy that stands between the dispatcher and AWS, and can be a bad line."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal

Mode = Literal["pass", "refuse", "hang"]
LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65536


class Proxy:
    """Passes connections on to a port; can cut, refuse or swallow them.

    Args:
        port: Where to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._mode: Mode = "pass"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def become(self, mode: Mode) -> None:
        """``pass``, ``refuse`` connections, or take requests and never answer (``hang``).

        Connections that are open are cut, as on a line that breaks.
        """
        with self._lock:
            self._mode = mode
            self._cut()
            if mode == "refuse":
                self._shut()
            elif self._listener is None:
                self._listen()

    def close(self) -> None:
        with self._lock:
            self._shut()
            self._cut()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, self.port))
        listener.listen(128)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _shut(self) -> None:
        if self._listener is not None:
            # Wakes the thread that accepts; closing alone would leave the port open.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _cut(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._keeping(client):
            if self._mode == "hang":
                while client.recv(CHUNK_BYTES):
                    pass
                return
            server = socket.create_connection((LOOPBACK, self._target))
            with self._keeping(server):
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()

    @contextlib.contextmanager
    def _keeping(self, one: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(one)
        try:
            with contextlib.suppress(OSError):
                yield
        finally:
            with self._lock:
                self._open.discard(one)
            one.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
