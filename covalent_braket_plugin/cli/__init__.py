"""The command ``covalent-braket``."""

from __future__ import annotations

from covalent_braket_plugin.cli.program import main

__all__ = ["main"]
