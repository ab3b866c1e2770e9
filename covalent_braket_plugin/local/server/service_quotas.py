"""The part of Service Quotas that reads: which quotas Braket has here, and their values.

JSON 1.1: the operation stands in the header ``X-Amz-Target``, all members in the body. As on AWS,
``ListServiceQuotas`` answers what is in force, ``ListAWSDefaultServiceQuotas`` what a new account
has.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from covalent_braket_plugin.local.quotas import Quota
from covalent_braket_plugin.local.server import validation
from covalent_braket_plugin.local.server.wire import Answer, json_answer, service_error_answer
from covalent_braket_plugin.local.service import Caller, Params, ServiceError

__all__ = ["SERVICE_QUOTAS", "ServiceQuotas"]

SERVICE_QUOTAS = "servicequotas"
"""Signing name of the service."""

BRAKET = "braket"
PAGE = 100


class ServiceQuotas:
    """Answers Service Quotas' requests.

    Args:
        applied: The quotas in force.
        defaults: The quotas of a new account.
    """

    def __init__(self, applied: Iterable[Quota], defaults: Iterable[Quota]) -> None:
        applied, defaults = list(applied), list(defaults)
        self._operations: dict[str, Callable[[Caller, Params], Params]] = {
            "ListServiceQuotas": lambda *asked: _page(applied, *asked),
            "GetServiceQuota": lambda *asked: _one(applied, *asked),
            "ListAWSDefaultServiceQuotas": lambda *asked: _page(defaults, *asked),
            "GetAWSDefaultServiceQuota": lambda *asked: _one(defaults, *asked),
        }

    def answer(self, operation: str, caller: Caller, body: bytes) -> Answer:
        """Carry out a request and answer it."""
        try:
            return json_answer(200, self._carried_out(operation, caller, body))
        except ServiceError as error:
            return service_error_answer(SERVICE_QUOTAS, error, 400)

    def _carried_out(self, operation: str, caller: Caller, body: bytes) -> Params:
        if operation not in self._operations:
            text = f"The local Braket answers {', '.join(self._operations)} of Service Quotas"
            raise ServiceError("UnknownOperationException", text)
        params = _checked(operation, body)
        if params["ServiceCode"] != BRAKET:
            text = f"The local Braket has quotas of {BRAKET!r}, not of {params['ServiceCode']!r}"
            raise _unknown(text)
        return self._operations[operation](caller, params)


@cache
def _model() -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model("service-quotas")


def _checked(operation: str, body: bytes) -> Params:
    try:
        params = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise _illegal("The request is not JSON") from None
    shape = _model().operation_model(operation).input_shape
    for path, rule in validation.violations(shape, params):
        raise _illegal(f"{path} {rule}")
    found: Params = params
    return found


def _one(quotas: Sequence[Quota], caller: Caller, params: Params) -> Params:
    code = params["QuotaCode"]
    for quota in quotas:
        if quota.code == code:
            return {"Quota": _shown(quota, caller)}
    raise _unknown(f"Braket has no quota with the code {code!r}")


def _page(quotas: Sequence[Quota], caller: Caller, params: Params) -> Params:
    wanted = params.get("QuotaCode")
    found = [quota for quota in quotas if wanted in (None, quota.code)]
    begin = _begin(params.get("NextToken"))
    end = begin + (params.get("MaxResults") or PAGE)
    answer: Params = {"Quotas": [_shown(quota, caller) for quota in found[begin:end]]}
    if end < len(found):
        answer["NextToken"] = base64.b64encode(str(end).encode()).decode()
    return answer


def _begin(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError):
        text = f"{token!r} is no NextToken of an earlier answer"
        raise ServiceError("InvalidPaginationTokenException", text) from None


def _shown(quota: Quota, caller: Caller) -> Params:
    arn = f"arn:aws:servicequotas:{caller.region}:{caller.account_id}:{BRAKET}/{quota.code}"
    return {
        "ServiceCode": BRAKET,
        "ServiceName": "Amazon Braket",
        "QuotaArn": arn,
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": float(quota.value),
        "Unit": "None",
        "Adjustable": quota.adjustable,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def _unknown(text: str) -> ServiceError:
    return ServiceError("NoSuchResourceException", text)


def _illegal(text: str) -> ServiceError:
    return ServiceError("IllegalArgumentException", text)
