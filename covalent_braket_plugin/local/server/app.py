"""The one application behind the port: control routes, Braket by us, the rest of AWS by moto."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from covalent_braket_plugin.local.iam.simulation import OPERATION as SIMULATE
from covalent_braket_plugin.local.iam.simulation import Simulation
from covalent_braket_plugin.local.memory import MemoryKeeper
from covalent_braket_plugin.local.server.accounts import account_of
from covalent_braket_plugin.local.server.bucket_owners import of_another_account
from covalent_braket_plugin.local.server.call_record import CallRecord
from covalent_braket_plugin.local.server.calls import SERVICE, Call, CallCounter, identify
from covalent_braket_plugin.local.server.damage import DISTURBANCES, disturbed
from covalent_braket_plugin.local.server.faults import (
    DROP,
    HANG,
    LEAVE_TASKS,
    MAX_SECONDS,
    Fault,
    Faults,
    fault_answer,
    parse_fault,
)
from covalent_braket_plugin.local.server.http_server import DropConnection
from covalent_braket_plugin.local.server.rates import RateLimits
from covalent_braket_plugin.local.server.service_quotas import SERVICE_QUOTAS, ServiceQuotas
from covalent_braket_plugin.local.server.wire import (
    Answer,
    BraketWire,
    error_answer,
    json_answer,
    service_error_answer,
)
from covalent_braket_plugin.local.service import Caller, ServiceError

__all__ = ["ControlRoute", "LocalAws"]

log = logging.getLogger(__name__)

UNSIGNED = "Missing Authentication Token"
CONTROL_PREFIX = "/_local/"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

ControlRoute = Callable[[str, Any], Any]
"""A control route: method and JSON body in, JSON out; ServiceError for a bad request."""


class LocalAws:
    """WSGI application.

    Args:
        braket: Answers requests that are signed for ``braket``.
        quotas: Answers requests that are signed for ``servicequotas``.
        simulation: Answers IAM's ``SimulatePrincipalPolicy``.
        others: Answers all other AWS requests.
        account_id: The account of every caller whose access key does not say another.
        rates: Request rates to enforce on a service's operations, by service.
        leave_tasks: Called with the ARN of a job whose quantum tasks CancelJob shall leave alone.
        routes: Further control routes, by their name under ``/_local/``.
        furnish: By service, what puts things there that are there from the start; called with the
            region and the account, before the first request from there is answered.
        record: Notes which operations were called.
    """

    def __init__(
        self,
        braket: BraketWire,
        quotas: ServiceQuotas,
        simulation: Simulation,
        others: WsgiApp,
        account_id: str,
        *,
        rates: Mapping[str, RateLimits] | None = None,
        leave_tasks: Callable[[str], object] = lambda arn: None,
        routes: dict[str, ControlRoute] | None = None,
        furnish: dict[str, Callable[[str, str], None]] | None = None,
        record: CallRecord | None = None,
    ) -> None:
        self._braket = braket
        self._quotas = quotas
        self._simulation = simulation
        self._others = others
        self._account_id = account_id
        self._rates = rates or {}
        self._leave_tasks = leave_tasks
        self._furnish = furnish or {}
        self._furnished: set[tuple[str, str, str]] = set()
        self._furnishing = threading.RLock()
        self._faults = Faults()
        self._record = record or CallRecord(None)
        self._calls = CallCounter()
        self._answers = CallCounter()
        self._memory = MemoryKeeper()
        self._routes = {"faults": self._control_faults, "calls": self._control_calls}
        self._routes["answers"] = self._control_answers
        self._routes |= routes or {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if _foreign(environ):
            text = "The local Braket answers only programs on this machine, no web pages"
            return _send(json_answer(403, {"message": text}), start_response)
        if environ["PATH_INFO"].startswith(CONTROL_PREFIX):
            return _send(self._control(environ), start_response)
        call = identify(environ, self._braket.match)
        self._calls.add(call)
        self._record.add(call)
        self._memory.received(int(environ.get("CONTENT_LENGTH") or 0))
        start_response = self._counting_answers(call, start_response)
        try:
            return self._answer(call, environ, start_response)
        except (DropConnection, ConnectionError, TimeoutError):
            raise
        except Exception as error:
            log.exception("%s:%s failed", call.service, call.operation)
            return _send(_internal_error(call, error), start_response)

    def _counting_answers(
        self, call: Call, start_response: Callable[..., Any]
    ) -> Callable[..., Any]:
        def start(status: str, *rest: Any) -> Any:
            self._answers.add(call, status.partition(" ")[0])
            return start_response(status, *rest)

        return start

    def _answer(
        self, call: Call, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        app = partial(self._carry_out, call)
        fault = self._faults.take(call)
        if fault is None:
            return app(environ, start_response)
        if fault.kind in DISTURBANCES:
            return disturbed(fault, app, environ, start_response)
        if fault.kind == LEAVE_TASKS and call.match is not None:
            self._leave_tasks(call.match.members["jobArn"])
            return app(environ, start_response)
        if fault.after:
            _exhaust(app(environ, lambda *_: None))
        return _fail(fault, call, start_response)

    def _carry_out(
        self, call: Call, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if not call.signed and call.service == "braket":
            error = ServiceError("MissingAuthenticationTokenException", UNSIGNED)
            return _send(error_answer(error), start_response)
        account = account_of(call.access_key, self._account_id)
        throttled = self._throttled(call, account)
        if throttled is not None:
            return _send(throttled, start_response)
        if call.service == "braket":
            return _send(self._braket_answer(call, environ), start_response)
        if call.service == SERVICE_QUOTAS:
            body = environ["wsgi.input"].read()
            answer = self._quotas.answer(call.operation, self._caller(call, environ), body)
            return _send(answer, start_response)
        self._furnish_for(call, account)
        if (call.service, call.operation) == ("iam", SIMULATE):
            answer = self._simulation.answer(environ["wsgi.input"].read(), account)
            return _send(answer, start_response)
        if call.service == "s3" and of_another_account(environ):
            error = ServiceError("AccessDenied", "Access Denied")
            return _send(service_error_answer("s3", error, 403), start_response)
        return self._others({**environ, "HTTP_X_MOTO_ACCOUNT_ID": account}, start_response)

    def _furnish_for(self, call: Call, account: str) -> None:
        furnish = self._furnish.get(call.service)
        # What it puts there comes back through this same door, as our own calls.
        if furnish is None or call.caller == SERVICE:
            return
        with self._furnishing:
            if (call.service, call.region, account) not in self._furnished:
                furnish(call.region, account)
                self._furnished.add((call.service, call.region, account))

    def _braket_answer(self, call: Call, environ: Environ) -> Answer:
        return self._braket.answer(environ, self._caller(call, environ), call.match)

    def _throttled(self, call: Call, account: str) -> Answer | None:
        """The answer to a call that comes too fast; None if it does not, or is one of our own."""
        rates = self._rates.get(call.service)
        if rates is None or call.caller == SERVICE:
            return None
        try:
            rates.check((call.region, account), call.operation)
        except ServiceError as error:
            # Braket answers 429, the services of the JSON protocol 400.
            status = 429 if call.service == "braket" else 400
            return service_error_answer(call.service, error, status)
        return None

    def _caller(self, call: Call, environ: Environ) -> Caller:
        account = account_of(call.access_key, self._account_id)
        return Caller(call.region, account, environ.get("HTTP_USER_AGENT", ""))

    def _control(self, environ: Environ) -> Answer:
        name = environ["PATH_INFO"].removeprefix(CONTROL_PREFIX)
        route = self._routes.get(name)
        if route is None:
            return json_answer(404, {"message": f"No control route {name!r}"})
        try:
            data = environ["wsgi.input"].read()
            return json_answer(200, route(environ["REQUEST_METHOD"], json.loads(data or b"null")))
        except ServiceError as error:
            return error_answer(error)
        except (ValueError, RecursionError) as error:
            return json_answer(400, {"message": f"Not JSON: {error}"})

    def _control_faults(self, method: str, body: Any) -> Any:
        if method == "POST":
            rules = body if isinstance(body, list) else [body]
            # All of them are read before any is in force.
            for fault in [parse_fault(rule) for rule in rules]:
                self._faults.add(fault)
        elif method == "DELETE":
            self._faults.clear()
        return {"faults": self._faults.rules()}

    def _control_calls(self, method: str, body: Any) -> Any:
        if method == "DELETE":
            self._calls.reset()
        return self._calls.counts()

    def _control_answers(self, method: str, body: Any) -> Any:
        if method == "DELETE":
            self._answers.reset()
        return self._answers.counts()


def _internal_error(call: Call, error: Exception) -> Answer:
    code = "InternalServiceException" if call.service == "braket" else "InternalError"
    text = f"The local Braket failed: {type(error).__name__}: {error}"
    return service_error_answer(call.service, ServiceError(code, text), 500)


def _fail(fault: Fault, call: Call, start_response: Callable[..., Any]) -> Iterable[bytes]:
    if fault.kind == DROP:
        raise DropConnection
    if fault.kind == HANG:
        raise DropConnection(fault.seconds or MAX_SECONDS)
    return _send(fault_answer(fault, call), start_response)


def _foreign(environ: Environ) -> bool:
    """Whether a web page may be behind the request.

    Jobs run code, so a page in the user's browser must not be able to make one: browsers send
    ``Origin`` with every cross-site request that could, and a rebound DNS name shows in ``Host``.
    """
    host = environ.get("HTTP_HOST", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    local = name in LOCAL_HOSTS or name.endswith(".localhost")
    return "HTTP_ORIGIN" in environ or not local


def _send(answer: Answer, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response(f"{answer.status} -", list(answer.headers))
    return [answer.body]


def _exhaust(parts: Iterable[bytes]) -> None:
    for _ in parts:
        pass
