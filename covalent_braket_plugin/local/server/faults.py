"""Faults on demand: a test says which calls shall fail, how, and how often.

A rule is JSON::

    {"operation": "CreateJob", "kind": "throttle", "times": 2}
    {"operation": "s3:PutObject", "kind": "error", "status": 500, "code": "InternalError"}
    {"operation": "CreateJob", "kind": "drop", "after": true}
    {"operation": "*", "kind": "slow", "seconds": 0.2, "times": 10, "caller": "dispatcher"}
    {"operation": "s3:*", "kind": "hang", "times": 0, "probability": 0.05, "seed": 7}

Operations of other services than Braket carry the service's name in front. Calls that the local
Braket makes itself are never disturbed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from covalent_braket_plugin.local.server.calls import SERVICE, Call
from covalent_braket_plugin.local.server.wire import Answer, service_error_answer
from covalent_braket_plugin.local.service import ServiceError

__all__ = [
    "DROP",
    "FLIP",
    "HANG",
    "LEAVE_TASKS",
    "MAX_SECONDS",
    "SLOW",
    "TRUNCATE",
    "Fault",
    "Faults",
    "fault_answer",
    "parse_fault",
]

SLOW = "slow"
DROP = "drop"
HANG = "hang"
TRUNCATE = "truncate"
FLIP = "flip"
LEAVE_TASKS = "leave_tasks"

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
KINDS = (*_CODES, SLOW, DROP, HANG, TRUNCATE, FLIP, LEAVE_TASKS)
PLACES = ("answer", "request")
CALLERS = ("", "dispatcher", "job", "other")
MAX_SECONDS = 3600


@dataclass(frozen=True)
class Fault:
    """One rule.

    Attributes:
        operation: Name or glob; with ``service:`` in front for other services than Braket.
        kind: One of `KINDS`. Of those that are no error answer: ``slow`` answers late, ``drop``
            closes the connection, ``hang`` keeps it open and silent; ``truncate`` closes it after
            half of the answer's body, ``flip`` changes one byte of a body; ``leave_tasks`` makes
            ``CancelJob`` leave the job's quantum tasks as they are.
        times: How many calls it hits in all; 0: all until it is cleared.
        code: Error code instead of the kind's own.
        message: Text of the error answer instead of ours.
        status: HTTP status instead of the kind's own.
        seconds: Delay, for ``slow``; for ``hang`` the longest time that it lasts, 0 for an hour.
        after: Carry the operation out first, then fail the answer.
        caller: Hit only this class of caller (``dispatcher``, ``job``, ``other``); "" for all.
        where: What ``flip`` changes: ``answer``, or ``request``, which is then carried out so.
        probability: Share of the calls that it hits, by chance.
        seed: With the same seed, the same ones of the calls in order are hit; 0 for any.
    """

    operation: str
    kind: str
    times: int = 1
    code: str = ""
    message: str = ""
    status: int = 0
    seconds: float = 0.0
    after: bool = False
    caller: str = ""
    where: str = "answer"
    probability: float = 1.0
    seed: int = 0

    def hits(self, call: Call) -> bool:
        """Whether the rule is for this call."""
        name = f"{call.service}:{call.operation}"
        wanted = self.operation if ":" in self.operation else f"braket:{self.operation}"
        everything = self.operation == "*"
        right_caller = self.caller in ("", call.caller) and call.caller != SERVICE
        return right_caller and (everything or fnmatchcase(name, wanted))


@dataclass
class _Rule:
    """A rule in force, and how often it has hit."""

    fault: Fault
    used: int = 0
    dice: Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = Random(self.fault.seed or None)

    @property
    def used_up(self) -> bool:
        return 0 < self.fault.times <= self.used

    def takes(self, call: Call) -> bool:
        """Whether it hits the call, which then counts."""
        taken = self.fault.hits(call) and self.dice.random() < self.fault.probability
        self.used += taken
        return taken


class Faults:
    """The rules in force; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def add(self, fault: Fault) -> None:
        """Put a rule in force, behind those that are there."""
        with self._lock:
            self._rules.append(_Rule(fault))

    def clear(self) -> None:
        """Drop all rules."""
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[dict[str, Any]]:
        """The rules that still hit something, and under ``used`` how many calls each has hit."""
        with self._lock:
            return [{**asdict(rule.fault), "used": rule.used} for rule in self._rules]

    def take(self, call: Call) -> Fault | None:
        """The first rule that hits the call; it is used up by one."""
        with self._lock:
            rule = next((rule for rule in self._rules if rule.takes(call)), None)
            if rule is None:
                return None
            if rule.used_up:
                self._rules.remove(rule)
            return rule.fault


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
    if body["kind"] == LEAVE_TASKS and body["operation"] != "CancelJob":
        text = f"kind {LEAVE_TASKS} is for operation CancelJob, not for {body['operation']!r:.60}"
        raise _invalid(text)
    return Fault(**body)


def _invalid(text: str) -> ServiceError:
    return ServiceError("ValidationException", text)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number_up_to(limit: float) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and 0 <= value <= limit

    return fits


def _is_error_status(value: Any) -> bool:
    # 0 stands for the kind's own, as rules are listed.
    return _is_count(value) and (value == 0 or 400 <= value <= 599)


# Field by field: what fits, and how that is said.
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "operation": (
        lambda value: isinstance(value, str) and value != "",
        "the name of an operation, such as 'CreateJob', 's3:PutObject' or '*'",
    ),
    "kind": (lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "times": (_is_count, "a whole number of calls; 0 for all until it is cleared"),
    "code": (lambda value: isinstance(value, str), "text"),
    "message": (lambda value: isinstance(value, str), "text"),
    "status": (_is_error_status, "an HTTP status from 400 to 599"),
    "seconds": (_is_number_up_to(MAX_SECONDS), f"a number of seconds from 0 to {MAX_SECONDS}"),
    "after": (lambda value: isinstance(value, bool), "true or false"),
    "caller": (lambda value: value in CALLERS, "'dispatcher', 'job', 'other', or '' for all"),
    "where": (lambda value: value in PLACES, "'answer' or 'request'"),
    "probability": (_is_number_up_to(1), "a number from 0 to 1"),
    "seed": (_is_count, "a whole number; 0 for any"),
}


def fault_answer(fault: Fault, call: Call) -> Answer:
    """The error answer of a rule, in the format of the service that was called."""
    code, status = (_S3_CODES if call.service == "s3" else _CODES)[fault.kind]
    error = ServiceError(fault.code or code, fault.message or f"Injected fault: {fault.kind}")
    return service_error_answer(call.service, error, fault.status or status)
