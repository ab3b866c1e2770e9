"""How commands show amounts of money."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from covalent_braket_plugin.budget import dollars
from covalent_braket_plugin.cli.output import console
from covalent_braket_plugin.costs.parts import Part
from covalent_braket_plugin.costs.prices import Prices

__all__ = ["LOCAL_NOTE", "amount", "print_parts", "print_source"]

LOCAL_NOTE = "The local Braket charges nothing: this is what it would cost on AWS."


def amount(usd: float | None, *, approximate: bool = False) -> str:
    """Write an amount, or that it is not known."""
    if usd is None:
        return "not known"
    return f"about {dollars(usd)}" if approximate else dollars(usd)


def print_parts(title: str, parts: Sequence[Part]) -> None:
    """Print the lines of an estimate; nothing if there are none."""
    if not parts:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (title, "Quantity", "US dollars", ""):
        table.add_column(column, overflow="fold")
    for part in parts:
        plural = "s" if part.quantity != 1 else ""
        number = f"{part.quantity:{',.0f' if float(part.quantity).is_integer() else '.4g'}}"
        quantity = f"{number} {part.unit}{plural}"
        table.add_row(part.what, quantity, amount(part.usd), part.note)
    console().print(table)
    click.echo()


def print_source(prices: Prices) -> None:
    """Say where the prices come from, and why from there."""
    click.echo(f"Prices: {prices.source}; without taxes, discounts and credits.")
    if prices.problem:
        click.echo(f"{prices.problem}.", err=True)
