"""Faults on demand: a test says which calls shall fail, how, and how often.

A rule is JSON::

    {"operation": "CreateJob", "kind": "throttle", "times": 2}
    {"operation": "s3:PutObject", "kind": "error", "status": 500, "code": "InternalError"}
    {"operation": "CreateJob", "kind": "drop", "after": true}
    {"operation": "*", "kind": "slow", "seconds": 0.2, "times": 10, "caller": "dispatcher"}

Operations of other services than Braket carry the service's name in front. Calls that the local
Braket makes itself are never disturbed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any
from xml.sax.saxutils import escape

from covalent_braket_plugin.local.server.calls import SERVICE, Call
from covalent_braket_plugin.local.server.wire import Answer, error_answer
from covalent_braket_plugin.local.service import ServiceError

__all__ = ["Fault", "Faults", "fault_answer", "parse_fault"]

SLOW = "slow"
DROP = "drop"

# Code and status per kind: of Braket and other JSON services, and of S3 (S3 API reference,
# "Error responses").
_CODES: Mapping[str, tuple[str, int]] = {
    "throttle": ("ThrottlingException", 429),
    "error": ("InternalServiceException", 500),
    "quota": ("ServiceQuotaExceededException", 402),
    "not_found": ("ResourceNotFoundException", 404),
}
_S3_CODES: Mapping[str, tuple[str, int]] = {
    "throttle": ("SlowDown", 503),
    "error": ("InternalError", 500),
    "quota": ("TooManyBuckets", 400),
    "not_found": ("NoSuchKey", 404),
}
KINDS = (*_CODES, SLOW, DROP)

# Services whose errors are XML: S3 and those of the query protocol.
_XML_SERVICES = frozenset({"s3", "sts", "iam", "ec2", "sns", "cloudformation"})


@dataclass(frozen=True)
class Fault:
    """One rule.

    Attributes:
        operation: Name or glob; with ``service:`` in front for other services than Braket.
        kind: One of ``throttle``, ``error``, ``quota``, ``not_found``, ``slow``, ``drop``.
        times: How many calls it still hits.
        code: Error code instead of the kind's own.
        status: HTTP status instead of the kind's own.
        seconds: Delay, for ``slow``.
        after: Carry the operation out first, then fail the answer.
        caller: Hit only this class of caller (``dispatcher``, ``job``, ``other``); "" for all.
    """

    operation: str
    kind: str
    times: int = 1
    code: str = ""
    status: int = 0
    seconds: float = 0.0
    after: bool = False
    caller: str = ""

    def hits(self, call: Call) -> bool:
        """Whether the rule is for this call."""
        name = f"{call.service}:{call.operation}"
        wanted = self.operation if ":" in self.operation else f"braket:{self.operation}"
        everything = self.operation == "*"
        right_caller = self.caller in ("", call.caller) and call.caller != SERVICE
        return right_caller and (everything or fnmatchcase(name, wanted))


class Faults:
    """The rules in force; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a rule in force, behind those that are there."""
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        """Drop all rules."""
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[dict[str, Any]]:
        """The rules that still hit something."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def take(self, call: Call) -> Fault | None:
        """The first rule that hits the call; it is used up by one."""
        with self._lock:
            for index, rule in enumerate(self._rules):
                if rule.hits(call):
                    self._use(index, rule)
                    return rule
        return None

    def _use(self, index: int, rule: Fault) -> None:
        if rule.times <= 1:
            del self._rules[index]
        else:
            self._rules[index] = replace(rule, times=rule.times - 1)


def parse_fault(body: Any) -> Fault:
    """Read a rule from JSON.

    Raises:
        ServiceError: ``ValidationException`` that says what is wrong with it.
    """
    try:
        fault = Fault(**body)
    except TypeError as error:
        raise ServiceError("ValidationException", f"Not a fault rule: {error}") from None
    if fault.kind not in KINDS:
        kinds = ", ".join(KINDS)
        raise ServiceError("ValidationException", f"kind must be one of {kinds}")
    return fault


def fault_answer(fault: Fault, call: Call) -> Answer:
    """The error answer of a rule, in the format of the service that was called."""
    code, status = (_S3_CODES if call.service == "s3" else _CODES)[fault.kind]
    error = ServiceError(fault.code or code, f"Injected fault: {fault.kind}")
    status = fault.status or status
    if call.service in _XML_SERVICES:
        return _xml_answer(error, status, call.service)
    if call.service != "braket":
        # Services of the JSON protocols read the code from the body.
        error.members["__type"] = error.code
    return error_answer(error, status)


def _xml_answer(error: ServiceError, status: int, service: str) -> Answer:
    inner = (
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        "<RequestId>injected</RequestId>"
    )
    text = f"<Error>{inner}</Error>"
    if service != "s3":
        text = f"<ErrorResponse>{text}<RequestId>injected</RequestId></ErrorResponse>"
    body = text.encode()
    headers = (("Content-Type", "text/xml"), ("Content-Length", str(len(body))))
    return Answer(status, headers, body)
