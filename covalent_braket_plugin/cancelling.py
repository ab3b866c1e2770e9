"""Cancelling jobs, on the event loop; the calls themselves are made in threads of ours."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from covalent_braket_plugin import shared
from covalent_braket_plugin.errors import BraketPluginError
from covalent_braket_plugin.threads import quickly

if TYPE_CHECKING:
    from covalent_braket_plugin.pipeline import Context

__all__ = ["ContextMaker", "cancel"]

CANCEL_AGAIN_SECONDS = (2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 120.0, 300.0)

log = logging.getLogger(__name__)


class ContextMaker(Protocol):
    """Settles an executor's settings anew; blocking. Credentials may have changed meanwhile."""

    def __call__(self, *, may_start: bool) -> Context:
        """Settle them; ``may_start`` says whether the local Braket may be started for it."""


async def cancel(make: ContextMaker, job_arn: str) -> bool:
    """Cancel a job; if Braket cannot be asked just now, go on trying in the background.

    Args:
        make: Settles the settings.
        job_arn: The job, in whatever state it is.

    Returns:
        Whether it will end CANCELLED; False if it had ended already, or if that is not sure yet.
    """
    try:
        # In a thread of ours: `covalent stop` waits for those, not for coroutines.
        return await quickly(_cancel_job, make, job_arn)
    except BraketPluginError as error:
        log.error("%s was not cancelled yet, and may be charged for: %s", job_arn, error)
        shared.in_background(_cancel_again(make, job_arn))
        return False


async def _cancel_again(make: ContextMaker, job_arn: str) -> None:
    for seconds in CANCEL_AGAIN_SECONDS:
        await asyncio.sleep(seconds)
        try:
            await quickly(_cancel_job, make, job_arn)
        except BraketPluginError as error:
            log.error("%s is still not cancelled: %s", job_arn, error)
        else:
            return
    log.error("Gave up cancelling %s: cancel it by hand in the Braket console", job_arn)


def _cancel_job(make: ContextMaker, job_arn: str) -> bool:
    return make(may_start=False).jobs.cancel(job_arn)
