"""``covalent-braket settings``: every setting, its value, and where that comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from covalent_braket_plugin.cli.output import console, json_option, print_json
from covalent_braket_plugin.cli.sources import Sources, gather, source_options
from covalent_braket_plugin.settings import (
    SETTINGS,
    Setting,
    Settings,
    check_complete,
    no_key,
    plain_json,
)

__all__ = ["settings"]

_SOURCES = {"constructor": "--set", "config": "[executors.braket]"}


@click.command(
    short_help="Every setting, its value, and where that comes from.",
    epilog="""\b
Examples:
  covalent-braket settings
  covalent-braket settings --set region=eu-west-2 --set tags.team=blue
  covalent-braket settings --json | jq '.time_limit'
""",
)
@source_options
@json_option
def settings(
    assignments: Iterable[str], config: Path | None, no_config: bool, as_json: bool
) -> None:
    """Show every setting in force and where its value comes from.

    An executor takes a setting from its constructor, else from [executors.braket] in Covalent's
    configuration file, else from the environment. The exit code is 1 if a value breaks a rule.
    """
    sources = gather(assignments, config, no_config)
    resolved = sources.resolve()
    rows = [_row(setting, resolved, sources) for setting in SETTINGS]
    if as_json:
        print_json({row["name"]: row for row in rows})
    else:
        _print_table(rows)
    check_complete(resolved)


def _row(setting: Setting, resolved: Settings, sources: Sources) -> dict[str, Any]:
    value = getattr(resolved, setting.name)
    source = resolved.sources[setting.name]
    variable = source.removeprefix("environment variable ")
    if setting.left_to_boto3 and variable != source:
        value = sources.environ[variable]
        source += ", read by boto3"
    return {
        "name": setting.name,
        "value": _fit_to_show(value),
        "unit": setting.unit,
        "source": _SOURCES.get(source, source),
        "meaning": setting.meaning.replace("`", ""),
        "rule": setting.rule.replace("`", ""),
    }


def _fit_to_show(value: object) -> object:
    """Make a value what JSON has a word for; keys and passwords have no place on a screen."""
    secret = no_key(value)
    if secret is not None:
        return secret.shown
    return re.sub(r"//[^/@]*@", "//***@", value) if isinstance(value, str) else plain_json(value)


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Setting", "Value", "Comes from"):
        table.add_column(title, overflow="fold")
    for row in rows:
        style = "dim" if row["source"] == "default" else ""
        cells = (row["name"], _shown(row), row["source"])
        table.add_row(*(Text(cell, style) for cell in cells))
    console().print(table)


def _shown(row: dict[str, Any]) -> str:
    value = row["value"]
    if value is None or value == {}:
        return "unset"
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g} {row['unit']}".strip() if isinstance(value, int | float) else str(value)
