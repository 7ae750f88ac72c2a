"""The guide on users shows the code of the example, in both languages, and what else it shows runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import lifespan
from xi_test.config import XiTestConfig
from xi_test.model_db.main import User

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ((ROOT / "docs" / language / "users.md").read_text(encoding="utf-8") for language in ("en", "zh"))
BLOCKS = re.findall(r"^```python\n(.*?)^```", ENGLISH, re.DOTALL | re.MULTILINE)


def test_both_languages_show_the_same_code_under_as_many_headings() -> None:
    assert re.findall(r"```.*?```", ENGLISH, re.DOTALL) == re.findall(r"```.*?```", CHINESE, re.DOTALL)
    assert len(re.findall(r"^#+ ", ENGLISH, re.MULTILINE)) == len(re.findall(r"^#+ ", CHINESE, re.MULTILINE))


@pytest.mark.parametrize("block", BLOCKS[1:], ids=lambda block: block.partition("\n")[0].rpartition("/")[2])
def test_the_code_is_that_of_the_example(block: str) -> None:
    name, _, code = block.removeprefix("# ").partition("\n")
    assert code == (ROOT / name).read_text(encoding="utf-8")


async def test_a_new_token_takes_the_place_of_the_old_one(tmp_path: Path, redis_url: str) -> None:
    guide: dict[str, Any] = {}
    exec(compile(BLOCKS[0], "docs/en/users.md", "exec", dont_inherit=True), guide)
    database = f"sqlite://{tmp_path / 'xi_test.sqlite3'}"
    config = XiTestConfig(ENV="test", DB_URL=database, REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")
    async with lifespan(config):
        await Tortoise.generate_schemas()
    async with lifespan(config):
        ann = await User.create(name="ann", token_digest="-")
        old = await guide["give_token"](ann)
        assert (await guide["user_with_token"](old)).name == "ann"
        new = await guide["give_token"](ann)
        assert (await guide["user_with_token"](new)).name == "ann"
        assert await guide["user_with_token"](old) is None
