"""The quantum device: there, online, open, and how many wait for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from covalent_braket_plugin.aws import translated
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, warning
from covalent_braket_plugin.doctor.windows import next_opening
from covalent_braket_plugin.errors import NotFoundError, RejectedError

__all__ = ["device"]

LIST = "https://docs.aws.amazon.com/braket/latest/developerguide/braket-devices.html"
ALWAYS_HOURS = 24 * 7


def device(exam: Exam) -> Result:
    """Look the device up: its status, its next window, its queue."""
    arn = exam.settings.quantum_device
    if arn.startswith("local:"):
        return ok(f"{arn} runs inside the job")
    try:
        with translated("GetDevice"):
            found = exam.clients.braket.get_device(deviceArn=arn)
    except (NotFoundError, RejectedError) as error:
        return failed(
            f"{arn} is not known in {exam.clients.region}: {error}",
            f"Set quantum_device to an ARN of {LIST}",
        )
    return _judged(found, exam.now())


def _judged(found: Mapping[str, Any], now: datetime) -> Result:
    name, status = f"{found['providerName']} {found['deviceName']}", found["deviceStatus"]
    if status == "RETIRED":
        return failed(f"{name} is RETIRED", f"Set quantum_device to another: {LIST}")
    if status != "ONLINE":
        return failed(
            f"{name} is {status}: Braket refuses jobs for it",
            "Wait until it is back (Devices in the Braket console), or set quantum_device to "
            "another",
        )
    said = f"{name} is ONLINE{_queue(found)}"
    windows = json.loads(found["deviceCapabilities"])["service"]["executionWindows"]
    opening = next_opening(windows, now)
    if opening is None:
        return warning(f"{said}; it says no execution window", "See the device's page on AWS")
    if opening.begin > now:
        return warning(
            f"{said}, and closed until {_local(opening.begin)}",
            "Jobs and quantum tasks wait until then: a job that runs meanwhile costs. Dispatch "
            "later, or set quantum_device to another",
        )
    if (opening.end - now).total_seconds() < ALWAYS_HOURS * 3600:
        said += f", open until {_local(opening.end)}"
    return ok(said)


def _queue(found: Mapping[str, Any]) -> str:
    sizes = [
        (each["queue"], each.get("queuePriority", ""), each["queueSize"])
        for each in found.get("deviceQueueInfo", [])
    ]
    words = {"JOBS_QUEUE": "jobs", "QUANTUM_TASKS_QUEUE": "quantum tasks"}
    said = [
        f"{size} {words[queue]}"
        for queue, priority, size in sizes
        if queue in words and priority in ("", "Normal")
    ]
    return f", {' and '.join(sorted(said))} wait for it" if said else ""


def _local(moment: datetime) -> str:
    """In the time of this machine."""
    return moment.astimezone().strftime("%a %d %b %H:%M %Z")
