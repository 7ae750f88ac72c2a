"""BlackSheep with asyncpg and redis-py, and orjson as its documentation proposes."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import orjson
from blacksheep import (
    Application,
    Content,
    FromJSON,
    Response,
    WebSocket,
    WebSocketDisconnectError,
    get,
    json,
    patch,
    post,
    text,
    ws,
)
from blacksheep.settings.json import json_settings
from pydantic import BaseModel, TypeAdapter
from redis.asyncio import Redis

from queries import COUNT, CREATE, FIRST_100, PAGE, ROW, UPDATE
from shapes import Item, NoteIn, Order, StockIn


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


json_settings.use(loads=orjson.loads, dumps=dumps)
app = Application()
redis = Redis.from_url(os.environ["REDIS_URL"])
items_adapter = TypeAdapter(list[Item])
members: set[WebSocket] = set()


class Stores:
    pool: asyncpg.Pool


@app.lifespan
async def pool(app: Application) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DB_URL"], min_size=1, max_size=10) as pool:
        Stores.pool = pool
        yield
    await redis.aclose()


@get("/plaintext")
async def plaintext() -> Response:
    return text("Hello, World!")


@get("/json")
async def message() -> Response:
    return json({"message": "Hello, World!"})


@post("/orders")
async def order(data: FromJSON[Order]) -> Response:
    return model(data.value)


@get("/items/{int:key}")
async def row(key: int) -> Response:
    return json(dict(await Stores.pool.fetchrow(ROW, key)))


@get("/twenty/{int:first}")
async def twenty(first: int) -> Response:
    async with Stores.pool.acquire() as connection:
        statement = await connection.prepare(ROW)
        return json([dict(await statement.fetchrow(key)) for key in range(first, first + 20)])


@get("/dictionaries")
async def dictionaries() -> Response:
    return json([dict(row) for row in await Stores.pool.fetch(FIRST_100)])


@get("/models")
async def models() -> Response:
    items = [Item(**row) for row in await Stores.pool.fetch(FIRST_100)]
    return Response(200, content=Content(b"application/json", items_adapter.dump_json(items)))


@get("/pages")
async def page(page: int) -> Response:
    async with Stores.pool.acquire() as connection:
        total = await connection.fetchval(COUNT)
        rows = await connection.fetch(PAGE, (page - 1) * 20)
    return json({"items": [dict(row) for row in rows], "total": total})


@post("/notes")
async def create(data: FromJSON[NoteIn]) -> Response:
    note = data.value
    return json(dict(await Stores.pool.fetchrow(CREATE, note.title, note.author, note.body)), 201)


@get("/cached/{int:key}")
async def cached(key: int) -> Response:
    stored = await redis.get(f"item:{key}")
    if stored is not None:
        return json(orjson.loads(stored))
    item = dict(await Stores.pool.fetchrow(ROW, key))
    await redis.set(f"item:{key}", orjson.dumps(item), ex=3600)
    return json(item)


@patch("/cached/{int:key}")
async def update(key: int, data: FromJSON[StockIn]) -> Response:
    row = await Stores.pool.fetchrow(UPDATE, key, data.value.stock)
    await redis.delete(f"item:{key}")
    return json(dict(row))


@ws("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        return


@ws("/room")
async def room(websocket: WebSocket) -> None:
    await websocket.accept()
    members.add(websocket)
    try:
        while True:
            message = await websocket.receive_text()
            for member in list(members):
                await member.send_text(message)
    except WebSocketDisconnectError:
        return
    finally:
        members.discard(websocket)


def model(answer: BaseModel) -> Response:
    return Response(200, content=Content(b"application/json", answer.model_dump_json().encode()))


def view(number: int) -> Callable[[int], Awaitable[Response]]:
    async def handler(item_id: int) -> Response:
        return json({"view": number, "item_id": item_id})

    return handler


for number in range(int(os.environ["VIEWS"])):
    get(f"/views/{number}/{{int:item_id}}")(view(number))
