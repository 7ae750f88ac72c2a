"""The guides on users and on tests show the code of the example, in both languages, and what else they show runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import lifespan
from tests.examples.test_foreign_contract import copied
from xi_test.config import XiTestConfig
from xi_test.model_db.main import User

ROOT = Path(__file__).parents[2]
GUIDES = ("users", "testing")


def guide(name: str, language: str = "en") -> str:
    return (ROOT / "docs" / language / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", guide(name), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", GUIDES)
def test_both_languages_show_the_same_code_under_as_many_headings(name: str) -> None:
    english, chinese = guide(name), guide(name, "zh")
    assert re.findall(r"```.*?```", english, re.DOTALL) == re.findall(r"```.*?```", chinese, re.DOTALL)
    assert len(re.findall(r"^#+ ", english, re.MULTILINE)) == len(re.findall(r"^#+ ", chinese, re.MULTILINE))


SHOWN = [block for name in GUIDES for block in blocks(name) if block.startswith("# examples/")]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.partition("\n")[0].removeprefix("# "))
def test_the_code_is_that_of_the_example(block: str) -> None:
    name, _, code = block.removeprefix("# ").partition("\n")
    assert code == (ROOT / name).read_text(encoding="utf-8")


async def test_a_new_token_takes_the_place_of_the_old_one(tmp_path: Path, redis_url: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks("users")[0], "docs/en/users.md", "exec", dont_inherit=True), names)
    database = f"sqlite://{tmp_path / 'xi_test.sqlite3'}"
    config = XiTestConfig(ENV="test", DB_URL=database, REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")
    async with lifespan(config):
        await Tortoise.generate_schemas()
    async with lifespan(config):
        ann = await User.create(name="ann", token_digest="-")
        old = await names["give_token"](ann)
        assert (await names["user_with_token"](old)).name == "ann"
        new = await names["give_token"](ann)
        assert (await names["user_with_token"](new)).name == "ann"
        assert await names["user_with_token"](old) is None


@pytest.mark.long
def test_the_process_of_the_guide_starts_answers_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied(tmp_path))
    names: dict[str, Any] = {}
    exec(compile(blocks("testing")[-1], "docs/en/testing.md", "exec", dont_inherit=True), names)
    names["test_it_starts_answers_and_stops"]()
