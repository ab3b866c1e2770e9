"""Stands between boto3 and the local Braket: sees who signs what, and gives keys a lifetime.

It also answers where boto3 looks for credentials that are in no file: an instance's metadata, a
container's credentials and the portal of IAM Identity Center.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

ASSUME_ROLE = "AssumeRole"
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "server", "date")


class Relay:
    """A reverse proxy for a local Braket.

    Args:
        target: URL of the local Braket.

    Attributes:
        calls: Of each request the access key and, where it is in the form, the action.
        lifetime: Seconds that keys of an assumed role live from now on; None: as STS says.
        pause: Seconds for which AssumeRole is not answered.
        refused: How many requests were signed with keys that had expired.
        served: Credentials that the metadata, a container and the portal give.
        issued: Ids, secrets and tokens of the keys that AssumeRole gave.
        echo: How many of the next CreateJob requests are refused as AWS refuses a wrong signature:
            with the headers that were to be signed, the session token among them.
    """

    def __init__(self, target: str) -> None:
        self.calls: list[tuple[str, str]] = []
        self.lifetime: float | None = None
        self.pause = 0.0
        self.refused = 0
        self.served: dict[str, str] = {}
        self.issued: list[str] = []
        self.echo = 0
        self._deadlines: dict[str, float] = {}
        self._address = urlsplit(target).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @classmethod
    @contextmanager
    def started(cls, target: str) -> Iterator[Self]:
        relay = cls(target)
        thread = threading.Thread(target=relay._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield relay
        finally:
            relay._server.shutdown()
            thread.join()
            relay._server.server_close()

    def keys_of(self, action: str) -> list[str]:
        """The access keys that an action was signed with."""
        return [key for key, name in self.calls if name == action]

    def _handler(relay) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                served = relay._served(self.path)
                if served is not None:
                    self.give(200, [("Content-Type", "application/json")], served)
                    return
                found = re.search("Credential=([^/]+)/", self.headers.get("Authorization", ""))
                key = found[1] if found else ""
                action = parse_qs(body.decode("latin-1")).get("Action", [""])[0]
                relay.calls.append((key, action))
                if relay._deadlines.get(key, math.inf) < time.monotonic():
                    relay.refused += 1
                    self.give(403, [("x-amzn-errortype", "ExpiredTokenException")], b"{}")
                    return
                if relay.echo and (self.command, self.path) == ("POST", "/job"):
                    relay.echo -= 1
                    name = [("x-amzn-errortype", "InvalidSignatureException")]
                    self.give(403, name, json.dumps({"message": relay._echoed(self)}).encode())
                    return
                if action == ASSUME_ROLE:
                    time.sleep(relay.pause)
                answer, data = relay._forward(self, body)
                if action == ASSUME_ROLE and answer.status == 200:
                    data = relay._shortened(data)
                self.give(answer.status, answer.getheaders(), data)

            def give(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _forward(self, request: Any, body: bytes) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(self._address, timeout=30)
        try:
            connection.putrequest(
                request.command, request.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _echoed(self, request: Any) -> str:
        headers = "\n".join(f"{name.lower()}:{value}" for name, value in request.headers.items())
        return (
            "The request signature we calculated does not match the signature you provided.\n\n"
            f"The Canonical String for this request should have been\n'PUT\n/job\n\n{headers}'"
        )

    def _shortened(self, answer: bytes) -> bytes:
        """AssumeRole's answer with our lifetime: STS gives no less than 15 minutes."""
        text = answer.decode()
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"):
            self.issued += re.findall(f"<{name}>(.+?)</{name}>", text)
        found = re.search("<AccessKeyId>(.+?)</AccessKeyId>", text)
        if self.lifetime is None or found is None:
            return answer
        self._deadlines[found[1]] = time.monotonic() + self.lifetime
        return re.sub("<Expiration>.+?<", f"<Expiration>{_in(self.lifetime)}<", text).encode()

    def _served(self, path: str) -> bytes | None:
        if not self.served:
            return None
        if path.startswith("/latest/api/token"):
            return b"a-token-of-the-metadata-service"
        if path.rstrip("/").endswith("/iam/security-credentials"):
            return b"OnInstance"
        if path.endswith(("/iam/security-credentials/OnInstance", "/container")):
            return json.dumps(
                {
                    "Code": "Success",
                    "AccessKeyId": self.served["AccessKeyId"],
                    "SecretAccessKey": self.served["SecretAccessKey"],
                    "Token": self.served["SessionToken"],
                    "Expiration": _in(6 * 3600),
                }
            ).encode()
        if path.startswith("/federation/credentials"):
            return json.dumps(
                {
                    "roleCredentials": {
                        "accessKeyId": self.served["AccessKeyId"],
                        "secretAccessKey": self.served["SecretAccessKey"],
                        "sessionToken": self.served["SessionToken"],
                        "expiration": int((time.time() + 6 * 3600) * 1000),
                    }
                }
            ).encode()
        return None


def _in(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
