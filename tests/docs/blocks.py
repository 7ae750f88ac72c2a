"""The code blocks of the pages: what every test that reads, types or runs one takes it from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/en/{page.name}" for page in sorted((ROOT / "docs" / "en").glob("*.md")))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PATH_LINE = re.compile(r"# ([\w/]+\.py)\n")


class Block(NamedTuple):
    """A fenced block; the language of what a program prints is empty."""

    page: str
    line: int
    """The line of the page on which the code begins."""
    language: str
    code: str

    @property
    def path(self) -> str:
        """The file that the first line names, or nothing."""
        match = PATH_LINE.match(self.code)
        return match[1] if match else ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def twin(page: str) -> str:
    """The Chinese page of an English one."""
    return "README.zh-CN.md" if page == "README.md" else page.replace("docs/en/", "docs/zh/")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Every block of a page, in its order."""
    text = text_of(page)
    return [Block(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2]) for match in FENCED.finditer(text)]


def code(guide: str, language: str) -> list[str]:
    """The code in one language of an English guide, such as `errors`."""
    return [block.code for block in blocks(f"docs/en/{guide}.md") if block.language == language]
