"""Says of each request who calls which operation of which service, and counts them."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from covalent_braket_plugin.local.server.s3_operations import s3_operation
from covalent_braket_plugin.local.server.wire import Match

__all__ = ["JOB_SESSION", "SERVICE", "SERVICE_AGENT", "Call", "CallCounter", "identify"]

SERVICE_AGENT = "covalent-braket-local"
"""User agent of the calls that the local Braket makes itself, for jobs and results."""

SERVICE = "service"
"""Class of caller of those calls."""

JOB_SESSION = "local-braket-job"
"""Session token of programs in jobs: on AWS, too, the keys of a role have one."""

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_AGENTS = (
    (SERVICE_AGENT, SERVICE),
    ("covalent-braket-worker", "job"),
    ("covalent-braket-plugin", "dispatcher"),
)
DEFAULT_REGION = "us-east-1"

Environ = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request, as far as it can be told without carrying it out.

    Attributes:
        service: Signing name, such as ``braket`` or ``s3``.
        operation: Operation name, such as ``CreateJob``; empty if unknown.
        region: Region of the signature.
        caller: ``dispatcher``, ``job``, ``service`` (the local Braket itself) or ``other``.
        match: The route, for Braket's operations.
        signed: Whether the request has credentials.
        access_key: Access key id of the signature; empty without one.
        in_job: Whether they are those of a program in a job.
    """

    service: str
    operation: str
    region: str
    caller: str
    match: Match | None = None
    signed: bool = True
    access_key: str = ""
    in_job: bool = False


class CallCounter:
    """Counts calls, or the answers to them, by caller and operation; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}

    def add(self, call: Call, status: str = "") -> None:
        """Count a call, or an answer to one by its HTTP status."""
        name = f"{call.service}:{call.operation or 'Unknown'} {status}".rstrip()
        with self._lock:
            self._counts.setdefault(call.caller, Counter())[name] += 1

    def counts(self) -> dict[str, dict[str, int]]:
        """Counts so far: ``{caller: {"service:Operation": n}}``, a status behind an answer's."""
        with self._lock:
            return {caller: dict(counts) for caller, counts in self._counts.items()}

    def reset(self) -> None:
        """Forget all counts."""
        with self._lock:
            self._counts.clear()


def identify(environ: Environ, match: Callable[[str, str], Match | None]) -> Call:
    """Tell who calls what.

    Args:
        environ: The WSGI environment; a form body is read and put back.
        match: Finds the route of a Braket request by method and raw path. An unsigned request
            that has one is Braket's, all other unsigned ones are for S3, as moto takes them.
    """
    key, region, service = _scope(environ)
    signed = _is_signed(environ)
    in_job = environ.get("HTTP_X_AMZ_SECURITY_TOKEN") == JOB_SESSION
    caller = _caller(environ.get("HTTP_USER_AGENT", ""))
    method, raw_path = environ["REQUEST_METHOD"], environ["REQUEST_URI"].partition("?")[0]
    found = match(method, raw_path) if service == "braket" or not signed else None
    if service == "braket" or found is not None:
        operation = found.operation if found else ""
        return Call("braket", operation, region, caller, found, signed, key, in_job)
    if service == "s3":
        return Call(service, s3_operation(environ), region, caller, access_key=key, in_job=in_job)
    operation = _target(environ) or _form_action(environ)
    return Call(service, operation, region, caller, access_key=key, in_job=in_job)


def _scope(environ: Environ) -> tuple[str, str, str]:
    """Access key, region and service of the signature; S3 without one."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if found:
        return found[1], found[2], found[3]
    query = parse_qs(environ.get("QUERY_STRING", ""))
    parts = unquote(query.get("X-Amz-Credential", [""])[0]).split("/")
    return (parts[0], parts[2], parts[3]) if len(parts) == 5 else ("", DEFAULT_REGION, "s3")


def _is_signed(environ: Environ) -> bool:
    query = environ.get("QUERY_STRING", "")
    in_query = "X-Amz-Credential=" in query or "AWSAccessKeyId=" in query
    return in_query or "HTTP_AUTHORIZATION" in environ


def _caller(agent: str) -> str:
    return next((name for mark, name in _AGENTS if mark in agent), "other")


def _target(environ: Environ) -> str:
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    return target.rpartition(".")[2]


def _form_action(environ: Environ) -> str:
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return ""
    body: bytes = environ["wsgi.input"].read()
    environ["wsgi.input"] = io.BytesIO(body)
    return parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
