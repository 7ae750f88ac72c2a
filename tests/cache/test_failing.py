"""One key that cannot be loaded: its readers are told so, and nobody else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from sanicbase import DatabaseError, get_redis, transaction
from tests.cache.models import AuthorRC, BlobRC, BytesRC, SmallTallyRC
from tests.cache.opening import library, past_the_model
from tests.db.library import Author, Tally


@pytest.fixture(params=["sqlite", "postgres", "aiomysql"])
async def anywhere(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[None]:
    """The library, open on each database."""
    names = {"sqlite": "db_url", "postgres": "postgres_url", "aiomysql": "mysql_url"}
    async with library(request.getfixturevalue(names[request.param]), redis_url):
        yield


async def no_lease_is_left() -> bool:
    return not await get_redis().keys("library:rc:*:l:*")


@pytest.mark.usefixtures("anywhere")
async def test_a_row_that_the_class_refuses_fails_its_own_readers_only() -> None:
    await Tally.bulk_create([Tally(name="good", n=1), Tally(name="bad", n=100)])
    for _ in range(2):
        good, bad, missing = await asyncio.gather(
            SmallTallyRC.get("good"), SmallTallyRC.get("bad"), SmallTallyRC.get("none"), return_exceptions=True
        )
        assert good == SmallTallyRC(name="good", n=1)
        assert isinstance(bad, ValidationError)
        assert missing is None
    assert await no_lease_is_left()
    assert (await SmallTallyRC.stats()).waits == 0
    async with transaction():
        assert await SmallTallyRC.get("good") == good
        with pytest.raises(ValidationError):
            await SmallTallyRC.get("bad")
    await Tally.filter(name="bad").update(n=2)
    assert await SmallTallyRC.get_many(["good", "bad"]) == [good, SmallTallyRC(name="bad", n=2)]


async def test_a_row_that_is_not_utf8_fails_its_own_readers_only(shelves: None) -> None:
    await Author.create(id=1, name="ann")
    await past_the_model("INSERT INTO author (id, name) VALUES (2, CAST(x'ff41' AS TEXT))")
    for _ in range(2):
        good, bad = await asyncio.gather(AuthorRC.get(1), AuthorRC.get(2), return_exceptions=True)
        assert good == AuthorRC(id=1, name="ann")
        assert isinstance(bad, DatabaseError | UnicodeDecodeError)
    assert await no_lease_is_left()


async def test_a_load_that_raises_for_one_key_answers_the_others(shelves: None) -> None:
    good, bad = await asyncio.gather(BlobRC.get(3), BlobRC.get(-1), return_exceptions=True)
    assert good == BlobRC(id=3, text="xxx")
    assert isinstance(bad, ArithmeticError)
    assert await no_lease_is_left()


async def test_an_unserializable_value_is_returned_and_keeps_no_lease(shelves: None) -> None:
    for _ in range(2):
        assert await BytesRC.get_many([65, 255]) == [BytesRC(id=65, raw=b"A"), BytesRC(id=255, raw=b"\xff")]
    assert await no_lease_is_left()
    stats = await BytesRC.stats()
    assert (stats.waits, stats.lossy) == (0, 1)
