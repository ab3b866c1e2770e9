"""A server that starts goes on with what an earlier one left; one that stops says what it leaves.

Nothing that was paid for is lost, and nothing is paid for twice: a group of which there is a job
is waited for, however the earlier server ended. The job is found by its tags, or by what Covalent
stored. A group that never became one is run from its beginning, by Covalent itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from covalent_braket_plugin import pipeline, shared
from covalent_braket_plugin.covalent_compat import dispatcher, server, stopping, store
from covalent_braket_plugin.covalent_compat.dispatcher import Due
from covalent_braket_plugin.covalent_compat.store import Dispatch, Node
from covalent_braket_plugin.descriptions import JobSummary, task_of
from covalent_braket_plugin.errors import BraketPluginError, SettingError
from covalent_braket_plugin.monitoring import phases
from covalent_braket_plugin.patience import patiently
from covalent_braket_plugin.pipeline import Context
from covalent_braket_plugin.settings import Settings, own_values, resolve
from covalent_braket_plugin.threads import in_thread, quickly

__all__ = ["OURS", "again", "newest_jobs", "settings_of", "wake"]

OURS = "braket"
"""Covalent's short name of our executor."""
UNFINISHED = ("STARTING", "RUNNING")
HELPERS = ("local", "dask")
"""Executors that end with the server. Of theirs only Covalent's own steps are run again."""
SEND_WITHIN_SECONDS = 60.0
"""So long `covalent stop` waits until cancellations are sent."""

log = logging.getLogger(__name__)

Config = Callable[[], Mapping[str, Any]]
_gone_on: set[str] = set()
_left: dict[str, list[Due]] = {}


async def wake(config: Config) -> None:
    """Go on with what earlier servers left, and decide from now on what a stop does.

    Args:
        config: Reads the section ``[executors.braket]``.
    """
    stopping.on_stop(lambda status, cancel: _stop(status, cancel, config()))
    alone = await in_thread(server.alone)
    families = await in_thread(_families)
    wanted = [family for family in families if any(_wants(each, config()) for each in family)]
    for dispatch in (each for family in families if family not in wanted for each in family):
        log.warning(
            "Dispatch %s is left: its setting `reattach` is off. `covalent-braket jobs reattach` "
            "goes on with it.",
            dispatch.dispatch_id,
        )
    if wanted and not alone:
        log.warning(
            "%s unfinished dispatches have Braket jobs, but another Covalent server uses the same "
            "database and may be waiting for them. If it is not: stop it, then run "
            "`covalent-braket jobs reattach`.",
            sum(map(len, wanted)),
        )
    elif wanted:
        await _go_on([each for family in wanted for each in family], config(), asked=False)


async def again(dispatch_id: str, config: Mapping[str, Any]) -> None:
    """Go on with a dispatch because somebody asks for it, whatever the setting `reattach` says."""
    if not await in_thread(server.alone):
        log.warning("%s: another Covalent server uses the same database", dispatch_id)
        return
    families = await in_thread(_families)
    family = next((f for f in families if dispatch_id in {d.dispatch_id for d in f}), [])
    new = [each for each in family if each.dispatch_id not in _gone_on]
    await _go_on(new, config, asked=True)
    for each in family:
        await _bring_all_on(family, _left.pop(each.dispatch_id, []), config, asked=True)


# --- what there is -----------------------------------------------------------------------------


def _families() -> list[list[Dispatch]]:
    """What earlier servers left in which electrons of ours are: dispatches with sublattices.

    Also where all of ours have ended: nobody else would bring such a dispatch to its end.
    """
    families: dict[str, list[Dispatch]] = {}
    for dispatch in store.dispatches(UNFINISHED):
        if dispatch.began < server.STARTED:
            families.setdefault(dispatch.root_id, []).append(dispatch)
    return [family for family in families.values() if any(map(_ours, family))]


def _ours(dispatch: Dispatch) -> list[Node]:
    return [node for node in dispatch.nodes.values() if node.executor == OURS]


def _wants(dispatch: Dispatch, config: Mapping[str, Any]) -> bool:
    return any(settings_of(node, config).reattach for node in _ours(dispatch))


def settings_of(node: Node, config: Mapping[str, Any]) -> Settings:
    """Settle a node's settings, without AWS; a mistake in them is told when it is run."""
    try:
        return resolve(own_values(node.attributes, config), config, os.environ)
    except SettingError:
        return Settings()


def newest_jobs(jobs: Iterable[JobSummary]) -> dict[tuple[str, int], JobSummary]:
    """Pick the last attempt of each dispatch and node."""
    found: dict[tuple[str, int], tuple[int, JobSummary]] = {}
    for job in jobs:
        task = task_of(job)
        if task is not None:
            dispatch_id, node, attempt = task
            known = found.get((dispatch_id, node))
            if known is None or known[0] < attempt:
                found[dispatch_id, node] = (attempt, job)
    return {key: job for key, (_, job) in found.items()}


