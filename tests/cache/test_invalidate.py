"""Forgetting what SQL past the model has changed, in a transaction and outside of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase import get_redis, lifespan
from sanicbase.db import spawn, transaction
from tests.cache.cards import Card, shaped
from tests.db.opening import LibraryConfig


class Undone(Exception):
    pass


@pytest.fixture
async def cards(tmp_path: Path, postgres_url: str, redis_url: str) -> AsyncIterator[Any]:
    """The cache model, and one row of it, which is in Redis."""
    cls = shaped(noted=False)
    async with lifespan(LibraryConfig(DB_URL=postgres_url, REDIS_URL=redis_url, MODULES=["tests.cache.cards"])):
        await Tortoise.generate_schemas()
        await Card.create(id=1, slug="a", n=1)
        await cls.get(1)
        yield cls


async def past_the_model(n: int) -> None:
    await get_connection("default").execute_query(f"UPDATE card SET n = {n} WHERE id = 1")


async def forget(cards: Any, what: str) -> None:
    match what:
        case "key":
            await cards.invalidate(1)
        case "key and slug":
            await cards.invalidate(1, slug="a")
        case "all":
            await cards.invalidate_all()


@pytest.mark.parametrize("what", ["key", "key and slug", "all"])
async def test_inside_of_a_transaction_it_holds_from_the_commit_on(cards: Any, what: str) -> None:
    async with transaction():
        await past_the_model(2)
        await forget(cards, what)
        outside = await spawn(cards.get(1))  # who reads what was there before must not keep it
        assert outside.n == 1
    assert (await cards.get(1)).n == 2
    assert (await cards.get_by(slug="a")).n == 2


async def test_a_rollback_reopens_the_entry(cards: Any) -> None:
    with pytest.raises(Undone):
        async with transaction():
            await past_the_model(2)
            await cards.invalidate(1)
            raise Undone
    assert (await cards.get(1)).n == 1
    assert not await get_redis().keys("library:rc:CardRC:c:*")


async def test_a_refresh_inside_of_a_transaction_sees_it(cards: Any) -> None:
    async with transaction():
        await past_the_model(2)
        assert (await cards.refresh(1)).n == 2
        assert (await spawn(cards.get(1))).n == 1
