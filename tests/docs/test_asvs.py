"""The pages on the ASVS have every item of its chapters, and the tests that they name exist, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.blocks import text_of

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d[\d., ]*) \| (.*) \| (.*) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")
# How many items each section of ASVS 5.0 has. Those of 6.5 to 6.7 are together.
SECTIONS = {
    "6.1": 3,
    "6.2": 12,
    "6.3": 8,
    "6.4": 6,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 3,
    "7.6": 2,
}
SECTIONS |= {"8.1": 4, "8.2": 4, "8.3": 3, "8.4": 2, "9.1": 3, "9.2": 4}
WITHOUT_TEST = (
    "your front end",
    "your service",
    "**no**",
    "**deviates**",
    "no ",
    "none",
    "passwords do not",
    "identity",
    "API keys",
)


def rows(language: str) -> dict[str, tuple[str, str]]:
    return {item: (text, tests) for item, text, tests in ROW.findall(text_of(f"docs/{language}/asvs.md"))}


def test_both_pages_have_every_item_in_its_order_with_the_same_tests() -> None:
    listed = [f"{section}.{number + 1}" for section, count in SECTIONS.items() for number in range(count)]
    listed.insert(listed.index("6.8.1"), "6.5, 6.6, 6.7")
    english, chinese = rows("en"), rows("zh")
    assert list(english) == list(chinese) == listed
    assert [tests for _, tests in english.values()] == [tests for _, tests in chinese.values()]


def test_each_item_has_existing_tests_or_names_who_meets_it() -> None:
    for item, (text, tests) in rows("en").items():
        named = TEST.findall(tests)
        assert named or text.startswith(WITHOUT_TEST), item
        assert len(named) == tests.count("::")
        for file, name in named:
            assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name