# --- going on ----------------------------------------------------------------------------------


async def _go_on(dispatches: Sequence[Dispatch], config: Mapping[str, Any], *, asked: bool) -> None:
    # All are counted before any goes on: the end of a sublattice is told to the one above.
    due: list[Due] = []
    for dispatch in dispatches:
        _gone_on.add(dispatch.dispatch_id)
        groups = await dispatcher.rebuild(dispatch)
        due += groups
        if not groups:
            await dispatcher.finish(dispatch.dispatch_id)
    await _bring_all_on(dispatches, due, config, asked=asked)


async def _bring_all_on(
    dispatches: Sequence[Dispatch], due: Sequence[Due], config: Mapping[str, Any], *, asked: bool
) -> None:
    ours: list[Due] = []
    for each in due:
        if each.first.status == "DISPATCHING":
            await _go_on_with_sublattices(each)
        elif each.first.executor == OURS:
            ours.append(each)
        elif _covalents_own(each.first):
            await dispatcher.submit(each)
        else:
            _say_foreign(each)
    wanted = [each for each in ours if asked or settings_of(each.first, config).reattach]
    for each in [each for each in ours if each not in wanted]:
        _left.setdefault(each.dispatch_id, []).append(each)
        log.warning("%s is left: its setting `reattach` is off", _name(each))
    if wanted:
        since = min(dispatch.began for dispatch in dispatches)
        for groups in await _by_identity(wanted, config):
            shared.in_background(_go_on_together(groups, since))


async def _go_on_with_sublattices(due: Due) -> None:
    for node in due.open:
        if node.sub_dispatch_id:
            await dispatcher.go_on_with_sublattice(node)
        else:
            log.warning("The sublattice of %s was not started: dispatch it again", _name(due))


def _covalents_own(node: Node) -> bool:
    """Whether it is a step of Covalent itself that nobody pays for and that can be repeated.

    Or an electron on the server's own machine that had not begun: it is RUNNING before it is run.
    """
    return (
        node.name.startswith(":parameter:")
        or (node.name.startswith(":") and node.executor in HELPERS)
        or (node.status == "NEW_OBJECT" and node.executor == "local")
    )


def _say_foreign(due: Due) -> None:
    log.warning(
        "%s runs on the executor %r, which is not ours: its dispatch waits for it, and stays "
        "RUNNING if nobody tells Covalent how it ended",
        _name(due),
        due.first.executor,
    )


def _name(due: Due) -> str:
    return _title(due.dispatch_id, due.first)


@dataclass(frozen=True)
class _Groups:
    """Groups whose jobs one identity can see; no calls if the settings lead nowhere."""

    due: list[Due]
    make: Callable[[], Context]
    ctx: Context | None


async def _by_identity(due: Iterable[Due], config: Mapping[str, Any]) -> list[_Groups]:
    """Put together what one search can find."""
    found: dict[Any, _Groups] = {}
    keys: dict[str, Any] = {}
    for each in due:
        given = own_values(each.first.attributes, config)
        text = json.dumps(given, sort_keys=True, default=str)
        if text not in keys:
            keys[text] = await _add_identity(found, given, config)
        found[keys[text]].due.append(each)
    return list(found.values())


async def _add_identity(
    found: dict[Any, _Groups], given: dict[str, object], config: Mapping[str, Any]
) -> Any:
    def make() -> Context:
        return pipeline.context(given, config, os.environ, may_start=False)

    try:
        ctx = await quickly(make)
    except BraketPluginError:  # the electron says why, when it is sent or waited for
        found.setdefault(None, _Groups([], make, None))
        return None
    # Instance types have quotas of their own.
    key = ctx.jobs.clients.identity_key, ctx.settings.classical_device
    found.setdefault(key, _Groups([], make, ctx))
    return key


async def _go_on_together(groups: _Groups, since: datetime) -> None:
    jobs = await _search(groups, since)
    if groups.ctx is not None:
        scheduler = shared.scheduler(groups.ctx.jobs.clients)
        for job in filter(None, (_job_of(each, jobs) for each in groups.due)):
            if not job.ended:  # it has a slot, before others are asked for
                scheduler.adopt(job.arn, groups.ctx.settings.classical_device)
    outcomes = await asyncio.gather(
        *(_bring_on(each, jobs, since) for each in groups.due), return_exceptions=True
    )
    for due, outcome in zip(groups.due, outcomes, strict=True):
        if isinstance(outcome, Exception):
            log.error("%s cannot be gone on with", _name(due), exc_info=outcome)


