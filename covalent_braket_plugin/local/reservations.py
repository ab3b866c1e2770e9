"""Reservations of devices (Braket Direct), of which the local Braket has none."""

from __future__ import annotations

from covalent_braket_plugin.local.service import Params, ServiceError

__all__ = ["check_reservation"]


def check_reservation(params: Params, device_arn: str, *, is_qpu: bool) -> None:
    """Refuse a request that names a reservation, in the words of the service.

    Args:
        params: The request, of CreateJob or CreateQuantumTask.
        device_arn: The device that it is for.
        is_qpu: Whether that can be reserved at all.

    Raises:
        ServiceError: ``ValidationException``.
    """
    if params.get("associations"):
        reason = "Reservation arn is invalid"
        text = reason if is_qpu else f"Braket Direct is not supported for {device_arn}"
        raise ServiceError("ValidationException", text)
