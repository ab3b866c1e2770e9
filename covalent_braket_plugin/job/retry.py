"""Which errors pass by themselves, and asking again after them."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["code_of", "pause", "refused", "run_with_retry", "transient"]

T = TypeVar("T")

LONGEST_PAUSE_SECONDS = 60.0

REFUSED = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceQuotaExceededException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""AWS's error codes of a call that was one too many: nothing was done."""
FAULTS = frozenset(
    {
        "InternalFailure",
        "InternalServerException",
        "InternalServiceException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
"""AWS's error codes of a fault of its own: the call may have been done all the same."""


def run_with_retry(call: Callable[[], T], *, attempts: int = 3, base_seconds: float = 2.0) -> T:
    """Call again if what went wrong passes by itself.

    That is decided by AWS's error code: too many calls (``ThrottlingException`` and the like),
    ``ServiceQuotaExceededException``, a fault of the service (``InternalServiceException``, HTTP
    5xx); and by the kind of exception: no connection, or no answer in time. All else is raised at
    once: what AWS refuses as it is (``ValidationException``, ``AccessDeniedException``), a device
    that is offline (`run_with_fallback` is for that), a cost limit, and errors of your own code.

    A quantum task that ended ``FAILED`` is no exception: the SDK's ``task.result()`` is None then,
    and it is not run again. After a fault or a lost answer a quantum task may have been made all
    the same, and a second one costs again; `run_parallel` and `run_with_fallback` ask in a way
    that makes no second one.

    Args:
        call: What to do, such as ``lambda: device.run(circuit, shots=100).result()``.
        attempts: How often at most, at least 1.
        base_seconds: The pause after the first failure: half of it to the whole, by chance. It
            doubles each time, up to 60 s.

    Returns:
        What the call returned.

    Raises:
        Exception: What the call raised, the last time if it was tried again.
    """
    if attempts < 1:
        raise ValueError(f"attempts={attempts!r} is not valid: use 1 or more")
    for attempt in range(1, attempts):
        try:
            return call()
        except Exception as error:
            if not transient(error):
                raise
            seconds = pause(attempt, base_seconds)
            text = f"Attempt {attempt} of {attempts} failed, again in {seconds:.1f} s: {error}"
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        time.sleep(seconds)
    return call()


def pause(attempt: int, base_seconds: float) -> float:
    """Say how long to wait after an attempt that failed, counted from 1; seconds."""
    longest = min(LONGEST_PAUSE_SECONDS, base_seconds * 2.0 ** min(attempt - 1, 16))
    return random.uniform(0.5 * longest, longest)


def transient(error: BaseException) -> bool:
    """Whether the same call may succeed a little later, although nobody changes anything."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code_of(error) in REFUSED | FAULTS or status >= 500:
        return True
    return _unanswered(error)


def refused(error: BaseException) -> bool:
    """Whether AWS did nothing, since the call was one too many."""
    return code_of(error) in REFUSED


def code_of(error: BaseException) -> str:
    """Find AWS's code of an error; empty if it is none of AWS's."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def _response(error: BaseException) -> dict[str, Any]:
    """What botocore's ``ClientError`` holds; told by its shape, so botocore need not be there."""
    response = getattr(error, "response", None)
    return response if isinstance(response, dict) else {}


def _unanswered(error: BaseException) -> bool:
    botocore = sys.modules.get("botocore.exceptions")  # not loaded: none of its exceptions
    if botocore is None:
        return False
    # A certificate that is not trusted, or a proxy that is not there, stays so.
    lasting = (botocore.SSLError, botocore.ProxyConnectionError)
    no_answer = (botocore.HTTPClientError, botocore.ConnectionError)
    return isinstance(error, no_answer) and not isinstance(error, lasting)
