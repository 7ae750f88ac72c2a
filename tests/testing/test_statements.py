"""The statements that are captured are those that a database is sent."""

from __future__ import annotations

import logging

import pytest
from tortoise import connections

from sanicbase import transaction
from sanicbase.testing import capture_statements
from tests.db.conftest import store
from tests.db.library import Author, Book
from tests.db.opening import Store, opened

__all__ = ["store"]


async def test_each_statement_is_captured_without_its_values(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(store, "tests.db.library"):
        with capture_statements() as statements:
            async with transaction():
                ann = await Author.create(name="Ann Secret")
            await Book.filter(author_id=ann.id).prefetch_related("author")
            await connections.get("default").execute_script("SELECT 1")
        await Author.all()
    assert [statement.split()[0] for statement in statements] == ["INSERT", "SELECT", "SELECT"]
    assert not any("Ann Secret" in statement for statement in statements)
    assert [record for record in caplog.records if record.name == "tortoise.db_client"] == []


async def test_a_log_that_shows_statements_still_does(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(store, "tests.db.library"):
        with caplog.at_level(logging.DEBUG, logger="tortoise.db_client"), capture_statements() as statements:
            await Author.all()
    assert len(statements) == 1
    assert any(statements[0] in record.getMessage() for record in caplog.records)
