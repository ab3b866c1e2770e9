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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from covalent_braket_plugin.local.server.calls import SERVICE, Call
from covalent_braket_plugin.local.server.wire import Answer, service_error_answer
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
CALLERS = ("", "dispatcher", "job", "other")
MAX_SECONDS = 3600


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
        ServiceError: ``ValidationException`` that names the field, its value and the rule.
    """
    if not isinstance(body, dict):
        raise _invalid(f"A fault rule must be a JSON object, not {body!r:.60}")
    for name, value in body.items():
        if name not in _RULES:
            raise _invalid(f"A fault rule has no field {name!r}, only {', '.join(_RULES)}")
        fits, rule = _RULES[name]
        if not fits(value):
            raise _invalid(f"{name} must be {rule}, not {value!r:.60}")
    for name in ("operation", "kind"):
        if name not in body:
            raise _invalid(f"{name} is required: {_RULES[name][1]}")
    return Fault(**body)


def _invalid(text: str) -> ServiceError:
    return ServiceError("ValidationException", text)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_delay(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= MAX_SECONDS


def _is_error_status(value: Any) -> bool:
    return _is_count(value) and 400 <= value <= 599


# Field by field: what fits, and how that is said.
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "operation": (
        lambda value: isinstance(value, str) and value != "",
        "the name of an operation, such as 'CreateJob', 's3:PutObject' or '*'",
    ),
    "kind": (lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "times": (_is_count, "a whole number of calls, at least 1"),
    "code": (lambda value: isinstance(value, str), "text"),
    "status": (
        # 0 stands for the kind's own, as rules are listed.
        lambda value: _is_error_status(value) or (value == 0 and value is not False),
        "an HTTP status from 400 to 599",
    ),
    "seconds": (_is_delay, f"a number of seconds from 0 to {MAX_SECONDS}"),
    "after": (lambda value: isinstance(value, bool), "true or false"),
    "caller": (lambda value: value in CALLERS, "'dispatcher', 'job', 'other', or '' for all"),
}


def fault_answer(fault: Fault, call: Call) -> Answer:
    """The error answer of a rule, in the format of the service that was called."""
    code, status = (_S3_CODES if call.service == "s3" else _CODES)[fault.kind]
    error = ServiceError(fault.code or code, f"Injected fault: {fault.kind}")
    return service_error_answer(call.service, error, fault.status or status)
