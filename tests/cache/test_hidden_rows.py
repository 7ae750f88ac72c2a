"""No text that a client asks for hides a row: a miss for one text is no miss for another."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import get_redis, lifespan
from sanicbase.cache.keys import encode_key
from tests.cache.cards import Card, shaped
from tests.db.opening import LibraryConfig

LONG = "中" * 11  # its text in Redis is a digest


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
async def cards(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Any]:
    kind = request.param
    url = f"sqlite://{request.getfixturevalue('tmp_path')}/cards.sqlite3"
    if kind != "sqlite":
        url = request.getfixturevalue(f"{kind}_url")
    cls = shaped(noted=False)
    async with lifespan(LibraryConfig(DB_URL=url, REDIS_URL=redis_url, MODULES=["tests.cache.cards"])):
        await Tortoise.generate_schemas()
        yield cls


def digest(text: str) -> str:
    return "~" + hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


async def texts_in_redis() -> list[str]:
    """What follows the last colon of each key, which is the text of a value."""
    return [name.decode().rpartition(":")[2] for name in [name async for name in get_redis().scan_iter()]]


async def test_the_digest_of_a_long_text_is_a_text_like_any_other(cards: Any) -> None:
    attacks = {encode_key((LONG,)), digest(LONG), digest(encode_key((LONG,))), "=" + digest(LONG)}
    assert encode_key((LONG,)).startswith("~")
    for attack in attacks:
        assert await cards.get_by(slug=attack) is None
    await Card.create(id=1, slug=LONG, n=1)
    for attack in attacks:
        assert await cards.get_by(slug=attack) is None
    for _ in range(2):
        assert (await cards.get_by(slug=LONG)).id == 1


async def test_a_row_whose_text_is_the_digest_of_another_is_not_that_other(cards: Any) -> None:
    await Card.create(id=1, slug=LONG, n=1)
    await Card.create(id=2, slug=encode_key((LONG,)), n=2)
    for _ in range(2):
        assert (await cards.get_by(slug=LONG)).id == 1
        assert (await cards.get_by(slug=encode_key((LONG,)))).id == 2
    await Card.filter(id=1).delete()
    assert await cards.get_by(slug=LONG) is None
    assert (await cards.get_by(slug=encode_key((LONG,)))).id == 2


async def test_no_text_of_a_key_in_redis_hides_the_row_of_that_key(cards: Any) -> None:
    await Card.create(id=1, slug=LONG, n=1)
    await cards.get_by(slug=LONG)
    for text in await texts_in_redis():
        if len(text) <= 50:
            assert await cards.get_by(slug=text) is None
    assert (await cards.get_by(slug=LONG)).id == 1
