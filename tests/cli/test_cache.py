"""`sanicGuider cache …` on the example service: an empty database, a real Redis."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase import lifespan
from sanicbase.cli import main
from sanicbase.db import Database
from sanicbase.testing import wait_until
from xi_test.config import XiTestConfig
from xi_test.model_db.main import Article, User


@pytest.fixture
def service(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> XiTestConfig:
    """The example's settings, with an article in its database."""
    config = XiTestConfig(
        DB_URL=f"sqlite://{tmp_path}/data.sqlite3",
        REDIS_URL=redis_url,
        DB_STATEMENT_TIMEOUT=0.5,
        CACHE_CLOSED_TTL=2.5,  # for so long a Redis that was empty is not trusted
    )
    monkeypatch.setattr("xi_test.config.config", config)

    async def write() -> None:
        async with lifespan(config):
            await Tortoise.generate_schemas()
            author = await User.create(name="ann", token_digest="0" * 64)
            await Article.create(id=7, slug="hello", title="Hello", body="…", author=author)

    asyncio.run(write())
    return config


def cli(*args: str) -> Result:
    return CliRunner().invoke(main, ["cache", *args])


def test_an_entry_is_shown_counted_and_forgotten(service: XiTestConfig) -> None:
    result = cli("get", "xi_test", "ArticleRC", "7")
    assert result.exit_code == 0, result.output
    assert '"slug": "hello"' in result.output
    wait_until(lambda: share() > 0, what="an entry from Redis")
    for title, args in (("Other", ("7", "8")), ("Third", ("--all",))):
        unseen(service, f"UPDATE xi_article SET title = '{title}'")
        assert f'"title": "{title}"' not in cli("get", "xi_test", "ArticleRC", "7").output
        invalidated = "all entries" if args == ("--all",) else "7, 8"
        assert cli("invalidate", "xi_test", "ArticleRC", *args).output == f"ArticleRC: invalidated {invalidated}.\n"
        assert f'"title": "{title}"' in cli("get", "xi_test", "ArticleRC", "7").output


def test_all_classes_forget_what_was_there_before_sql_without_the_service(service: XiTestConfig) -> None:
    wait_until(lambda: share() > 0, what="an entry from Redis")
    unseen(service, "UPDATE xi_article SET title = 'Other'")
    assert '"title": "Hello"' in cli("get", "xi_test", "ArticleRC", "7").output
    invalidated = cli("invalidate", "xi_test", "--all")
    assert invalidated.exit_code == 0, invalidated.output
    assert "ArticleRC: invalidated all entries.\n" in invalidated.output
    assert '"title": "Other"' in cli("get", "xi_test", "ArticleRC", "7").output
    assert cli("invalidate", "xi_test").exit_code == 2


def share() -> float:
    """The share of the gets that Redis has answered, in percent, after one more."""
    assert cli("get", "xi_test", "ArticleRC", "7").exit_code == 0
    result = cli("stats", "xi_test")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("ArticleRC ")]
    return float(line.split()[1].rstrip("%"))


def unseen(service: XiTestConfig, statement: str) -> None:
    """Change rows as nobody who knows of cache models would."""

    async def change() -> None:
        async with Database(service):
            await get_connection("default").execute_query(statement)

    asyncio.run(change())


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("get", "xi_test", "ArticleRC", "8"), "ArticleRC has no entry 8."),
        (("get", "xi_test", "ArtikelRC", "8"), "xi_test has no cache model ArtikelRC. It has: ArticleRC"),
        (("get", "nowhere", "ArticleRC", "8"), "There is no service nowhere. The services are: xi_test."),
        (("invalidate", "xi_test", "ArticleRC"), "Specify keys or --all."),
        (("invalidate", "xi_test", "ArticleRC", "1", "--all"), "Specify keys or --all."),
    ],
)
def test_an_error_is_an_error_message(service: XiTestConfig, args: tuple[str, ...], sentence: str) -> None:
    failed = cli(*args)
    assert failed.exit_code != 0
    assert sentence in failed.output
