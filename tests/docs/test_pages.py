"""What the pages say is true: their code runs, their tables and links are right."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from scripts import update_docs
from tests.docs.pages import PAGES, ROOT, Fence, fences


@pytest.mark.parametrize("fence", list(fences("python")), ids=str)
def test_python_code_compiles(fence: Fence) -> None:
    compile(fence.text, str(fence), "exec")


def test_the_tables_of_settings_are_those_of_the_package() -> None:
    for page in update_docs.PAGES:
        text = (ROOT / page).read_text()
        assert update_docs.updated(text) == text, "run: python scripts/update_docs.py"


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="settings: begin"):
        update_docs.updated("no markers here")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("picture", sorted(ROOT.glob("assets/*.svg")), ids=lambda path: path.name)
def test_a_picture_has_a_title_and_a_description(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    names = {child.tag.rpartition("}")[2] for child in root}
    assert {"title", "desc"} <= names
