"""Cache models ask for the values that columns have, whatever they are written with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from sanicbase import InvalidValue
from tests.cache.models import AuthorRC, BlobRC, SessionRC, TallyRC
from tests.cache.opening import library
from tests.cache.tickets import Ticket, TicketRC
from tests.db.library import Tally
from tests.db.opening import STORES, Store


@asynccontextmanager
async def library_on(request: pytest.FixtureRequest, models: str, redis_url: str) -> AsyncIterator[None]:
    kind = request.param
    servers = {"postgres": "postgres_url", "aiomysql": "mysql_url", "asyncmy": "mysql_url"}
    store = Store(kind, request.getfixturevalue(servers.get(kind, "db_url")))
    async with library(store.url, redis_url, models=models, DB_DRIVER=store.driver, DB_ACQUIRE_TIMEOUT=60):
        yield


@pytest.fixture(params=STORES)
async def tickets(request: pytest.FixtureRequest, db_url: str, redis_url: str) -> AsyncIterator[None]:
    async with library_on(request, "tests.cache.tickets", redis_url):
        yield


@pytest.fixture(params=STORES)
async def tallies(request: pytest.FixtureRequest, db_url: str, redis_url: str) -> AsyncIterator[None]:
    async with library_on(request, "tests.db.library", redis_url):
        yield


async def test_upserts_at_once_leave_no_older_entry(tallies: None) -> None:
    async def written(name: str, n: int) -> None:
        await Tally.upsert({"name": name, "n": n}, on=["name"])
        if name != "one":
            assert await TallyRC.get(name) == TallyRC(name=name, n=n)

    for turn in range(2):
        await asyncio.gather(*(written(f"a{n:02}", turn) for n in range(50)), *(written("one", n) for n in range(100)))
        row = await Tally.get(name="one")
        assert await TallyRC.get("one") == TallyRC(name="one", n=row.n)


@pytest.mark.parametrize("given", [str, lambda u: str(u).upper(), lambda u: u.hex], ids=["text", "upper", "hex"])
async def test_an_assigned_text_of_a_uuid_hides_no_row(tickets: None, given: Callable[[UUID], str]) -> None:
    old, new = uuid4(), uuid4()
    row = await Ticket.create(code=old, price=1)
    assert await TicketRC.get_by(code=new) is None
    row.code = given(new)  # type: ignore[assignment]
    row.price = "778.50"  # type: ignore[assignment]
    await row.save()
    ticket = await TicketRC.get_by(code=new)
    assert ticket == await TicketRC.get_by(code=str(new)) == await TicketRC.get(row.id)
    assert ticket is not None
    assert (ticket.code, ticket.price) == (new, Decimal("778.50"))
    assert await TicketRC.get_by(price=Decimal("778.5")) == await TicketRC.get_by(price="778.5") == ticket
    assert await TicketRC.get_by(code=old) is None


async def test_flags_and_floats_are_no_keys(shelves: None) -> None:
    ann = await AuthorRC.create(name="ann")
    session = await SessionRC.create(user_id=1, device="d")
    for wrong in (True, 1.0, 1.5):
        assert await AuthorRC.get(wrong) is None  # type: ignore[arg-type]
        assert await AuthorRC.update(wrong, name="x") is None  # type: ignore[arg-type]
        assert await AuthorRC.delete(wrong) is False  # type: ignore[arg-type]
        assert await SessionRC.get((wrong, "d")) is None  # type: ignore[arg-type]
        assert await SessionRC.delete((wrong, "d")) is False  # type: ignore[arg-type]
        assert await BlobRC.get(wrong) is None  # type: ignore[arg-type]
    assert ann.id == 1
    assert await AuthorRC.get_many([1, "1"]) == [ann, ann]
    assert await SessionRC.get(("1", "d")) == session


async def test_a_key_is_not_changed(shelves: None) -> None:
    ann = await AuthorRC.create(name="ann")
    with pytest.raises(InvalidValue, match="'id' is the key of AuthorRC, which cannot be changed"):
        await AuthorRC.update(ann.id, id=ann.id + 1, name="bea")
    with pytest.raises(InvalidValue, match="'pk' is the key of AuthorRC"):
        await AuthorRC.update(ann.id, pk=ann.id + 1)
    assert await AuthorRC.get(ann.id) == ann
    assert await AuthorRC.update(ann.id, id=str(ann.id), name="cleo") == AuthorRC(id=ann.id, name="cleo")


async def test_a_key_in_redis_alone_is_not_changed(shelves: None) -> None:
    session = await SessionRC.create(user_id=1, device="d")
    for change in ({"user_id": 2}, {"device": "e"}):
        with pytest.raises(InvalidValue, match=f"'{next(iter(change))}' is the key of SessionRC"):
            await SessionRC.update((1, "d"), visits=5, **change)
    assert await SessionRC.get_many([(1, "d"), (2, "d"), (1, "e")]) == [session, None, None]
    changed = await SessionRC.update((1, "d"), user_id=1, device="d", visits=5)
    assert changed is not None
    assert changed.visits == 5
