"""The pages say what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, twin

ROOT = Path(__file__).parents[2]


STALE = """
from docs.reference import pages
print([str(path) for path, text in pages().items() if path.read_text(encoding="utf-8") != text])
"""


def test_the_reference_pages_are_those_of_the_docstrings() -> None:
    # In a process of its own: click keeps the language in which its words were when a command was imported.
    result = subprocess.run([sys.executable, "-c", STALE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n", "run `make docs`"


@pytest.mark.parametrize(("readme", "language"), [("README.md", "en"), ("README.zh-CN.md", "zh")])
def test_every_page_is_linked_from_the_readme(readme: str, language: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    pages = [f"docs/{language}/{page.name}" for page in (ROOT / "docs" / language).glob("*.md")]
    assert [page for page in pages if f"]({page})" not in text] == []


DECISIONS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "decisions").glob("*.md"))


def anchors(page: Path) -> set[str]:
    """What the code host makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page",
    [*PAGES, *map(twin, PAGES), "CONTRIBUTING.md", "docs/design.md", "newsfragments/README.md", *DECISIONS],
)
def test_every_link_leads_to_a_page(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    places = [((ROOT / page).parent / path if path else ROOT / page, anchor) for path, _, anchor in links]
    assert [path for path, _ in places if not path.exists()] == []
    assert [(path, anchor) for path, anchor in places if anchor and anchor not in anchors(path)] == []


def test_every_decision_has_its_parts_and_is_in_the_index() -> None:
    *decisions, index = DECISIONS
    listed = (ROOT / index).read_text(encoding="utf-8")
    assert [page for page in decisions if f"({Path(page).name})" not in listed] == []
    for number, page in enumerate(decisions, 1):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Status", "Context", "Decision", "Consequences"]
