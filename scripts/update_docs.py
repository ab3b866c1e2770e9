"""Write the table of settings into the documentation, between its markers.

    python scripts/update_docs.py            write
    python scripts/update_docs.py --check    only say whether something would change

The table comes from `covalent_braket_plugin.settings`, where each setting is described once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from covalent_braket_plugin.settings import markdown_table

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("docs/settings.md",)
BEGIN = "<!-- settings: begin (written by scripts/update_docs.py) -->\n"
END = "<!-- settings: end -->"


def updated(text: str) -> str:
    """Replace what stands between the markers.

    Raises:
        ValueError: The markers are missing.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no {BEGIN.strip()} ... {END}")
    return f"{head}{begin}\n{markdown_table()}\n{end}{tail}"


def main(arguments: list[str]) -> int:
    """Update the pages; returns the exit code."""
    stale = []
    for page in PAGES:
        path = ROOT / page
        text = path.read_text()
        if updated(text) != text:
            stale.append(page)
            if "--check" not in arguments:
                path.write_text(updated(text))
    if stale:
        print(f"{'Out of date' if '--check' in arguments else 'Updated'}: {', '.join(stale)}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
