"""Each fault in each phase of an electron, and what must become of the electron.

What passes is waited out: the electron completes, with one job. What will never pass fails at
once, and says so. Whatever happens, no second job is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import covalent as ct

from tests.support.bad_line import BadLine, Ended, answering

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


@dataclass(frozen=True)
class Case:
    """A fault in a phase.

    Attributes:
        fault: Its name.
        phase: When it strikes.
        rule: The rule for the local Braket, without operation and caller.
        ends: Status of the node.
        says: What its error must say.
        jobs: How many jobs are made.
    """

    fault: str
    phase: Phase
    rule: dict[str, Any]
    ends: str
    says: tuple[str, ...] = ()
    jobs: int = 1

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The rules for the local Braket."""
        return [{"operation": OPERATIONS[self.phase], "caller": "dispatcher", **self.rule}]

    def __str__(self) -> str:
        return f"{self.phase}-{self.fault.replace(' ', '_')}"


def run(line: BadLine, case: Case, place: Path) -> Ended:
    """Let the fault of a case strike in its phase, and see what becomes of the electron."""
    if case.phase == "cancel":
        dispatch_id = line.start_waiting(place)
        line.stage.braket.faults(*case.rules)
        ct.cancel(dispatch_id, dispatcher_addr=line.stage.url)
    else:
        line.stage.braket.faults(*case.rules)
        dispatch_id = line.start(answering)
    return line.ended(dispatch_id)


def passing(fault: str, phases: tuple[Phase, ...], **rule: Any) -> list[Case]:
    """A fault that passes: nothing is lost."""
    rule = {"times": AGAIN, **rule}
    return [
        Case(fault, phase, rule, "CANCELLED" if phase == "cancel" else "COMPLETED")
        for phase in phases
    ]


def lasting(fault: str, phases: tuple[Phase, ...], code: str, status: int) -> list[Case]:
    """A refusal that will never pass: the electron fails at once, and says why."""
    rule = {"kind": "error", "code": code, "status": status}
    jobs: dict[Phase, int] = {"stage": 0, "create": 0}
    return [
        Case(
            fault, phase, rule, "FAILED", (OPERATIONS[phase].rpartition(":")[2], code),
            jobs.get(phase, 1),
        )
        for phase in phases
    ]  # fmt: skip


EXPIRED = {"kind": "error", "times": TWICE, "code": "ExpiredTokenException", "status": 403}
ROTATED = {**EXPIRED, "code": "UnrecognizedClientException"}

TABLE: list[Case] = [
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
    *lasting("validation", OF_BRAKET[:2], "ValidationException", 400),
    *lasting("validation", OF_S3, "InvalidRequest", 400),
    *lasting("access denied", OF_BRAKET[:2], "AccessDeniedException", 403),
    *lasting("access denied", OF_S3, "AccessDenied", 403),
]
