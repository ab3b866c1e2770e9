"""Counts an electron's quantum tasks, and keeps them within what they may cost (`max_cost`).

What is counted stands in a file with a lock, for all processes of the electron. The worst is
assumed: a QPU's task costs itself and all its shots; a simulator's costs the time since it was
made, three seconds at least, until an answer of GetQuantumTask says when it ended. `budget_hooks`
asks before each quantum task. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import CostLimitError
from covalent_braket_plugin.protocol import Budget, Counted

__all__ = [
    "FREE",
    "LEAST_SIMULATOR_SECONDS",
    "LEDGER_FILE",
    "Guard",
    "counted",
    "dollars",
    "passed_over",
]

LEDGER_FILE = "budget.json"
LEAST_SIMULATOR_SECONDS = 3.0
"""A task on an on-demand simulator is charged for at least so long
(https://aws.amazon.com/braket/pricing/; the Braket SDK's ``MIN_SIMULATOR_DURATION``)."""

FREE = frozenset({"FAILED", "CANCELLED"})
"""Quantum tasks that ended so are not charged for (the Braket SDK's ``Tracker``)."""


def dollars(usd: float) -> str:
    """Write an amount: two digits after the point, or as many as a small one needs."""
    if usd >= 1:
        return f"${usd:.2f}"
    whole, _, digits = f"{usd:.{4 if usd >= 0.1 else 6}f}".partition(".")
    return f"${whole}.{digits.rstrip('0'):0<2}"


@dataclass
class _Task:
    """One quantum task that is not settled yet."""

    usd: float = 0.0
    minute: float = 0.0
    began: float = 0.0
    arn: str = ""

    def worst(self, now: float) -> float:
        if not self.minute:
            return self.usd
        return self.minute / 60 * max(LEAST_SIMULATOR_SECONDS, now - self.began)


@dataclass
class _Ledger:
    """What has been counted so far."""

    limit: float
    settled: float = 0.0
    tasks: int = 0
    refused: int = 0
    open: dict[str, _Task] = field(default_factory=dict)
    devices: list[str] = field(default_factory=list)

    def worst(self, now: float) -> float:
        return self.settled + sum(task.worst(now) for task in self.open.values())


class Guard:
    """Counts quantum tasks, and refuses those that would cost too much.

    Args:
        budget: What they may cost.
        file: Where what was counted is kept, for all processes of the electron.
    """

    def __init__(self, budget: Budget, file: Path) -> None:
        self._budget = budget
        self._file = file

    def reserve(self, request: dict[str, Any], region: str) -> str:
        """Count a quantum task before it is sent.

        Args:
            request: CreateQuantumTask's body.
            region: Where it is sent to.

        Returns:
            What `settle` and `give_back` know it by.

        Raises:
            CostLimitError: It would cost too much, its price is not known, or one was refused
                before.
        """
        task, what = self._priced(request, region)
        now = time.time()
        with self._ledger() as ledger:
            task.began = now
            before, price = ledger.worst(now), task.worst(now)
            if not ledger.refused and before + price <= ledger.limit + 1e-9:
                key = uuid.uuid4().hex
                ledger.open[key] = task
                ledger.tasks += 1
                if (device := str(request.get("deviceArn", ""))) not in ledger.devices:
                    ledger.devices.append(device)
                return key
            ledger.refused += 1
            again = ledger.refused > 1
        raise self._refusal(what, price, before, again=again)

    def made(self, key: str, arn: str) -> None:
        """Note the ARN of a quantum task that was made."""
        with self._ledger() as ledger:
            if key in ledger.open:
                ledger.open[key].arn = arn

    def give_back(self, key: str) -> None:
        """Count a quantum task no longer: the service refused it."""
        with self._ledger() as ledger:
            if ledger.open.pop(key, None) is not None:
                ledger.tasks -= 1

    def settle(self, arn: str, status: str, seconds: float) -> None:
        """Count a quantum task that has ended for what it cost.

        Args:
            arn: The quantum task.
            status: COMPLETED, FAILED or CANCELLED.
            seconds: How long it took, with its wait.
        """
        with self._ledger() as ledger:
            for key, task in list(ledger.open.items()):
                if task.arn == arn:
                    del ledger.open[key]
                    cost = task.worst(task.began + seconds)
                    ledger.settled += 0.0 if status in FREE else cost

    def _priced(self, request: dict[str, Any], region: str) -> tuple[_Task, str]:
        device, shots = str(request.get("deviceArn", "")), int(request.get("shots") or 0)
        parts = device.split(":")
        place = (parts[3] if len(parts) > 3 else "") or region
        name = device.rpartition("/")[2]
        prices = self._budget.prices.get(f"{place}/{name.lower()}", {})
        if "minute" in prices:
            return _Task(minute=prices["minute"]), f"a task on {name}"
        if "task" in prices and "shot" in prices:
            usd = prices["task"] + shots * prices["shot"]
            return _Task(usd=usd), f"a task of {shots} shots on {name}"
        text = (
            f"No quantum task was sent to {name} in {place}: its price is not known, so that "
            f"max_cost={self._budget.limit:g} could not be kept. Use another device, or "
            "max_cost=None for no limit."
        )
        self._refuse(text)
        raise CostLimitError(text)

    def _refusal(self, what: str, price: float, before: float, *, again: bool) -> CostLimitError:
        budget = self._budget
        kept = f"{dollars(budget.instance)} kept back for the instance"
        if budget.earlier:
            kept += f" and {dollars(budget.earlier)} for earlier attempts"
        why = (
            "another one was refused before"
            if again and before + price <= budget.usd
            else (f"it costs {dollars(price)} or more")
        )
        text = (
            f"{what[0].upper()}{what[1:]} was not sent: {why}. Of max_cost={budget.limit:g} there "
            f"are {dollars(budget.usd)} for quantum tasks ({kept}), and {dollars(before)} of that "
            "are spent or promised. Raise max_cost, or use fewer tasks or shots."
        )
        self._say(text)
        return CostLimitError(text)

    def _refuse(self, text: str) -> None:
        with self._ledger() as ledger:
            ledger.refused += 1
        self._say(text)

    def _say(self, text: str) -> None:
        """Into the electron's stderr: its code may catch the exception."""
        with contextlib.suppress(Exception):
            sys.stderr.write(f"CostLimitError: {text}\n")
            sys.stderr.flush()

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[_Ledger]:
        """Read what was counted, and write what the block makes of it; one process at a time."""
        with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                ledger = self._read(file.read())
                yield ledger
                data = json.dumps(asdict(ledger)).encode()
                file.seek(0)
                file.write(data)
                file.flush()
                # Last: if we are killed before, the file is damaged, and never counts from zero.
                file.truncate(len(data))
            finally:
                # Not by closing alone: a process that is forked meanwhile holds the file, too.
                fcntl.flock(file, fcntl.LOCK_UN)

    def _read(self, data: bytes) -> _Ledger:
        try:
            return _read(data.decode(), self._budget.usd)
        except (ValueError, TypeError, KeyError) as error:
            text = "What the electron's quantum tasks cost is not known any more"
            raise CostLimitError(f"{text}: {self._file} is damaged. None is sent.") from error


def _read(text: str, limit: float) -> _Ledger:
    if not text:
        return _Ledger(limit)
    raw = json.loads(text)
    tasks = {key: _Task(**task) for key, task in raw.pop("open").items()}
    return _Ledger(**raw, open=tasks)


def counted(directory: Path, budget: Budget | None) -> Counted | None:
    """Say what was counted of the electron in a directory; None if it has no budget."""
    if budget is None:
        return None
    try:
        ledger = _read((directory / LEDGER_FILE).read_text("utf-8"), budget.usd)
        usd = ledger.worst(time.time())
    except FileNotFoundError:
        return Counted(0.0, budget.usd)
    except (OSError, ValueError, TypeError, KeyError):  # the electron may have written there
        return Counted(budget.usd, budget.usd)
    return Counted(round(usd, 6), budget.usd, ledger.tasks, ledger.refused)


def passed_over(directory: Path, device: str) -> str:
    """Say that an electron made no quantum task on the QPU that its job is for; empty if it did.

    Such a job waits for its device, and has priority on it, for nothing: a device's ARN in the
    electron's code is the usual reason.

    Args:
        directory: The electron's, where its quantum tasks were counted.
        device: The job's device.
    """
    if ":device/qpu/" not in device:
        return ""
    try:
        used = _read((directory / LEDGER_FILE).read_text("utf-8"), 0.0).devices
    except FileNotFoundError:
        used = []
    except (OSError, ValueError, TypeError, KeyError):  # the electron may have written there
        return ""
    if device in used:
        return ""
    elsewhere = " and ".join(each.rpartition("/")[2] for each in used)
    return (
        f"This job was for {device.rpartition('/')[2]}, and made no quantum task there"
        f"{f', but on {elsewhere}' if used else ''}: job.current_device() is the job's device."
    )
