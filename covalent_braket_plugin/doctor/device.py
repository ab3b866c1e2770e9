"""The quantum device: there, online, open, and how many wait for it."""

from __future__ import annotations

from datetime import datetime

from covalent_braket_plugin.aws import translated
from covalent_braket_plugin.devices.availability import (
    DeviceState,
    availability,
    local_time,
    state_of,
)
from covalent_braket_plugin.devices.retired import retirement
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, warning
from covalent_braket_plugin.errors import NotFoundError, RejectedError

__all__ = ["device"]

LIST = "covalent-braket devices lists them"


def device(exam: Exam) -> Result:
    """Look the device up: its status, its next window, its queue."""
    arn = exam.settings.quantum_device
    if arn.startswith("local:"):
        return ok(f"{arn} runs inside the job")
    try:
        with translated("GetDevice"):
            found = state_of(exam.clients.braket.get_device(deviceArn=arn))
    except (NotFoundError, RejectedError) as error:
        return failed(
            f"{arn} is not known in {exam.clients.region}: {error}",
            f"Set quantum_device to another: {LIST}",
        )
    return _judged(found, exam.now())


def _judged(found: DeviceState, now: datetime) -> Result:
    if found.status == "RETIRED":
        known = retirement(found.arn)
        other = known.instead if known else "another"
        return failed(f"{found.name} is RETIRED", f"Set quantum_device to {other}: {LIST}")
    if found.status != "ONLINE":
        return failed(
            f"{found.name} is {found.status}: Braket refuses jobs for it",
            "Wait until it is back (if_device_unavailable: electrons do so by default), or set "
            "quantum_device to another",
        )
    said = f"{found.name} is ONLINE{_queue(found)}"
    if not found.windows:
        return warning(f"{said}; it says no execution window", "See the device's page on AWS")
    verdict = availability(found, now)
    if verdict.opens is not None:
        return warning(
            f"{said}, and closed until {local_time(verdict.opens)}",
            "Electrons wait until then, unless if_device_unavailable says otherwise. Dispatch "
            "later, or set quantum_device to another",
        )
    if verdict.closes is not None:
        said += f", open until {local_time(verdict.closes)}"
    return ok(said)


def _queue(found: DeviceState) -> str:
    words = {"jobs": "jobs", "tasks": "quantum tasks"}
    said = [f"{found.queue[key]} {word}" for key, word in words.items() if key in found.queue]
    return f", {' and '.join(said)} wait for it" if said else ""
