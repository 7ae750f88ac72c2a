"""The guides on users and on tests show the code of the example and what else they show runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import lifespan
from tests.docs.blocks import PAGES, ROOT, Block, blocks, code
from tests.examples.test_foreign_contract import copied
from xi_test.config import XiTestConfig
from xi_test.model_db.main import User

SHOWN = [block for page in PAGES for block in blocks(page) if block.path.startswith("examples/")]


@pytest.mark.parametrize("block", SHOWN, ids=[block.path for block in SHOWN])
def test_the_code_is_that_of_the_example(block: Block) -> None:
    assert block.code.partition("\n")[2] == (ROOT / block.path).read_text(encoding="utf-8")


async def test_a_new_token_takes_the_place_of_the_old_one(tmp_path: Path, redis_url: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(code("users", "python")[0], "docs/en/users.md", "exec", dont_inherit=True), names)
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
    exec(compile(code("testing", "python")[-1], "docs/en/testing.md", "exec", dont_inherit=True), names)
    names["test_it_starts_answers_and_stops"]()
