"""A small threaded WSGI server for loopback, with keep-alive.

The development server of werkzeug closes the connection after each answer, which costs every
client a reconnect per call. This one keeps connections open, sends small answers at once
(no Nagle), passes the percent-encoded path on as ``REQUEST_URI``, and can break a connection
off without an answer, which fault injection needs.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socketserver
import sys
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

__all__ = ["DropConnection", "LoopbackServer", "WsgiApp"]

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 300.0
DRAIN_BYTES = 1 << 20
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
AccessLog = Callable[[str], None]


class DropConnection(Exception):
    """Raised by the application to end the connection without an answer, or within one.

    Args:
        after_seconds: How long the client is kept waiting first, unless it closes the connection.
    """

    def __init__(self, after_seconds: float = 0.0) -> None:
        self.after_seconds = after_seconds
        super().__init__()


class LoopbackServer(socketserver.ThreadingTCPServer):
    """Serves a WSGI application on 127.0.0.1, one thread per connection.

    Args:
        port: Port to listen on; 0 picks a free one.
        app: The application; can be set later, before the first request.
        access_log: Receives one line per request.
    """

    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, app: WsgiApp | None, access_log: AccessLog) -> None:
        self.app = app
        self.access_log = access_log
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note broken connections in the access log; they are the client's business."""
        self.access_log(f"connection broke: {sys.exc_info()[1]!r}")


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = IDLE_SECONDS

    def respond(self) -> None:
        """Run the application for one request."""
        began = time.monotonic()
        try:
            body = _body_reader(self)
        except ValueError:
            self._give_up(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
            return
        try:
            status = self._exchange(body)
        except DropConnection as drop:
            self.close_connection = True
            status = "dropped"
            if drop.after_seconds:
                self._hang(drop.after_seconds)
        if not body.drain(DRAIN_BYTES):
            self.close_connection = True
        took = (time.monotonic() - began) * 1000
        self.server.access_log(f"{self.command} {self.path} {status} {took:.1f} ms")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = respond

    def _exchange(self, body: _Body) -> str:
        exchange = _Exchange(self, body)
        try:
            status = exchange.run()
            self.wfile.flush()
        except (DropConnection, ConnectionError, TimeoutError):
            raise
        except Exception as error:
            log.exception("%s %s failed", self.command, self.path)
            if exchange.begun:
                # Only a broken connection still tells that what was sent is not all.
                raise DropConnection from error
            text = f"The local Braket failed: {type(error).__name__}: {error}"
            return self._give_up(HTTPStatus.INTERNAL_SERVER_ERROR, text)
        return status

    def _give_up(self, status: HTTPStatus, text: str) -> str:
        """Answer without the application, and close the connection."""
        body = json.dumps({"message": text}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True
        return str(int(status))

    def _hang(self, seconds: float) -> None:
        """Take whatever comes and answer nothing, until the client closes or the time is up."""
        self.connection.settimeout(seconds)
        with contextlib.suppress(OSError):
            while self.connection.recv(1 << 16):
                pass

    def handle_expect_100(self) -> bool:
        """Send the interim answer at once: the client waits for it before it sends the body."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_message(self, format: str, *args: Any) -> None:
        """Log malformed requests like all others, not on stderr."""
        self.server.access_log(format % args)


class _Exchange:
    """One request and its answer: the WSGI side of the handler."""

    def __init__(self, handler: _Handler, body: _Body) -> None:
        self.handler = handler
        self.environ = _environ(handler, body)
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.chunked = False
        self.begun = False

    def run(self) -> str:
        app = self.handler.server.app
        if app is None:
            raise DropConnection
        parts = app(self.environ, self._start_response)
        try:
            self._send(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        return self.status

    def _start_response(self, status: str, headers: list[tuple[str, str]], _exc: Any = None) -> Any:
        self.status, self.headers = status.split(" ", 1)[0], headers
        return self.handler.wfile.write

    def _send(self, parts: Iterable[bytes]) -> None:
        silent = self.handler.command == "HEAD" or int(self.status or 200) in BODILESS
        started = False
        for part in parts:
            if not started:
                started = self._send_head(silent)
            if part and not silent:
                self._send_part(part)
        if not started:
            self._send_head(silent)
        if self.chunked:
            self.handler.wfile.write(b"0\r\n\r\n")

    def _send_head(self, silent: bool) -> bool:
        self.begun = True
        handler, names = self.handler, {name.lower() for name, _ in self.headers}
        handler.send_response_only(int(self.status))
        for name, value in self.headers:
            handler.send_header(name, value)
        if "date" not in names:
            handler.send_header("Date", handler.date_time_string())
        if "content-length" not in names and not silent:
            self.chunked = True
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        return True

    def _send_part(self, part: bytes) -> None:
        write = self.handler.wfile.write
        write(f"{len(part):x}\r\n".encode() + part + b"\r\n" if self.chunked else part)


def _environ(handler: _Handler, body: _Body) -> dict[str, Any]:
    path, _, query = handler.path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": handler.command,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": handler.path,
        "RAW_URI": handler.path,
        "SERVER_NAME": LOOPBACK,
        "SERVER_PORT": str(handler.server.port),
        "SERVER_PROTOCOL": handler.request_version,
        "REMOTE_ADDR": handler.client_address[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BufferedReader(body, 1 << 16),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    _add_headers(environ, handler)
    return environ


def _add_headers(environ: dict[str, Any], handler: _Handler) -> None:
    for name, value in handler.headers.items():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
            value = f"{environ[key]},{value}" if key in environ else value
        environ[key] = value


class _Body(io.RawIOBase):
    """The request's body: ends where the body ends, not where the connection does."""

    def __init__(self, source: BinaryIO, length: int) -> None:
        self._source = source
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(min(len(buffer), self._left)) if self._left else b""
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def drain(self, limit: int) -> bool:
        """Read what the application left; False if that is more than the limit."""
        if self._left > limit:
            return False
        while self._left and (data := self._source.read(self._left)):
            self._left -= len(data)
        return self._left == 0


class _ChunkedBody(_Body):
    """A body in chunked transfer encoding, which botocore uses for streams of unknown length."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__(source, 0)
        self._ended = False

    def readinto(self, buffer: Any) -> int:
        if not self._left and not self._ended:
            self._left = int(self._source.readline().split(b";")[0].strip() or b"0", 16)
            self._ended = self._left == 0
            if self._ended:
                self._skip_trailers()
        read = super().readinto(buffer)
        if read and not self._left:
            self._source.readline()
        return read

    def drain(self, limit: int) -> bool:
        return self._ended

    def _skip_trailers(self) -> None:
        while self._source.readline().strip():
            pass


def _body_reader(handler: _Handler) -> _Body:
    source: BinaryIO = handler.rfile  # type: ignore[assignment]
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        return _ChunkedBody(source)
    text = handler.headers.get("Content-Length") or "0"
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return _Body(source, int(text))
