"""A real registry that an engine finds under ECR's name, and that wants ECR's login."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.support.docker_engine import missing

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
LOGIN = "AWS:000000000000-auth-token"
"""What moto's GetAuthorizationToken gives."""
CHUNK_BYTES = 1 << 20
KEPT_HEADERS = ("content-type", "location", "range", "docker-content-digest", "docker-upload-uuid")


class Front:
    """A proxy on loopback that sends what is for ECR to a port of this machine.

    Attributes:
        port: Where the registry listens; 0 as long as there is none.
        refused: How many requests came without the right login.
    """

    def __init__(self) -> None:
        self.port = 0
        self.refused = 0
        handler = type("Handler", (_Handler,), {"front": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """No TLS; asks for a login as ECR does; hands on what has one."""

    protocol_version = "HTTP/1.1"
    front: ClassVar[Front]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_CONNECT(self) -> None:
        self.send_error(502)

    def _pass(self) -> None:
        body = self._body()
        if (
            self.headers.get("Authorization")
            != f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
        ):
            self.front.refused += 1
            self._answer(401, {"WWW-Authenticate": f'Basic realm="https://{HOST}/"'}, b"")
            return
        url = urlsplit(self.path)
        line = http.client.HTTPConnection("127.0.0.1", self.front.port, timeout=60)
        with contextlib.closing(line):
            wanted = ("content-type", "accept", "content-range")
            headers = {
                name: value for name, value in self.headers.items() if name.lower() in wanted
            }
            path = f"{url.path}?{url.query}" if url.query else url.path
            line.request(self.command, path, body, {**headers, "Host": HOST})
            answer = line.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() in KEPT_HEADERS}
            data = answer.read()
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._answer(answer.status, kept, data, length)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, length: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def running_registry(front: Front, folder: Path, port: int) -> Iterator[str]:
    """Run Debian's registry behind the front; yields its URL here."""
    program = shutil.which("docker-registry")
    if program is None:
        missing("there is no docker-registry to push to (Debian: docker-registry)")
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    path = folder / "registry.yml"
    path.write_text(json.dumps(config))  # JSON is YAML
    with (folder / "registry.log").open("wb") as sink:
        process = subprocess.Popen([program, "serve", str(path)], stdout=sink, stderr=sink)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/v2/", process)
        front.port = port
        yield url
    finally:
        process.terminate()
        process.wait(10)


def catalogue(url: str, repository: str) -> Any:
    """What the registry says of a repository's tags."""
    with urllib.request.urlopen(f"{url}/v2/{repository}/tags/list", timeout=10) as answer:
        return json.load(answer)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=1).close()
            return
        time.sleep(0.05)
    raise AssertionError("docker-registry does not start")
