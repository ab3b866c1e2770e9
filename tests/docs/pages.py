"""The code fences of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_FENCE = re.compile(r"^```(?P<words>[a-z][a-z ]*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Fence:
    """One fence: where it is, the words after its opening, its text."""

    page: Path
    line: int
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def fences(*words: str) -> Iterator[Fence]:
    """Yield the fences whose opening begins with the given words."""
    for page in PAGES:
        text = page.read_text()
        for match in _FENCE.finditer(text):
            found = tuple(match["words"].split())
            if found[: len(words)] == words:
                yield Fence(page, text.count("\n", 0, match.start()) + 1, found, match["text"])


def texts_in(picture: Path) -> set[str]:
    """What an SVG of matplotlib says: it draws text as paths and notes it in comments."""
    return set(re.findall(r"<!-- (.+?) -->", picture.read_text()))