async def _search(groups: _Groups, since: datetime) -> dict[tuple[str, int], JobSummary]:
    """Find the jobs there are; what is not found is known by its handle, if at all."""
    if groups.ctx is None:
        return {}
    patience = float(groups.ctx.settings.give_up_after)

    async def ask() -> list[JobSummary]:
        return await quickly(lambda: groups.make().jobs.search(since))

    try:
        return newest_jobs(await patiently(ask, "Looking for jobs", patience))
    except BraketPluginError as error:  # not allowed, say
        log.warning("Jobs cannot be looked for by their tags: %s", error)
        return {}


def _job_of(due: Due, jobs: Mapping[tuple[str, int], JobSummary]) -> JobSummary | None:
    found = (jobs.get((due.dispatch_id, node_id)) for node_id in due.node_ids)
    return next(filter(None, found), None)


async def _bring_on(due: Due, jobs: Mapping[tuple[str, int], JobSummary], since: datetime) -> None:
    job = _job_of(due, jobs)
    arn = job.arn if job else due.handle
    if not isinstance(arn, str):
        log.warning("%s had not become a job: it is submitted now", _name(due))
        await dispatcher.submit(due)
        return
    log.warning("%s is waited for again: %s", _name(due), arn)
    created = job.created_at if job and job.created_at else since
    name = due.first.name if job is None else job.tags.get("covalent:electron", due.first.name)
    data = {"job_arn": arn, "created": created.isoformat(), "name": name}
    data |= _seen(due, job)
    await dispatcher.keep_handle(due, arn)
    shared.note_job(due.dispatch_id, due.node_ids, arn)
    if any(node.cancel_requested for node in due.open):
        await dispatcher.cancel(due.dispatch_id, due.node_ids)
    await dispatcher.attach(due, data)


def _seen(due: Due, job: JobSummary | None) -> dict[str, Any]:
    """Say what those who watch must know of a job; its node is its group's main one."""
    task = task_of(job) if job else None
    node_id, attempt = (due.first.node_id, 1) if task is None else task[1:]
    name = job.name if job else ""
    phases.enter(
        due.dispatch_id,
        node_id,
        "queued",
        name=due.first.name if job is None else job.tags.get("covalent:electron", due.first.name),
        attempt=attempt,
        job_name=name,
    )
    return {"dispatch_id": due.dispatch_id, "node_id": node_id, "job_name": name}


# --- stopping ----------------------------------------------------------------------------------


async def _stop(
    status: str, cancel: Callable[[str], Awaitable[Any]], config: Mapping[str, Any]
) -> None:
    """Cancel what Covalent would, but for the dispatches whose jobs shall go on."""
    all_open = await in_thread(store.dispatches, [*UNFINISHED, "NEW_OBJECT"])
    stays = {each.root_id for each in all_open if _leaves(each, config)}
    cancelled: list[str] = []
    for dispatch in all_open:
        if dispatch.status != status:
            continue
        if dispatch.root_id in stays:
            await _leave(dispatch, config)
        else:
            for node in _under_way(dispatch):
                _say(dispatch, node, "is cancelled")
            cancelled.append(dispatch.dispatch_id)
            await cancel(dispatch.dispatch_id)
    await dispatcher.cancellations_sent(
        SEND_WITHIN_SECONDS, lambda: shared.still_sending(cancelled)
    )


def _under_way(dispatch: Dispatch) -> list[Node]:
    if dispatch.status == "NEW_OBJECT":  # nobody has started it
        return []
    return [node for node in _ours(dispatch) if not node.ended and dispatch.ready(node)]


def _leaves(dispatch: Dispatch, config: Mapping[str, Any]) -> bool:
    return any(settings_of(node, config).on_stop == "leave" for node in _under_way(dispatch))


async def _leave(dispatch: Dispatch, config: Mapping[str, Any]) -> None:
    """Leave our jobs; what ends with the server anyway is cancelled, as always."""
    ending = [
        node.node_id
        for node in dispatch.nodes.values()
        if node.status == "RUNNING" and node.executor != OURS and not node.name.startswith(":")
    ]
    for node in _under_way(dispatch):
        settings = settings_of(node, config)
        if settings.on_stop == "leave":
            _say(dispatch, node, _stays(node, settings))
        else:
            _say(dispatch, node, "is cancelled")
            ending.append(node.node_id)
    if ending:
        await dispatcher.cancel(dispatch.dispatch_id, ending)


def _stays(node: Node, settings: Settings) -> str:
    what = "goes on, and is waited for again" if node.handle else "stays, and is submitted"
    how = "when the server starts" if settings.reattach else "by `covalent-braket jobs reattach`"
    return f"{what} {how}"


def _say(dispatch: Dispatch, node: Node, what: str) -> None:
    if not node.name.startswith(":"):  # steps of Covalent itself are no jobs
        job = node.handle or "it has no job yet"
        log.warning("%s %s: %s", _title(dispatch.dispatch_id, node), what, job)


def _title(dispatch_id: str, node: Node) -> str:
    return f"{node.name}() (node {node.node_id} of dispatch {dispatch_id})"
