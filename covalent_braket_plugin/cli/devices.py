"""``covalent-braket devices``: which devices there are, and how they are now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from covalent_braket_plugin.budget import dollars
from covalent_braket_plugin.cli.output import (
    json_option,
    note,
    print_json,
    print_table,
    working,
)
from covalent_braket_plugin.cli.sources import gather, source_options
from covalent_braket_plugin.costs.prices import prices
from covalent_braket_plugin.costs.table import Prices, is_qpu
from covalent_braket_plugin.devices.availability import Availability, availability, local_time
from covalent_braket_plugin.devices.choice import span
from covalent_braket_plugin.devices.names import Listed, find, refuse_retired
from covalent_braket_plugin.devices.survey import Found, survey
from covalent_braket_plugin.errors import LocalBraketError
from covalent_braket_plugin.settings import REGIONS

__all__ = ["devices"]

COLUMNS = ("provider", "name", "type", "status", "region", "queue", "window", "price")


@click.command(
    short_help="Quantum devices: status, queue, next window, price.",
    epilog="""\b
Examples:
  covalent-braket devices
  covalent-braket devices garnet
  covalent-braket devices --region us-east-1 --all
  covalent-braket devices --set local=yes --json | jq '.devices[].arn'
""",
)
@click.argument("name", required=False)
@click.option(
    "--region",
    "regions",
    multiple=True,
    type=click.Choice(REGIONS),
    metavar="REGION",
    help="Only this region; repeatable. Else all of Braket's.",
)
@click.option("--all", "retired", is_flag=True, help="Retired devices too.")
@source_options
@json_option
def devices(
    name: str | None,
    regions: tuple[str, ...],
    retired: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """List Braket's devices as they are now; quantum_device takes the names.

    Times are those of this machine. A device that is closed takes jobs, and runs their quantum
    tasks when it opens: electrons wait until then, unless if_device_unavailable says otherwise.
    """
    if name is not None:
        refuse_retired("NAME", name)  # which needs no credentials
    settings = gather(assignments, config, no_config).resolve()
    if settings.local and settings.endpoint_url is None:
        raise LocalBraketError("No local Braket runs. Start it: covalent-braket local start")

    def chosen(found: Iterable[Listed]) -> Iterable[Listed]:
        if name is not None:
            return [find("NAME", name, found)]
        return [each for each in found if retired or each.status != "RETIRED"]

    with working("Looking at devices ..."):
        seen, known = survey(settings, regions or REGIONS, chosen), prices()
    now = datetime.now(UTC)
    if as_json:
        refused = {region: str(error) for region, error in seen.refused.items()}
        print_json({"devices": [_record(each, known, now) for each in seen.devices],
                    "refused": refused})  # fmt: skip
    elif seen.devices:
        print_table(COLUMNS, [_row(each, known, now) for each in seen.devices], whole=COLUMNS[:5])
    else:
        click.echo("No devices.")
    for region, error in () if as_json else seen.refused.items():
        note(f"{region} could not be looked at: {error}")


def _record(found: Found, known: Prices, now: datetime) -> dict[str, Any]:
    verdict = _verdict(found, now)
    return {
        "arn": found.listed.arn,
        "provider": found.listed.provider,
        "name": found.listed.name,
        "type": found.listed.kind,
        "status": _status(found),
        "region": found.listed.region or None,
        "available": verdict and verdict.now,
        "opens": verdict and verdict.opens and verdict.opens.isoformat(),
        "closes": verdict and verdict.closes and verdict.closes.isoformat(),
        "queue": dict(found.state.queue) if found.state else None,
        "usd": _usd(found, known),
    }


def _row(found: Found, known: Prices, now: datetime) -> dict[str, str]:
    return {
        "provider": found.listed.provider,
        "name": found.listed.name,
        "type": found.listed.kind,
        "status": _status(found),
        "region": found.listed.region or "most",
        "queue": _queue(found),
        "window": _window(_verdict(found, now), now),
        "price": _price(_usd(found, known)),
    }


def _status(found: Found) -> str:
    return found.state.status if found.state else found.listed.status


def _verdict(found: Found, now: datetime) -> Availability | None:
    return availability(found.state, now) if found.state else None


def _queue(found: Found) -> str:
    queue = found.state.queue if found.state else {}
    if not queue:
        return "-"
    first = queue.get("priority_tasks", "0")
    tasks = f"{queue.get('tasks', '-')} tasks" + (f" (+{first} first)" if first != "0" else "")
    return f"{tasks}, {queue.get('jobs', '-')} jobs"


def _window(verdict: Availability | None, now: datetime) -> str:
    if verdict is None or (not verdict.now and verdict.opens is None):
        return "-"
    if verdict.opens is not None:
        return f"opens {local_time(verdict.opens)} (in {span(verdict.opens - now)})"
    if verdict.closes is None:
        return "always open"
    local = verdict.closes.astimezone()
    today = local.date() == now.astimezone().date()
    return f"open until {local:%H:%M}" if today else f"open until {local_time(verdict.closes)}"


def _usd(found: Found, known: Prices) -> dict[str, float | None]:
    arn, region = found.listed.arn, found.region
    if is_qpu(arn):
        return {"task": known.task(arn, region), "shot": known.shot(arn, region)}
    return {"minute": known.simulator_minute(arn, region)}


def _price(usd: dict[str, float | None]) -> str:
    parts = [f"{dollars(price)}/{unit}" for unit, price in usd.items() if price is not None]
    return " + ".join(parts) or "-"
