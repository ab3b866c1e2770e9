"""Braket's rest-json protocol on WSGI, driven by botocore's service model.

Routes, members, statuses and time formats all come from the model, so this room knows no
operation by name. Paths are matched percent-encoded: an ARN travels as one segment
(``/job/arn%3Aaws%3A...%3Ajob%2F<uuid>``) and would be cut in two if it were decoded first.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from covalent_braket_plugin.local.server import validation
from covalent_braket_plugin.local.server.model import error_statuses, service_model
from covalent_braket_plugin.local.service import Caller, Operation, Params, ServiceError

__all__ = ["Answer", "BraketWire", "Match", "error_answer", "json_answer", "service_error_answer"]

# Services whose errors are XML: S3 and those of the query protocol.
_XML_SERVICES = frozenset({"s3", "sts", "iam", "ec2", "sns", "cloudformation"})

log = logging.getLogger(__name__)

Environ = dict[str, Any]


@dataclass(frozen=True)
class Match:
    """A route that fits a request: the operation's name and the members from the path."""

    operation: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, before it is written."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class BraketWire:
    """Turns HTTP requests into operations and their results into HTTP answers.

    Args:
        operations: The operations that are implemented, by name.
    """

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations

    def match(self, method: str, raw_path: str) -> Match | None:
        """Find the operation for a method and a percent-encoded path."""
        for verb, pattern, name in self._routes:
            found = pattern.fullmatch(raw_path) if verb == method else None
            if found:
                members = {key: unquote(value) for key, value in found.groupdict().items()}
                return Match(name, members)
        return None

    def answer(self, environ: Environ, caller: Caller, match: Match | None) -> Answer:
        """Carry out a request and answer it; never raises."""
        try:
            return self._carried_out(environ, caller, match)
        except ServiceError as error:
            return error_answer(error)
        except Exception as error:
            log.exception("internal error")
            text = f"{type(error).__name__}: {error}"
            return error_answer(ServiceError("InternalServiceException", text))

    def _carried_out(self, environ: Environ, caller: Caller, match: Match | None) -> Answer:
        if match is None:
            return json_answer(404, {"message": "Unable to determine service/operation name"})
        model = service_model().operation_model(match.operation)
        params = _parse(model, environ, match)
        validation.check(model.input_shape, params)
        operation = self._operations.get(match.operation, _unsupported(match.operation))
        result = operation(caller, params)
        body = _serialized(model.output_shape, result) if model.output_shape else {}
        return json_answer(model.http.get("responseCode", 200), body)

    @cached_property
    def _routes(self) -> list[tuple[str, re.Pattern[str], str]]:
        model = service_model()
        routes = []
        for name in model.operation_names:
            http = model.operation_model(name).http
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", http["requestUri"])
            routes.append((http["method"], re.compile(pattern), name))
        return routes


def json_answer(status: int, body: Any, *headers: tuple[str, str]) -> Answer:
    """A JSON answer with the headers that every AWS answer carries."""
    data = json.dumps(body).encode()
    every = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(data))),
        ("x-amzn-requestid", str(uuid.uuid4())),
    )
    return Answer(status, every + headers, data)


def error_answer(error: ServiceError, status: int | None = None) -> Answer:
    """The answer for an error: code in ``x-amzn-errortype``, text and members as JSON."""
    if status is None:
        status = error_statuses().get(error.code, 400)
    body = {"message": error.message, **error.members}
    return json_answer(status, body, ("x-amzn-errortype", error.code))


def service_error_answer(service: str, error: ServiceError, status: int) -> Answer:
    """The answer for an error of any service, in the format that its clients read."""
    if service in _XML_SERVICES:
        return _xml_answer(error, status, service)
    if service != "braket":
        # Services of the JSON protocols read the code from the body.
        error.members["__type"] = error.code
    return error_answer(error, status)


def _xml_answer(error: ServiceError, status: int, service: str) -> Answer:
    request = str(uuid.uuid4())
    inner = (
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"<RequestId>{request}</RequestId>"
    )
    text = f"<Error>{inner}</Error>"
    if service != "s3":
        text = f"<ErrorResponse>{text}<RequestId>{request}</RequestId></ErrorResponse>"
    body = text.encode()
    headers = (("Content-Type", "text/xml"), ("Content-Length", str(len(body))))
    return Answer(status, headers, body)


def _unsupported(name: str) -> Operation:
    def refuse(_caller: Caller, _params: Params) -> Params:
        text = f"{name} is not supported by the local Braket"
        raise ServiceError("ValidationException", text)

    return refuse


def _parse(model: Any, environ: Environ, match: Match) -> Params:
    params: Params = dict(match.members)
    if model.input_shape is None:
        return params
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    body = _body(environ)
    for name, shape in model.input_shape.members.items():
        where = shape.serialization.get("location")
        key = shape.serialization.get("name", name)
        if where == "querystring" and key in query:
            params[name] = _from_query(shape, query[key])
        elif where == "header" and (header := _header(environ, key)) is not None:
            params[name] = header
        elif where is None and body.get(name) is not None:
            params[name] = body[name]
    return params


def _body(environ: Environ) -> Mapping[str, Any]:
    data = environ["wsgi.input"].read()
    if not data:
        return {}
    try:
        parsed = json.loads(data)
    except ValueError:
        raise ServiceError("BadRequestException", "Invalid request body: not JSON") from None
    except RecursionError:
        text = "Invalid request body: nested too deeply"
        raise ServiceError("BadRequestException", text) from None
    if not isinstance(parsed, dict):
        raise ServiceError("BadRequestException", "Invalid request body: must be an object")
    return parsed


def _from_query(shape: Any, values: list[str]) -> Any:
    if shape.type_name == "list":
        return values
    if shape.type_name in ("integer", "long") and values[0].lstrip("-").isdigit():
        return int(values[0])
    return values[0]


def _header(environ: Environ, name: str) -> str | None:
    value: str | None = environ.get(f"HTTP_{name.upper().replace('-', '_')}")
    return value


def _serialized(shape: Any, value: Any) -> Any:
    """Shape a result as the model says; members that the model does not know are dropped."""
    serialize = _SERIALIZERS.get(shape.type_name)
    return value if serialize is None else serialize(shape, value)


def _structure(shape: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    members = shape.members.items()
    return {
        member.serialization.get("name", name): _serialized(member, value[name])
        for name, member in members
        if value.get(name) is not None
    }


def _list(shape: Any, value: Iterable[Any]) -> list[Any]:
    return [_serialized(shape.member, item) for item in value]


def _map(shape: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _serialized(shape.value, item) for key, item in value.items()}


def _timestamp(shape: Any, value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    moment = value.astimezone(UTC)
    if shape.serialization.get("timestampFormat") == "iso8601":
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return round(moment.timestamp(), 3)


_SERIALIZERS: dict[str, Callable[[Any, Any], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "timestamp": _timestamp,
}
