"""``covalent-braket estimate``: what an electron may cost, before it is submitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.budget import dollars
from covalent_braket_plugin.cli.money import LOCAL_NOTE, print_parts, print_source
from covalent_braket_plugin.cli.output import json_option, print_json
from covalent_braket_plugin.cli.sources import gather, source_options
from covalent_braket_plugin.costs import estimate as estimating
from covalent_braket_plugin.costs.parts import total
from covalent_braket_plugin.costs.prices import prices
from covalent_braket_plugin.devices.catalogue import located
from covalent_braket_plugin.settings import Settings, check_complete, region_of_device

__all__ = ["estimate"]

LOCAL_REGION = "us-east-1"
"""The local Braket's, unless a device names another."""


@click.command(
    short_help="What an electron may cost, before it is submitted.",
    epilog="""\b
Examples:
  covalent-braket estimate --set time_limit=3600
  covalent-braket estimate --tasks 100 --seconds 10
  covalent-braket estimate --tasks 20 --shots 1000 --set quantum_device=Garnet
""",
)
@click.option("--tasks", type=click.IntRange(0), default=0, help="How many quantum tasks it makes.")
@click.option("--shots", type=click.IntRange(0), default=0, help="Shots of each.")
@click.option("--seconds", type=click.FloatRange(0), help="How long a simulator takes for each.")
@source_options
@json_option
def estimate(
    tasks: int,
    shots: int,
    seconds: float | None,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Reckon what one attempt at an electron may cost, from AWS's price list.

    The job's instance is charged for as long as it runs, which is `time_limit` at most. Where no
    price is known that is said, and nothing is guessed.
    """
    settings = gather(assignments, config, no_config).resolve()
    check_complete(settings)
    settings = located(settings)
    region, known = _region(settings), prices()
    found = estimating.estimate(settings, region, known, estimating.Plan(tasks, shots, seconds))
    if as_json:
        about = {"region": region, "usd": found.usd, "prices": known.source}
        local = {"local": settings.local, "problem": known.problem}
        print_json({**about, **local, **asdict(found)})
        return
    print_parts("The job, at most", found.most)
    print_parts("Each on the device", found.each)
    print_parts("The planned quantum tasks", found.planned)
    click.echo(_together(found))
    for sentence in found.unknown:
        click.echo(sentence)
    print_source(known)
    if settings.local:
        click.echo(LOCAL_NOTE)


def _together(found: estimating.Estimate) -> str:
    if found.usd is not None:
        extra = ", and quantum tasks (see --tasks)" if found.each and not found.planned else ""
        return f"Together: {dollars(found.usd)}{extra}"
    known = total((*found.most, *found.planned))
    rest = "" if known is None else f"; {dollars(known)} without what has no price"
    return f"Together: not known{rest}"


def _region(settings: Settings) -> str:
    named = settings.region or region_of_device(settings.quantum_device)
    if named is None and settings.local:
        return LOCAL_REGION
    return named or clients_for(settings).region
