"""Each fault in each phase of an electron, and what must become of the electron.

What passes is waited out: the electron completes, with one job. What will never pass fails at
once, and says so; if it is the cancellation that is refused, the server's log says so, and the job
goes on. Whatever happens, no second job is made.

A name that does not resolve for a while is not among the faults: a machine's resolver cannot be
broken for one test. "connection refused" stands for it in all phases, since botocore makes the same
`EndpointConnectionError` of both; that such a name is waited for, and said in the end, is shown in
the first phase.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import covalent as ct

from tests.support.bad_line import BadLine, Ended, answering
from tests.support.braket_server import eventually

Phase = Literal["stage", "create", "wait", "fetch", "cancel"]

OPERATIONS: dict[Phase, str] = {
    "stage": "s3:PutObject",
    "create": "CreateJob",
    "wait": "GetJob",
    "fetch": "s3:GetObject",
    "cancel": "CancelJob",
}
PHASES = tuple(OPERATIONS)
OF_S3: tuple[Phase, ...] = ("stage", "fetch")
OF_BRAKET: tuple[Phase, ...] = ("create", "wait", "cancel")

AGAIN = 4
"""More often than botocore asks by itself, so that the plugin has to ask again."""
TWICE = 2
"""For what botocore does not repeat at all."""
REFUSED_SECONDS = 2.5
"""Longer than botocore's own attempts take."""


@dataclass(frozen=True)
class Case:
    """A fault in a phase.

    Attributes:
        fault: Its name.
        phase: When it strikes.
        rule: The rule for the local Braket, without operation and caller; None: there is none.
        ends: Status of the node.
        says: What its error must say; or the server's log, where cancelling was refused.
        jobs: How many jobs are made.
        refused: Whether connections are refused for a while, once the rule has struck.
        settings: Of the executor.
        slow: Whether it waits for the time-out of a read: 15 s, with S3 30 s.
    """

    fault: str
    phase: Phase
    rule: dict[str, Any] | None
    ends: str
    says: tuple[str, ...] = ()
    jobs: int = 1
    refused: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    slow: bool = False

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The rules for the local Braket."""
        if self.rule is None:
            return []
        return [{"operation": OPERATIONS[self.phase], "caller": "dispatcher", **self.rule}]

    @property
    def goes_on(self) -> bool:
        """Whether its job lasts until the fault has struck, and then completes."""
        if self.phase == "wait":
            return self.refused  # it ends while nobody can ask
        return self.phase == "cancel" and self.ends == "COMPLETED"

    def __str__(self) -> str:
        return f"{self.phase}-{self.fault.replace(' ', '_')}"


def run(line: BadLine, case: Case, place: Path) -> Ended:
    """Let the fault of a case strike in its phase, and see what becomes of the electron."""
    dispatch_id = begin(line, case, place)
    if case.refused or case.goes_on:
        eventually(lambda: line.faults_left() == [])  # the phase has come
    if case.refused:
        line.proxy.become("refuse")
    if case.goes_on:
        (place / "release").touch()
    if case.refused:
        time.sleep(REFUSED_SECONDS)
        line.proxy.become("pass")
    return line.ended(dispatch_id)


def begin(line: BadLine, case: Case, place: Path) -> str:
    """Start an electron for a case, and cancel it if that is the phase."""
    if case.phase != "cancel" and not case.goes_on:
        line.stage.braket.faults(*case.rules)
        return line.start(answering, **case.settings)
    dispatch_id = line.start_waiting(place, **case.settings)
    line.stage.braket.faults(*case.rules)
    if case.phase == "cancel":
        ct.cancel(dispatch_id, dispatcher_addr=line.stage.url)
    return dispatch_id


def passing(fault: str, phases: tuple[Phase, ...], **rule: Any) -> list[Case]:
    """A fault that passes: nothing is lost."""
    rule = {"times": AGAIN, **rule}
    return [Case(fault, phase, rule, _end(phase)) for phase in phases]


def _end(phase: Phase) -> str:
    return "CANCELLED" if phase == "cancel" else "COMPLETED"


def lasting(fault: str, phases: tuple[Phase, ...], code: str, status: int) -> list[Case]:
    """A refusal that will never pass: the electron fails at once, and says why."""
    rule = {"kind": "error", "code": code, "status": status}
    jobs: dict[Phase, int] = {"stage": 0, "create": 0}
    return [
        Case(
            fault,
            phase,
            rule,
            "COMPLETED" if phase == "cancel" else "FAILED",
            (OPERATIONS[phase].rpartition(":")[2], code),
            jobs.get(phase, 1),
        )
        for phase in phases
    ]


EXPIRED = {"kind": "error", "times": TWICE, "code": "ExpiredTokenException", "status": 403}
ROTATED = {**EXPIRED, "code": "UnrecognizedClientException"}

TABLE: list[Case] = [
    *(Case("hang", phase, {"kind": "hang"}, _end(phase), slow=True) for phase in PHASES),
    *(
        Case("connection refused", phase, {"kind": "error"}, _end(phase), refused=True)
        for phase in PHASES
    ),
    Case(
        "name not resolved",
        "stage",
        None,
        "FAILED",
        ("no answer from AWS", "braket.invalid"),
        0,
        settings={"endpoint_url": "http://braket.invalid", "give_up_after": 1},
    ),
    *passing("throttling", PHASES, kind="throttle"),
    *passing("5xx", PHASES, kind="error"),
    *passing("503 SlowDown", OF_S3, kind="error", code="SlowDown", status=503),
    *passing("connection dropped before", PHASES, kind="drop"),
    *passing("connection dropped after", PHASES[:-1], kind="drop", after=True),
    # Once it is carried out, nobody has to ask often.
    *passing("connection dropped after", ("cancel",), kind="drop", after=True, times=TWICE),
    *passing("expired token", OF_BRAKET, **EXPIRED),
    *passing("expired token", OF_S3, **{**EXPIRED, "code": "ExpiredToken", "status": 400}),
    *passing("rotated key", OF_BRAKET, **ROTATED),
    *passing("rotated key", OF_S3, **{**ROTATED, "code": "InvalidAccessKeyId"}),
    *passing("not found yet", ("wait",), kind="not_found", times=TWICE),
    *passing("quota", ("create",), kind="quota", times=TWICE),
    *lasting("validation", OF_BRAKET, "ValidationException", 400),
    *lasting("validation", OF_S3, "InvalidRequest", 400),
    *lasting("access denied", OF_BRAKET, "AccessDeniedException", 403),
    *lasting("access denied", OF_S3, "AccessDenied", 403),
]
