"""One quantum task: made once, however often it is asked for, and its result.

Braket makes one quantum task for the same ``clientToken`` and the same request. botocore takes a
new token for each call, so here the token is ours: after a lost answer the call is repeated, and
no second task is made and paid for.
"""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from typing import Any

from covalent_braket_plugin.errors import QuantumTaskError
from covalent_braket_plugin.job.device import SDK
from covalent_braket_plugin.job.needed import needed

__all__ = ["Run", "as_program", "ready"]

_TOKEN: ContextVar[str] = ContextVar("covalent_braket_client_token", default="")


class Run:
    """A program that is to run on a device once.

    Args:
        device: A device of the Braket SDK.
        program: What its ``run`` takes.
        shots: How often; None: the device's own default.
        options: More for its ``run``.
    """

    def __init__(self, device: Any, program: Any, shots: int | None, options: Any) -> None:
        self._device = device
        self._program = program
        self._options = options if shots is None else {"shots": shots, **options}
        self._token = uuid.uuid4().hex
        self._task: Any = None

    def submit(self) -> None:
        """Make the quantum task, unless it is there already."""
        if self._task is None:
            reset = _TOKEN.set(self._token)
            try:
                self._task = self._device.run(self._program, **self._options)
            finally:
                _TOKEN.reset(reset)

    def result(self) -> Any:
        """Make the quantum task if it is not there, and wait for its result.

        Raises:
            QuantumTaskError: It has none.
        """
        self.submit()
        result = self._task.result()
        if result is None:
            raise _no_result(self._task)
        return result


def ready(device: Any) -> Any:
    """Ready a device for `Run`, and for several threads; it is given back.

    boto3's clients may be shared by threads, but must not be made by several at once.
    """
    session = getattr(device, "aws_session", None)
    if session is not None:
        _ = session.s3_client
        session.braket_client.meta.events.register(
            "provide-client-params.braket.CreateQuantumTask", _with_token, unique_id=__name__
        )
    return device


def _with_token(params: dict[str, Any], **ignored: object) -> dict[str, Any] | None:
    token = _TOKEN.get()
    return {**params, "clientToken": token} if token else None


def as_program(given: Any) -> Any:
    """Make of OpenQASM's text what a device takes; all else stays as it is."""
    return needed("braket.ir.openqasm", SDK).Program(source=given) if type(given) is str else given


def _no_result(task: Any) -> QuantumTaskError:
    described = task.metadata()
    status = str(described.get("status", "unknown"))
    return QuantumTaskError(str(task.id), status, str(described.get("failureReason") or ""))
