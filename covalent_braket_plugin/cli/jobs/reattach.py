"""``covalent-braket jobs reattach``: go on with what an earlier server left."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

import click

from covalent_braket_plugin.cli.output import json_option, print_json, print_table
from covalent_braket_plugin.covalent_compat import store
from covalent_braket_plugin.covalent_compat.release import CHECKED_RELEASES, checked_release
from covalent_braket_plugin.covalent_compat.store import Dispatch, Node
from covalent_braket_plugin.reattach import OURS, UNFINISHED

__all__ = ["reattach", "require_known_covalent"]

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Covalent's server is asked on this machine, not through a proxy."""


@click.command(short_help="Wait again for the jobs that an earlier server left.")
@click.argument("dispatch_id", required=False)
@click.option("--no-wait", is_flag=True, help="Do not wait until the dispatches have ended.")
@json_option
def reattach(dispatch_id: str | None, no_wait: bool, as_json: bool) -> None:
    """Let the running server go on with the dispatches that an earlier one left, or with one.

    A server that starts does that by itself, unless the setting `reattach` is off. Jobs that run
    are waited for, electrons that had not become jobs are submitted; none is submitted twice. The
    exit code is 1 if a dispatch did not complete.
    """
    require_known_covalent()
    url = _server_url()
    found = _unfinished(dispatch_id)
    for dispatch in found:
        _ask(url, dispatch)
    if not no_wait and found:
        _wait(found, quiet=as_json)
        found = store.dispatches(dispatch_ids=[each.dispatch_id for each in found])
    rows = [_row(each, node) for each in found for node in each.nodes.values() if _shown(node)]
    _show_reattached(found, rows, as_json)
    if not no_wait and any(each.status != "COMPLETED" for each in found):
        raise click.exceptions.Exit(1)


def require_known_covalent() -> None:
    """Refuse a Covalent whose records are not known.

    Raises:
        click.ClickException: It is another release.
    """
    if not checked_release():
        known = " and ".join(f"{release}.x" for release in CHECKED_RELEASES)
        raise click.ClickException(
            f"This works with Covalent {known} only: the installed one keeps its records in a way "
            "that was not checked."
        )


def _server_url() -> str:
    """Find the server that is configured here.

    Raises:
        click.ClickException: It does not answer, or uses another database.
    """
    from covalent._shared_files.config import get_config

    url = f"http://{get_config('dispatcher.address')}:{get_config('dispatcher.port')}"
    try:
        with _DIRECT.open(f"{url}/api/v2/dispatches?count=1", timeout=ANSWER_SECONDS) as answer:
            newest = json.load(answer)["dispatches"]
    except (OSError, ValueError, KeyError) as error:
        raise click.ClickException(
            f"Covalent's server does not answer at {url} ({error}). Start it with: covalent start. "
            "It goes on with what an earlier one left by itself, unless `reattach` is off."
        ) from error
    if newest and not store.dispatches(dispatch_ids=[newest[0]["dispatch_id"]]):
        raise click.ClickException(
            f"The server at {url} uses another database than {store.database_name()}: set "
            "COVALENT_DATABASE_URL and HOME here as they are in its environment."
        )
    return url


def _unfinished(dispatch_id: str | None) -> list[Dispatch]:
    if dispatch_id is None:
        return [each for each in store.dispatches(UNFINISHED) if _ours(each)]
    found = store.dispatches(dispatch_ids=[dispatch_id])
    if not found:
        raise click.ClickException(
            f"{store.database_name()} has no dispatch {dispatch_id}. See: covalent-braket jobs "
            "reattach, which lists all that are unfinished."
        )
    # Electrons of ours may be in its sublattices alone.
    others = (each for each in store.dispatches(UNFINISHED) if each.root_id == found[0].root_id)
    found += [each for each in others if each.dispatch_id != dispatch_id and _ours(each)]
    if not any(map(_ours, found)):
        raise click.ClickException(f"Dispatch {dispatch_id} has no electron on Braket.")
    return found


def _ours(dispatch: Dispatch) -> list[Node]:
    return [node for node in dispatch.nodes.values() if node.executor == OURS]


def _ask(url: str, dispatch: Dispatch) -> None:
    """Have the executor in the server's process go on with a dispatch."""
    node = next(iter(_ours(dispatch)), None)  # any will do: its executor is asked
    if dispatch.ended or node is None:
        return
    place = f"{url}/api/v2/dispatches/{dispatch.dispatch_id}/electrons/{node.node_id}/job"
    request = urllib.request.Request(
        place,
        data=json.dumps({"reattach": True}).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    with _DIRECT.open(request, timeout=ANSWER_SECONDS):
        return


def _wait(dispatches: Sequence[Dispatch], *, quiet: bool) -> None:
    ids = [each.dispatch_id for each in dispatches]
    said = ""
    while True:
        now = store.dispatches(dispatch_ids=ids)
        text = _progress(now)
        if not quiet and text != said:
            click.echo(text, err=True)
            said = text
        if all(each.ended for each in now):
            return
        time.sleep(LOOK_SECONDS)


def _progress(dispatches: Iterable[Dispatch]) -> str:
    nodes = [node for each in dispatches for node in each.nodes.values() if _shown(node)]
    ended = sum(node.ended for node in nodes)
    text = f"{ended} of {len(nodes)} electrons have ended"
    others = [n.name for n in nodes if n.status == "RUNNING" and n.executor != OURS]
    if others:  # they may be lost, and then this never ends
        text += f"; on other executors, and not gone on with from here: {', '.join(others)}"
    return text


def _shown(node: Node) -> bool:
    return not node.name.startswith(":")


def _row(dispatch: Dispatch, node: Node) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch.dispatch_id,
        "node_id": node.node_id,
        "electron": node.name,
        "executor": node.executor,
        "status": node.status,
        "job": node.handle if node.executor == OURS else None,
        "found": _found(dispatch, node),
    }


def _found(dispatch: Dispatch, node: Node) -> str:
    if node.ended:
        return "has ended"
    if node.executor != OURS:
        return "not ours"
    if isinstance(node.handle, str):
        return "its job is waited for"
    # A job may have been made that Covalent was not told of: the server looks for its tags.
    ready = dispatch.ready(node)
    return "its job is looked for, else made" if ready else "waits for other electrons"


def _show_reattached(
    dispatches: Sequence[Dispatch], rows: list[dict[str, Any]], as_json: bool
) -> None:
    if as_json:
        kept = [{"dispatch_id": each.dispatch_id, "status": each.status} for each in dispatches]
        print_json({"dispatches": kept, "electrons": rows})
    elif not dispatches:
        click.echo("No dispatch of Braket electrons is unfinished.")
    else:
        for each in dispatches:
            click.echo(f"Dispatch {each.dispatch_id} ({each.name}): {each.status}")
            mine = [row for row in rows if row["dispatch_id"] == each.dispatch_id]
            print_table(("node_id", "electron", "status", "found", "job"), mine)
