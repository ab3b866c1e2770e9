"""Page after page of jobs, the newest first, at a pace that Braket takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from covalent_braket_plugin.descriptions import JobSummary, Page
from covalent_braket_plugin.patience import persistently

__all__ = ["newest_first"]

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 1.0
LONG_AGO = datetime.min.replace(tzinfo=UTC)


def newest_first(
    ask: Callable[[str], Page[JobSummary]], pause: Callable[[float], None] = time.sleep
) -> Iterator[JobSummary]:
    """Go through jobs, the newest first; a page is asked for when it is reached.

    Braket gives the newest first and does not promise to. Should a page be in another order, all
    of them are read, and then sorted. Braket takes five SearchJobs calls a second: what it
    throttles is asked again later.

    Args:
        ask: Asks for the page of a token; for the first one if that is empty.
        pause: Sleeps.

    Raises:
        AwsError: Braket refused, or did not answer for half a minute.
    """

    def page(token: str) -> Page[JobSummary]:
        return persistently(lambda: ask(token), ATTEMPTS, FIRST_PAUSE_SECONDS, pause)

    found, token = page("")
    while token and _in_order(found):
        yield from found
        found, token = page(token)
    rest = list(found)
    while token:
        found, token = page(token)
        rest += found
    yield from sorted(rest, key=_made, reverse=True)


def _in_order(jobs: Sequence[JobSummary]) -> bool:
    return all(_made(newer) >= _made(older) for newer, older in pairwise(jobs))


def _made(job: JobSummary) -> datetime:
    return job.created_at or LONG_AGO
