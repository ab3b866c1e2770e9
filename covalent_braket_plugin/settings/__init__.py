"""Every knob once: name, default, unit, rule, meaning, and where its value comes from.

Nothing here reads the environment, a file or AWS: callers hand in what they found.
"""

from __future__ import annotations

from covalent_braket_plugin.settings.instance_types import INSTANCE_TYPES
from covalent_braket_plugin.settings.resolve import (
    check,
    check_complete,
    check_given,
    check_one,
    no_simulators,
    own_values,
    plain_json,
    region_of_device,
    resolve,
    same,
    unknown,
    with_local,
    with_region,
)
from covalent_braket_plugin.settings.rules import REGIONS, no_key
from covalent_braket_plugin.settings.table import (
    BY_NAME,
    LEGACY_KEYS,
    SETTINGS,
    Setting,
    Settings,
    markdown_table,
)

__all__ = [
    "BY_NAME",
    "INSTANCE_TYPES",
    "LEGACY_KEYS",
    "REGIONS",
    "SETTINGS",
    "Setting",
    "Settings",
    "check",
    "check_complete",
    "check_given",
    "check_one",
    "markdown_table",
    "no_key",
    "no_simulators",
    "own_values",
    "plain_json",
    "region_of_device",
    "resolve",
    "same",
    "unknown",
    "with_local",
    "with_region",
]
