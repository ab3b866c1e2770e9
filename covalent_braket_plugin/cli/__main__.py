"""``python -m covalent_braket_plugin.cli`` is the command ``covalent-braket``."""

from __future__ import annotations

from covalent_braket_plugin.cli.program import main

if __name__ == "__main__":
    main(prog_name="covalent-braket")
