"""Bare Sanic with hand-written asyncpg and redis-py: what everything else is compared with."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import orjson
from pydantic import TypeAdapter
from redis.asyncio import Redis
from sanic import HTTPResponse, Request, Sanic, Websocket
from sanic.response import json, raw, text

from queries import COUNT, CREATE, FIRST_100, PAGE, ROW, UPDATE
from shapes import Item, NoteIn, Order, StockIn

app = Sanic("bench", dumps=orjson.dumps)
items_adapter = TypeAdapter(list[Item])
members: set[Websocket] = set()


@app.before_server_start
async def connect(app: Sanic[Any, Any]) -> None:
    app.ctx.pool = await asyncpg.create_pool(os.environ["DB_URL"], min_size=1, max_size=10)
    app.ctx.redis = Redis.from_url(os.environ["REDIS_URL"])


@app.after_server_stop
async def disconnect(app: Sanic[Any, Any]) -> None:
    await app.ctx.pool.close()
    await app.ctx.redis.aclose()


@app.get("/plaintext")
async def plaintext(request: Request) -> HTTPResponse:
    return text("Hello, World!")


@app.get("/json")
async def message(request: Request) -> HTTPResponse:
    return json({"message": "Hello, World!"})


@app.post("/orders")
async def order(request: Request) -> HTTPResponse:
    return model(Order.model_validate_json(request.body))


@app.get("/items/<key:int>")
async def row(request: Request, key: int) -> HTTPResponse:
    return json(dict(await request.app.ctx.pool.fetchrow(ROW, key)))


@app.get("/twenty/<first:int>")
async def twenty(request: Request, first: int) -> HTTPResponse:
    async with request.app.ctx.pool.acquire() as connection:
        statement = await connection.prepare(ROW)
        return json([dict(await statement.fetchrow(key)) for key in range(first, first + 20)])


@app.get("/dictionaries")
async def dictionaries(request: Request) -> HTTPResponse:
    return json([dict(row) for row in await request.app.ctx.pool.fetch(FIRST_100)])


@app.get("/models")
async def models(request: Request) -> HTTPResponse:
    items = [Item(**row) for row in await request.app.ctx.pool.fetch(FIRST_100)]
    return raw(items_adapter.dump_json(items), content_type="application/json")


@app.get("/pages")
async def page(request: Request) -> HTTPResponse:
    async with request.app.ctx.pool.acquire() as connection:
        total = await connection.fetchval(COUNT)
        rows = await connection.fetch(PAGE, (int(request.args["page"][0]) - 1) * 20)
    return json({"items": [dict(row) for row in rows], "total": total})


@app.post("/notes")
async def create(request: Request) -> HTTPResponse:
    note = NoteIn.model_validate_json(request.body)
    row = await request.app.ctx.pool.fetchrow(CREATE, note.title, note.author, note.body)
    return json(dict(row), status=201)


@app.get("/cached/<key:int>")
async def cached(request: Request, key: int) -> HTTPResponse:
    stored = await request.app.ctx.redis.get(f"item:{key}")
    if stored is not None:
        return json(orjson.loads(stored))
    item = dict(await request.app.ctx.pool.fetchrow(ROW, key))
    await request.app.ctx.redis.set(f"item:{key}", orjson.dumps(item), ex=3600)
    return json(item)


@app.patch("/cached/<key:int>")
async def update(request: Request, key: int) -> HTTPResponse:
    change = StockIn.model_validate_json(request.body)
    row = await request.app.ctx.pool.fetchrow(UPDATE, key, change.stock)
    await request.app.ctx.redis.delete(f"item:{key}")
    return json(dict(row))


@app.websocket("/echo")
async def echo(request: Request, ws: Websocket) -> None:
    async for message in ws:
        await ws.send(message)


@app.websocket("/room")
async def room(request: Request, ws: Websocket) -> None:
    members.add(ws)
    try:
        async for message in ws:
            for member in list(members):
                await member.send(message)
    finally:
        members.discard(ws)


def model(answer: Order) -> HTTPResponse:
    return raw(answer.model_dump_json().encode(), content_type="application/json")


def view(number: int) -> Callable[[Request, int], Awaitable[HTTPResponse]]:
    async def handler(request: Request, item_id: int) -> HTTPResponse:
        return json({"view": number, "item_id": item_id})

    return handler


for number in range(int(os.environ["VIEWS"])):
    app.add_route(view(number), f"/views/{number}/<item_id:int>", name=f"view_{number}")

if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), single_process=True)
