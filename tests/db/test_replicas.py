"""A primary and its replica as two SQLite files that say where they are, so that every answer tells who gave it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aerich.models import Aerich
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, text
from tortoise.connection import get_connection
from tortoise.context import get_current_context
from tortoise.expressions import Subquery
from tortoise.router import router
from tortoise.transactions import in_transaction
from websockets.asyncio.client import connect

from sanicbase import Timer, WSView, create_app, use_primary
from sanicbase.db import Database, spawn, transaction
from sanicbase.db.routing import start_scope
from sanicbase.errors import ResourceError
from sanicbase.jobs.executor import _call
from sanicbase.jobs.schedule import EPOCH
from sanicbase.jobs.timer import Tick
from sanicbase.lifespan import lifespan
from sanicbase.testing import client
from tests.cache.models import AuthorRC
from tests.db.library import Author, Book, Tally
from tests.db.opening import LibraryConfig, Store, opened

Do = Callable[[], Awaitable[Any]]

WHERE = "UPDATE author SET name = '{0}' WHERE id = 1; UPDATE book SET title = '{0}'; UPDATE tally SET name = '{0}'"


@pytest.fixture
async def files(tmp_path: Path) -> tuple[str, str]:
    """The URLs of a primary and of a replica, whose rows are named after it."""
    primary, replica = tmp_path / "primary.sqlite3", tmp_path / "replica.sqlite3"
    async with opened(Store("sqlite", f"sqlite://{primary}"), "tests.db.library"):
        author = await Author.create(name="")
        await Book.create(slug="a", author=author)
        await Tally.create(name="", n=1)
    with closing(sqlite3.connect(primary)) as one, closing(sqlite3.connect(replica)) as other:
        one.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        one.backup(other)
        one.executescript(WHERE.format("primary"))
        other.executescript(WHERE.format("replica"))
    return f"sqlite://{primary}", f"sqlite://{replica}"


@pytest.fixture
async def database(files: tuple[str, str]) -> AsyncIterator[Database]:
    """Both of them open, and nothing written yet."""
    primary, replica = files
    store = Store("sqlite", primary)
    async with opened(store, "tests.db.library", DB_REPLICAS={"default": [replica]}) as database:
        start_scope()
        yield database


async def where() -> str:
    """Who answers a plain select now."""
    return (await Author.get(id=1)).name


async def _loaded() -> str:
    (author,) = await Author.all().prefetch_related("books")
    return author.books[0].title


async def _fetched() -> str:
    author = await Author.get(id=1)
    await author.fetch_related("books")
    return author.books[0].title


async def _refreshed() -> str:
    author = Author(id=1, name="?")
    author._saved_in_db = True
    await author.refresh_from_db()
    return author.name


async def _related() -> str:
    books = await (await Author.get(id=1)).books
    return books[0].title


async def _parent() -> str:
    book: Any = await Book.get(slug="a")  # whose `author` awaits to one
    return str((await book.author).name)


PLAIN: dict[str, Do] = {
    "get": where,
    "get_by_pk": lambda: Author.get_by_pk(1),
    "get_or_none": lambda: Author.get_or_none(id=1),
    "first": lambda: Author.first(),
    "last": lambda: Author.all().order_by("id").last(),
    "filter": lambda: Author.filter(id=1),
    "in_bulk": lambda: Author.in_bulk([1], "id"),
    "values": lambda: Author.all().values("name"),
    "values_list": lambda: Author.all().values_list("name", flat=True),
    "annotated": lambda: Author.all().group_by("name").values("name"),
    "select_related": lambda: Book.all().select_related("author").values("author__name"),
    "subquery": lambda: Author.filter(id=Subquery(Book.all().limit(1).values("author_id"))),
    "prefetch": _loaded,
    "fetch_related": _fetched,
    "refresh": _refreshed,
    "relation": _related,
    "parent": _parent,
    "union": lambda: Author.filter(id=1).union(Author.filter(id=2)),
}
COUNTED: dict[str, Do] = {
    "count": lambda: Author.filter(name="replica").count(),
    "exists": lambda: Author.filter(name="replica").exists(),
    "exists of the model": lambda: Author.exists(name="replica"),
    "contains": lambda: Author.filter(name="replica").contains(Author(id=1)),
}
PINNED: dict[str, Do] = {
    "raw": lambda: Author.raw("SELECT * FROM author"),
    "raw of a queryset": lambda: Author.all().raw("SELECT * FROM author"),
    "using_db": lambda: Author.all().using_db(get_connection("default")),
    "get_or_create": lambda: Tally.get_or_create(n=1),
    "update_or_create": lambda: Tally.update_or_create(n=1, defaults={}),
}
WRITES: dict[str, Do] = {
    "create": lambda: Author.create(name="new"),
    "save": lambda: Author(name="new").save(),
    "update": lambda: Author.filter(id=9).update(name="x"),
    "update of all": lambda: Author.all().update(name="x"),
    "update_by_pk": lambda: Author.update_by_pk(1, name="x"),
    "delete": lambda: Tally.all().delete(),
    "bulk_create": lambda: Author.bulk_create([Author(name="new")]),
    "bulk_update": lambda: Author.bulk_update([Author(id=1, name="x")], ["name"]),
    "upsert": lambda: Tally.upsert({"name": "new", "n": 1}, on=["name"]),
    "bulk_upsert": lambda: Tally.bulk_upsert([Tally(name="new")], on=["name"]),
    "get_or_create": lambda: Tally.get_or_create(name="new"),
    "update_or_create": lambda: Tally.update_or_create(name="new", defaults={"n": 3}),
    "relation": lambda: Author(id=1, name="").save(update_fields=["name"]),
    "raw": lambda: Author.raw("UPDATE author SET name = 'x' RETURNING *"),
    "raw of a queryset": lambda: Author.all().raw("UPDATE author SET name = 'x' RETURNING *"),
    "statement": lambda: get_connection("default").execute_query("UPDATE author SET name = 'x'"),
    "script": lambda: get_connection("default").execute_script("UPDATE author SET name = 'x';"),
    "using_db": lambda: Author.filter(id=1).using_db(get_connection("default")).update(name="x"),
}


@pytest.mark.parametrize("read", PLAIN.values(), ids=PLAIN)
@pytest.mark.usefixtures("database")
async def test_plain_selects_go_to_the_replica(read: Do) -> None:
    assert _name(await read()) == "replica"
    with use_primary():
        assert _name(await read()) == "primary"
    assert _name(await read()) == "replica"


@pytest.mark.parametrize("read", COUNTED.values(), ids=COUNTED)
@pytest.mark.usefixtures("database")
async def test_questions_go_to_the_replica(read: Do) -> None:
    assert await read()
    with use_primary():
        assert not await read()


@pytest.mark.parametrize("read", PINNED.values(), ids=PINNED)
@pytest.mark.usefixtures("database")
async def test_other_reads_go_to_the_primary(read: Do) -> None:
    assert _name(await read()) == "primary"


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_writes_go_to_the_primary_and_reads_follow(write: Do, database: Database, files: tuple[str, str]) -> None:
    before = _content(files[1])
    assert await where() == "replica"
    await write()
    assert await where() != "replica"
    assert _content(files[1]) == before
    start_scope()
    assert await where() == "replica"


@pytest.mark.usefixtures("database")
async def test_selects_by_hand_are_no_writes() -> None:
    await Author.raw("SELECT * FROM author")
    await get_connection("default").execute_query_dict("select 1")
    await Author.select_for_update().get(id=1)
    assert await where() == "replica"


@pytest.mark.usefixtures("database")
async def test_an_explicit_replica_goes_before_everything_but_writes_go_to_the_primary() -> None:
    replica = get_connection("default replica 1")
    async with transaction():
        assert (await Author.all().using_db(replica))[0].name == "replica"
    await Author.all().using_db(replica).update(name="changed")
    assert (await Author.all().using_db(replica))[0].name == "replica"
    assert await where() == "changed"


@pytest.mark.usefixtures("database")
async def test_a_queryset_is_not_bound_to_the_server_that_answered_first() -> None:
    authors = Author.all()
    assert _name(await authors) == "replica"
    await authors.update(name="changed")
    assert _name(await authors) == "changed"
    start_scope()
    authors.sql()
    await authors.update(name="again")
    assert await where() == "again"


@pytest.mark.parametrize("begin", [transaction, lambda: in_transaction("default"), in_transaction])
@pytest.mark.usefixtures("database")
async def test_a_transaction_reads_from_the_primary(begin: Callable[[], Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with begin():
            assert {await where(), *await asyncio.gather(where(), where())} == {"primary"}
            assert await Author.filter(name="primary").count() == 1
            async with begin():
                await get_connection("default").execute_query("UPDATE author SET name = 'changed'")
            assert await where() == "changed"
            raise ZeroDivisionError
    assert await where() == "primary"  # it had begun to write


@pytest.mark.usefixtures("database")
async def test_after_an_error_in_a_transaction_its_reads_do_not_go_elsewhere() -> None:
    async with transaction():
        with pytest.raises(Exception, match="UNIQUE"):
            await Tally.create(name="primary")
        assert await where() == "primary"


@pytest.mark.usefixtures("database")
async def test_a_write_in_a_task_is_known_to_the_whole_request() -> None:
    async def write() -> None:
        async with transaction():
            await Author.create(name="new")

    await asyncio.gather(asyncio.create_task(write()), asyncio.sleep(0))
    assert await where() == "primary"
    start_scope()
    await spawn(write_tally())
    assert await where() == "primary"


async def write_tally() -> None:
    await Tally.create(name="new")


@pytest.mark.usefixtures("database")
async def test_use_primary_reaches_the_tasks_of_its_block_only() -> None:
    with use_primary():
        assert set(await asyncio.gather(where(), where())) == {"primary"}
        with use_primary():
            pass
        assert await where() == "primary"
    assert set(await asyncio.gather(where(), where())) == {"replica"}


async def test_requests_on_one_connection_know_only_their_own_writes(redis_url: str, files: tuple[str, str]) -> None:
    http = Blueprint("http")

    @http.get("/")
    async def read(request: Request) -> HTTPResponse:
        return text(await where())

    @http.post("/")
    async def write(request: Request) -> HTTPResponse:
        before = await where()
        await asyncio.gather(asyncio.create_task(write_tally()))
        return text(f"{before} {await where()}")

    config = LibraryConfig(
        DB_URL=files[0], DB_REPLICAS={"default": [files[1]]}, REDIS_URL=redis_url, MODULES=["tests.db.library"]
    )
    async with client(create_app(config, http)) as browser:
        ports = set()
        for method, expected in (("GET", "replica"), ("POST", "replica primary"), ("GET", "replica")):
            response = await browser.request(method, "/")
            assert response.text == expected
            ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))
        assert len(ports) == 1
        assert (await browser.get("/readyz")).json()["status"] == "ready"


async def test_each_message_of_a_websocket_knows_only_its_own_writes(redis_url: str, files: tuple[str, str]) -> None:
    class WriterWS(WSView, public=True):
        async def on_message(self, message: str | bytes) -> None:
            if message == "write":
                await write_tally()
            await self.send(await where())

    ws = Blueprint("ws")
    WriterWS.attach(ws, "/ws")
    config = LibraryConfig(
        DB_URL=files[0], DB_REPLICAS={"default": [files[1]]}, REDIS_URL=redis_url, MODULES=["tests.db.library"]
    )
    async with (
        client(create_app(config, ws)) as http,
        connect(f"ws://127.0.0.1:{http.base_url.port}/ws") as browser,
    ):
        for message, expected in (("read", "replica"), ("write", "primary"), ("read", "replica")):
            await browser.send(message)
            assert await browser.recv() == expected


@pytest.mark.usefixtures("database")
async def test_each_run_of_a_timer_knows_only_its_own_writes() -> None:
    answers = []

    async def work() -> None:
        answers.append(await where())
        await Tally.all().update(n=2)
        answers.append(await where())

    timer = Timer(work, every=1)
    for _ in range(2):
        await _call(timer, Tick("work", EPOCH, 1))
    assert answers == ["replica", "primary"] * 2


async def test_a_cache_is_filled_from_the_primary(redis_url: str, files: tuple[str, str]) -> None:
    config = LibraryConfig(
        DB_URL=files[0], DB_REPLICAS={"default": [files[1]]}, REDIS_URL=redis_url, MODULES=["tests.db.library"]
    )
    async with lifespan(config):
        assert await where() == "replica"
        assert await AuthorRC.get(1) == await AuthorRC.get_by(name="primary") == AuthorRC(id=1, name="primary")


async def test_without_replicas_there_is_no_router(files: tuple[str, str]) -> None:
    async with opened(Store("sqlite", files[0]), "tests.db.library", DB_REPLICAS={"default": []}) as database:
        context = get_current_context()
        assert context is not None
        assert not context.routers
        assert not router._routers
        assert not database.replicas
        assert type(get_connection("default")).__module__ == "sanicbase.db.engine.sqlite"
        assert await where() == "primary"


@pytest.mark.usefixtures("database")
async def test_models_of_plain_tortoise_keep_to_the_primary() -> None:
    assert Author.all()._choose_db() is get_connection("default replica 1")
    assert Aerich.all()._choose_db() is get_connection("default")


@pytest.mark.usefixtures("database")
async def test_a_replica_is_no_further_database() -> None:
    context = get_current_context()
    assert context is not None
    assert list(context.connections.db_config) == ["default"]


async def test_a_replica_that_is_down_does_not_keep_a_service_from_starting(
    files: tuple[str, str], redis_url: str
) -> None:
    down = "sqlite:///proc/nowhere/replica.sqlite3"
    config = LibraryConfig(
        DB_URL=files[0], DB_REPLICAS={"default": [down, files[1]]}, REDIS_URL=redis_url, MODULES=["tests.db.library"]
    )
    async with lifespan(config) as resources:
        assert [await where() for _ in range(10)] == ["replica"] * 10
        replicas = next(resource for resource in resources if resource.name == "replicas of default")
        with pytest.raises(ResourceError, match="default replica 1"):
            await replicas.ping()
        assert not getattr(replicas, "critical", True)


def _name(result: Any) -> Any:
    """The name in what a read has returned, whatever its shape is."""
    while isinstance(result, list | tuple):
        result = result[0]
    if isinstance(result, dict):
        result = next(iter(result.values()))
    return result if isinstance(result, str) else result.name


def _content(url: str) -> list[Any]:
    with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as file:
        return [file.execute(f"SELECT * FROM {table}").fetchall() for table in ("author", "book", "tally")]
