"""`sanicGuider cache …` on the example service: an empty database, a real Redis."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tortoise import Tortoise

from sanicbase import lifespan
from sanicbase.cli import main
from xi_test.config import XiTestConfig
from xi_test.model_db.main import Article, User


@pytest.fixture
def service(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> XiTestConfig:
    """The example's settings, with an article in its database."""
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url)
    monkeypatch.setattr("xi_test.config.config", config)

    async def write() -> None:
        async with lifespan(config):
            await Tortoise.generate_schemas()
            author = await User.create(name="ann", token_digest="0" * 64)
            await Article.create(id=7, slug="hello", title="Hello", body="…", author=author)

    asyncio.run(write())
    return config


def told(*words: str) -> Result:
    return CliRunner().invoke(main, ["cache", *words])


def test_an_entry_is_shown_counted_and_forgotten(service: XiTestConfig) -> None:
    shown = told("get", "xi_test", "ArticleRC", "7")
    assert shown.exit_code == 0, shown.output
    assert '"slug": "hello"' in shown.output
    told("get", "xi_test", "ArticleRC", "7")
    counted = told("stats", "xi_test")
    assert counted.exit_code == 0, counted.output
    (line,) = [line for line in counted.output.splitlines() if line.startswith("ArticleRC ")]
    assert line.split()[1:2] != ["-"]
    forgotten = told("invalidate", "xi_test", "ArticleRC", "7", "8")
    assert forgotten.output == "ArticleRC has forgotten 7, 8.\n"
    assert told("invalidate", "xi_test", "ArticleRC", "--all").output == "ArticleRC has forgotten everything.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("get", "xi_test", "ArticleRC", "8"), "There is no ArticleRC 8."),
        (("get", "xi_test", "ArtikelRC", "8"), "xi_test has no cache model ArtikelRC. It has: ArticleRC"),
        (("get", "nowhere", "ArticleRC", "8"), "There is no module nowhere."),
        (("invalidate", "xi_test", "ArticleRC"), "Name the keys, or say --all."),
        (("invalidate", "xi_test", "ArticleRC", "1", "--all"), "Name the keys, or say --all."),
    ],
)
def test_a_mistake_is_a_sentence(service: XiTestConfig, words: tuple[str, ...], sentence: str) -> None:
    failed = told(*words)
    assert failed.exit_code != 0
    assert sentence in failed.output
