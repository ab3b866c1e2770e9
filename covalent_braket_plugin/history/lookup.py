"""Which job is meant: an ARN, an id or its beginning, a name, or a dispatch and a node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from covalent_braket_plugin.descriptions import NAME_TAG, JobSummary, task_of
from covalent_braket_plugin.errors import NotFoundError, RejectedError, UnknownJobError
from covalent_braket_plugin.history.paging import newest_first
from covalent_braket_plugin.pipeline import Context

__all__ = ["Which", "dispatch_of", "find", "id_of", "ours", "place_of"]

Which = str | tuple[str, int]
"""How a job may be named."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BEGINNING = re.compile(r"[0-9a-f-]{1,36}")
_NODE = re.compile(r"([0-9a-f-]{1,36}):(\d+)")
SHOWN = 5


def ours(ctx: Context, since: datetime | None = None) -> Iterator[JobSummary]:
    """Go through the jobs of this package, the newest first; other people's are passed over.

    Raises:
        AwsError: Braket refused or did not answer.
    """
    found = newest_first(lambda token: ctx.jobs.page(since, token))
    return (job for job in found if task_of(job) is not None)


def id_of(job: JobSummary) -> str:
    """Tell a job's id: the last part of its ARN, a UUID."""
    return job.arn.rpartition("/")[2]


def place_of(ctx: Context) -> str:
    """Name where jobs are looked for, for errors."""
    return ("the local Braket, " if ctx.settings.local else "") + ctx.jobs.clients.region


def find(ctx: Context, which: Which) -> JobSummary:
    """Find the one job that is meant.

    An ARN, an id or its beginning costs one call; for all else the jobs are gone through, the
    newest first.

    Raises:
        UnknownJobError: There is none, or more than one, or it is not of this package.
        AwsError: AWS refused or did not answer.
    """
    if isinstance(which, tuple):
        return _of_node(ctx, str(which[0]), int(which[1]))
    text = which.strip()
    if text.startswith("arn:"):
        return _described(ctx, text)
    if _ID.fullmatch(text):
        clients = ctx.jobs.clients
        place = f"{clients.partition}:braket:{clients.region}:{clients.account_id()}"
        return _described(ctx, f"arn:{place}:job/{text}")
    node = _NODE.fullmatch(text)
    return _of_node(ctx, node[1], int(node[2])) if node else _of_text(ctx, text)


def dispatch_of(ctx: Context, beginning: str) -> str:
    """Find the only dispatch with jobs whose id begins like that; the text itself if none does.

    Raises:
        UnknownJobError: There is more than one.
        AwsError: Braket refused or did not answer.
    """
    ids = ((task_of(job) or ("",))[0] for job in ours(ctx))
    found = dict.fromkeys(each for each in ids if each.startswith(beginning))
    if len(found) > 1:
        raise UnknownJobError(
            f"{len(found)} dispatches in {place_of(ctx)} have an id that begins with {beginning}: "
            f"{_some(found)}. Give more of it."
        )
    return next(iter(found), beginning)


def _described(ctx: Context, arn: str) -> JobSummary:
    where = place_of(ctx)
    region = arn.split(":")[3] if arn.count(":") >= 5 else ""
    if region not in ("", ctx.jobs.clients.region):
        raise UnknownJobError(
            f"{arn} is a job in {region}, and jobs are looked for in {where}: name that region "
            f"(region={region})."
        )
    try:
        job = ctx.jobs.describe(arn)
    except (NotFoundError, RejectedError) as error:
        raise UnknownJobError(f"There is no job {arn} in {where}: {error}") from error
    if task_of(job) is None:
        raise UnknownJobError(
            f"{arn} is not a job of this package: it has no tag covalent:dispatch_id. Braket's "
            "console and SDK show it."
        )
    return job


def _of_node(ctx: Context, dispatch: str, node_id: int) -> JobSummary:
    """Find the newest attempt at a node; the dispatch may be the beginning of an id."""
    whole = _ID.fullmatch(dispatch) is not None
    found: dict[str, JobSummary] = {}
    nodes: set[int] = set()
    for job in ours(ctx):
        dispatch_id, node, _ = task_of(job) or ("", -1, 0)
        if not dispatch_id.startswith(dispatch):
            continue
        nodes.add(node)
        if node == node_id:
            found.setdefault(dispatch_id, job)
            if whole:  # nothing older can be a later attempt
                break
    if len(found) == 1:
        return next(iter(found.values()))
    where = place_of(ctx)
    if found:
        raise UnknownJobError(
            f"{dispatch}:{node_id} may be of {len(found)} dispatches in {where}: "
            f"{_some(found)}. Give more of the id."
        )
    plural = "s" if len(nodes) > 1 else ""
    listed = ", ".join(map(str, sorted(nodes)))
    known = f"It has jobs for node{plural} {listed}. " if nodes else ""
    raise UnknownJobError(
        f"There is no job of dispatch {dispatch}, node {node_id} in {where}. {known}Electrons that "
        "never became a job, and Covalent's own steps, have none; jobs for a device of another "
        "region are there (--set region=REGION, region=...)."
    )


def _of_text(ctx: Context, text: str) -> JobSummary:
    """Find the only job whose id begins like that, else the newest of that name."""
    found = _of_beginning(ctx, text) if _BEGINNING.fullmatch(text) else []
    if len(found) == 1:
        return found[0]
    where = place_of(ctx)
    if found:
        raise UnknownJobError(
            f"{len(found)} jobs in {where} have an id that begins with {text}: "
            f"{_some(map(id_of, found))}. Give more of it."
        )
    looked_at = 0
    for job in ours(ctx):
        looked_at += 1
        if text in (job.name, job.tags.get(NAME_TAG)):
            return job
    raise UnknownJobError(
        f"There is no job {text!r} in {where}, among {looked_at} of this package. A job is named "
        "by its id or the beginning of it, its ARN, its name, or DISPATCH:NODE."
    )


def _of_beginning(ctx: Context, text: str) -> list[JobSummary]:
    """Have Braket look for ids that begin like that: one call, however many jobs there are."""
    found = [job for job in ctx.jobs.with_arn_like(f"job/{text}") if task_of(job) is not None]
    return [job for job in found if id_of(job).startswith(text)]


def _some(texts: Iterable[str]) -> str:
    listed = list(texts)
    return ", ".join(listed[:SHOWN]) + (" ..." if len(listed) > SHOWN else "")
