"""The pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.reference import pages

ROOT = Path(__file__).parents[2]
TWINS = [
    ("README.md", "README.zh-CN.md"),
    *((f"docs/en/{page.name}", f"docs/zh/{page.name}") for page in sorted((ROOT / "docs" / "en").glob("*.md"))),
]


def code_blocks(page: str) -> list[str]:
    return re.findall(
        r"^```(?:sh|json)\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_reference_pages_are_those_of_the_docstrings() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run `make docs`"


@pytest.mark.parametrize(("english", "chinese"), TWINS)
def test_both_languages_show_the_same_commands(english: str, chinese: str) -> None:
    assert code_blocks(english) == code_blocks(chinese)


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "docs/design.md"])
def test_every_link_leads_to_a_page(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
