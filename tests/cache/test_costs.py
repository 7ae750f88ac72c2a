"""What the main scenarios cost in round trips to PostgreSQL, in commands to Redis, and in calls of Python functions: a
guard that times nothing.

A round trip is a write to the socket of the database. Each statement is one, because asyncpg sends it with its values
in one write once it is prepared. The tables have cache models, so a write is a transaction: BEGIN, a locking SELECT of
the old row, the write, COMMIT. A change by the cache model reads the row before and after as well.

A call is that of a Python function of sanicbase, or of the libraries below it, and each step of a coroutine of theirs.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import selector_events
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest
import redis
import tortoise
from pydantic import BaseModel
from tortoise.transactions import in_transaction

import sanicbase
from sanicbase import PageQuery, fetch_models
from tests.cache.models import AuthorRC
from tests.cache.opening import commands, library
from tests.db.library import Author, Leaflet

Act = Callable[[], Awaitable[Any]]


class LeafletOut(BaseModel):
    id: int


class CountedQuery(PageQuery):
    class Meta:
        source = Leaflet
        orders = ("id",)
        default_order = "id"


class EstimatedQuery(PageQuery):
    class Meta:
        source = Leaflet
        orders = ("id",)
        default_order = "id"
        total = ("estimate", "none")


async def twenty() -> None:
    await asyncio.gather(*map(Leaflet.get_by_pk, range(1, 21)))


async def twenty_in_a_transaction() -> None:
    async with in_transaction():
        await twenty()


ACTS: dict[str, tuple[int, Act]] = {
    "row by key": (1, lambda: Leaflet.get_by_pk(1)),
    "row by get": (1, lambda: Leaflet.get(id=1)),
    "key that no row can have": (0, lambda: Leaflet.get_by_pk("x")),
    "twenty rows by key": (1, twenty),
    "twenty rows by key in a transaction": (22, twenty_in_a_transaction),
    "list": (1, lambda: Leaflet.all().order_by("id").limit(100)),
    "list of dictionaries": (1, lambda: Leaflet.all().order_by("id").limit(100).values()),
    "list of models": (1, lambda: fetch_models(Leaflet.all().order_by("id").limit(100), LeafletOut)),
    "page": (2, lambda: CountedQuery.parse({}).fetch(Leaflet.all())),
    "last page": (1, lambda: CountedQuery.parse({"page": ["2"]}).fetch(Leaflet.all())),
    "page with an estimate": (2, lambda: EstimatedQuery.parse({}).fetch(Leaflet.all())),
    "page without a total": (1, lambda: EstimatedQuery.parse({"total": ["none"]}).fetch(Leaflet.all())),
    "create": (3, lambda: Leaflet.create()),
    "update by key": (4, lambda: Leaflet.update_by_pk(1, version=1)),
    "cached row": (0, lambda: AuthorRC.get(1)),
    "twenty cached rows": (0, lambda: AuthorRC.get_many(range(1, 21))),
    "update of a cached row": (6, lambda: AuthorRC.update(1, name="Ann")),
}
COMMANDS: dict[str, list[str]] = {
    "row by key": [],
    "cached row": ["MGET"],
    "twenty cached rows": ["MGET"],
    "update of a cached row": ["CLOSE", "OPEN", "MGET", "LEASE", "FILL"],
}


@pytest.fixture(autouse=True)
async def rows(postgres_url: str, redis_url: str) -> AsyncIterator[None]:
    async with library(postgres_url, redis_url, DB_POOL_SIZE=1):
        await Author.bulk_create([Author(id=key, name=f"Ann {key}") for key in range(1, 21)])
        await Leaflet.bulk_create([Leaflet() for _ in range(30)])
        yield


@contextmanager
def round_trips(url: str) -> Iterator[list[int]]:
    """The sizes of what is sent to the server in the block."""
    port, sent = urlsplit(url).port, []
    transport: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
    write = transport.write

    def count(self: Any, data: Any) -> None:
        if self.get_extra_info("peername")[1] == port:
            sent.append(len(data))
        write(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "write", count)
        yield sent


@pytest.mark.parametrize("name", ACTS)
async def test_round_trips_to_the_database(name: str, postgres_url: str) -> None:
    expected, act = ACTS[name]
    for _ in range(2):  # statements are prepared, entries are stored
        await act()
    with round_trips(postgres_url) as sent:
        await act()
    assert len(sent) == expected


@pytest.mark.parametrize("name", COMMANDS)
async def test_commands_to_redis(name: str, redis_url: str) -> None:
    _, act = ACTS[name]
    for _ in range(2):
        await act()
    async with commands(redis_url) as sent:
        await act()
    assert sent == COMMANDS[name]


PACKAGES = tuple(str(Path(module.__file__ or "").parent) for module in (sanicbase, tortoise, asyncpg, redis))
MARGIN = 1.1  # above what was counted with Python 3.11; later versions call fewer
CALLS: dict[str, int] = {
    "row by key": 63,
    "row by get": 67,
    "twenty rows by key": 445,
    "list": 134,
    "list of dictionaries": 99,
    "list of models": 107,
    "create": 797,
    "update by key": 1157,
    "cached row": 37,
    "twenty cached rows": 65,
    "update of a cached row": 1455,
}


@contextmanager
def python_calls() -> Iterator[list[str]]:
    """The functions that this thread calls in the block."""
    called: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGES):
            called.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)


async def calls_of(act: Act) -> int:
    with python_calls() as called:
        await act()
    return len(called)


async def test_calls_of_functions() -> None:
    counts: dict[str, int] = {}
    for name in CALLS:
        _, act = ACTS[name]
        for _ in range(3):
            await act()
        counts[name] = min([await calls_of(act) for _ in range(3)])  # timers of the loop may call others meanwhile
    assert {name: count for name, count in counts.items() if count > CALLS[name] * MARGIN} == {}
