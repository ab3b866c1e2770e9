"""``covalent-braket watch``: what the electrons of a dispatch do, as it happens."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import click
from rich.live import Live

from covalent_braket_plugin.cli.output import console, json_option
from covalent_braket_plugin.cli.watch_view import clean, differs, news, picture
from covalent_braket_plugin.covalent_compat.store import TERMINAL

__all__ = ["watch"]

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
PATIENCE_SECONDS = 60.0
"""For so long a server that does not answer any more is asked again: it may be restarted."""
SETTLE_SECONDS = 3.0
"""So long after the end the last cost may come."""
LONG_SECONDS = 10.0
LISTED = 200
LINES_AROUND = 6
CTRL_C = 130

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Covalent's server is asked on this machine, not through a proxy."""

Told = dict[str, Any]


class _Silent(Exception):
    """The server does not answer."""


@click.command(
    short_help="What the electrons of a dispatch do, as it happens.",
    epilog="""\b
Examples:
  covalent-braket watch                      the newest dispatch that runs, else the newest
  covalent-braket watch 3f2a                 the one whose id begins so
  covalent-braket watch 3f2a --plain         a line for each change, such as for a log file
  covalent-braket watch --json | jq .status  a JSON document in a line for each change
""",
)
@click.argument("dispatch", required=False)
@click.option("--plain", is_flag=True, help="A line for each change, as without a terminal.")
@json_option
def watch(dispatch: str | None, plain: bool, as_json: bool) -> None:
    """Watch a dispatch until it has ended.

    For each electron: its phase, and what it waits for; how long it has taken; what it said with
    update_status; its newest metrics, the last line of its log, and its cost so far. Cost and
    places in Braket's queue are asked for only while somebody watches.

    The exit code is 0 if the dispatch completed, 1 if it did not, 130 after Ctrl-C; that does not
    stop the workflow.
    """
    server = _server()
    dispatch_id = _chosen(server, dispatch)
    try:
        if as_json:
            told = _follow(server, dispatch_id, _print_json)
        elif plain or not console().is_terminal:
            told = _follow(server, dispatch_id, _print_lines)
        else:
            told = _draw(server, dispatch_id)
    except KeyboardInterrupt:
        click.echo(
            f"The workflow goes on. See it again with: covalent-braket watch {dispatch_id}",
            err=True,
        )
        raise click.exceptions.Exit(CTRL_C) from None
    if told["status"] != "COMPLETED":
        raise click.exceptions.Exit(1)


# --- showing -----------------------------------------------------------------------------------

Show = Callable[[Told | None, Told], None]


def _follow(server: str, dispatch_id: str, show: Show) -> Told:
    before: Told | None = None
    for told in _telling(server, dispatch_id):
        show(before, told)
        before = told
    assert before is not None
    return before


def _print_lines(before: Told | None, told: Told) -> None:
    for line in news(before, told):
        click.echo(line)


def _print_json(before: Told | None, told: Told) -> None:
    if differs(before, told):
        click.echo(json.dumps(told))


def _draw(server: str, dispatch_id: str) -> Told:
    screen = console()
    with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:

        def show(before: Told | None, told: Told) -> None:
            rows = max(1, screen.height - LINES_AROUND)
            live.update(picture(told, rows), refresh=True)

        return _follow(server, dispatch_id, show)


def _telling(server: str, dispatch_id: str) -> Iterator[Told]:
    """Give what the server tells, each second until the dispatch has ended, and once after."""
    silent_since: float | None = None
    ended = False
    while True:
        try:
            told = _ask(server, f"/{dispatch_id}")
        except _Silent as error:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > PATIENCE_SECONDS:
                raise click.ClickException(str(error)) from error
        else:
            silent_since = None
            yield told
            if ended:
                return
            ended = told["status"] in TERMINAL
            if ended and _long_over(told):
                return
        time.sleep(SETTLE_SECONDS if ended else LOOK_SECONDS)


def _long_over(told: Told) -> bool:
    """Whether nothing more is to be expected: no electron has ended just now."""
    now = datetime.fromisoformat(told["now"])
    ends = [datetime.fromisoformat(each["since"]) for each in told["electrons"] if each["since"]]
    return all((now - end).total_seconds() > LONG_SECONDS for end in ends)


# --- asking ------------------------------------------------------------------------------------


def _server() -> str:
    from covalent._shared_files.config import get_config

    return f"http://{get_config('dispatcher.address')}:{get_config('dispatcher.port')}"


def _ask(server: str, path: str) -> Told:
    """Ask the server for what it tells those who watch.

    Raises:
        _Silent: It does not answer.
        click.ClickException: It does not know that.
    """
    url = f"{server}/braket/api/dispatches{path}"
    try:
        with _DIRECT.open(url, timeout=ANSWER_SECONDS) as answer:
            found: Told = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise _Silent(
                f"Covalent's server at {server} answers HTTP {error.code}: its log says why."
            ) from error
        raise click.ClickException(_refusal(server, error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Silent(
            f"Covalent's server does not answer at {server} ({error}). Start it with: covalent "
            "start. If it runs elsewhere: `dispatcher.address` and `dispatcher.port` in Covalent's "
            "configuration say where it is asked."
        ) from error
    except ValueError as error:
        raise click.ClickException(_no_routes(server)) from error
    return found


def _refusal(server: str, error: urllib.error.HTTPError) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        detail = str(json.load(error)["detail"])
        if detail != "Not Found":  # Covalent's own words for a route that it does not have
            return detail
    return _no_routes(server)


def _no_routes(server: str) -> str:
    return (
        f"The server at {server} does not tell what electrons do: the setting `repair_ui` is off "
        "there, or its Covalent is of a release that was not checked. Set repair_ui = true under "
        "[executors.braket] and restart it; `covalent-braket jobs list` works without."
    )


def _chosen(server: str, wanted: str | None) -> str:
    """Find the dispatch that is meant.

    Raises:
        click.ClickException: There is none, or more than one.
    """
    try:
        known = _ask(server, f"?limit={LISTED}")["dispatches"]
    except _Silent as error:
        raise click.ClickException(str(error)) from error
    if wanted is None:
        return _newest(known)
    found = [each["dispatch_id"] for each in known if each["dispatch_id"].startswith(wanted)]
    if len(found) > 1 and wanted not in found:
        some = ", ".join(found[:5])
        raise click.ClickException(f"{wanted!r} begins the id of {len(found)} dispatches: {some}.")
    if found:
        return wanted if wanted in found else str(found[0])
    with contextlib.suppress(ValueError):  # an older one, or one without electrons of ours
        return str(_ask(server, f"/{uuid.UUID(wanted)}")["dispatch_id"])
    raise click.ClickException(
        f"No dispatch whose id begins with {clean(wanted)!r} is among the {len(known)} newest with "
        "Braket electrons. Give the whole id of an older one."
    )


def _newest(known: list[Told]) -> str:
    if not known:
        raise click.ClickException("The server has no dispatch with Braket electrons yet.")
    running = [each for each in known if each["status"] not in TERMINAL]
    return str((running or known)[0]["dispatch_id"])
