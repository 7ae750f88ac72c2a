"""Robyn with asyncpg and redis-py."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import orjson
from redis.asyncio import Redis
from robyn import Headers, Request, Response, Robyn, WebSocketAdapter, WebSocketDisconnect

from queries import COUNT, CREATE, FIRST_100, PAGE, ROW, UPDATE
from shapes import Item, NoteIn, Order, StockIn

app = Robyn(__file__)
redis = Redis.from_url(os.environ["REDIS_URL"])
JSON = Headers({"Content-Type": "application/json"})


class Stores:
    pool: asyncpg.Pool


@app.startup_handler
async def connect() -> None:
    Stores.pool = await asyncpg.create_pool(os.environ["DB_URL"], min_size=1, max_size=10)


@app.shutdown_handler
async def disconnect() -> None:
    await Stores.pool.close()
    await redis.aclose()


@app.get("/plaintext")
async def plaintext() -> str:
    return "Hello, World!"


@app.get("/json")
async def message() -> dict[str, Any]:
    return {"message": "Hello, World!"}


@app.post("/orders")
async def order(body: Order) -> Order:
    return body


@app.get("/items/:key")
async def row(request: Request) -> dict[str, Any]:
    return dict(await Stores.pool.fetchrow(ROW, int(request.path_params["key"])))


@app.get("/twenty/:first")
async def twenty(request: Request) -> list[dict[str, Any]]:
    first = int(request.path_params["first"])
    async with Stores.pool.acquire() as connection:
        statement = await connection.prepare(ROW)
        return [dict(await statement.fetchrow(key)) for key in range(first, first + 20)]


@app.get("/dictionaries")
async def dictionaries() -> list[dict[str, Any]]:
    return [dict(row) for row in await Stores.pool.fetch(FIRST_100)]


@app.get("/models")
async def models() -> list[Item]:
    return [Item(**row) for row in await Stores.pool.fetch(FIRST_100)]


@app.get("/pages")
async def page(request: Request) -> dict[str, Any]:
    skipped = (int(request.query_params.get("page", "1")) - 1) * 20
    async with Stores.pool.acquire() as connection:
        total = await connection.fetchval(COUNT)
        rows = await connection.fetch(PAGE, skipped)
    return {"items": [dict(row) for row in rows], "total": total}


@app.post("/notes")
async def create(body: NoteIn) -> Response:
    row = await Stores.pool.fetchrow(CREATE, body.title, body.author, body.body)
    return Response(201, JSON, orjson.dumps(dict(row)))


@app.get("/cached/:key")
async def cached(request: Request) -> dict[str, Any]:
    key = int(request.path_params["key"])
    stored = await redis.get(f"item:{key}")
    if stored is not None:
        return orjson.loads(stored)
    item = dict(await Stores.pool.fetchrow(ROW, key))
    await redis.set(f"item:{key}", orjson.dumps(item), ex=3600)
    return item


@app.patch("/cached/:key")
async def update(request: Request, body: StockIn) -> dict[str, Any]:
    key = int(request.path_params["key"])
    row = await Stores.pool.fetchrow(UPDATE, key, body.stock)
    await redis.delete(f"item:{key}")
    return dict(row)


@app.websocket("/echo")
async def echo(websocket: WebSocketAdapter) -> None:
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        return


@app.websocket("/room")
async def room(websocket: WebSocketAdapter) -> None:
    try:
        while True:
            await websocket.broadcast(await websocket.receive_text())
    except WebSocketDisconnect:
        return


def view(number: int) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    async def handler(request: Request) -> dict[str, Any]:
        return {"view": number, "item_id": int(request.path_params["item_id"])}

    return handler


for number in range(int(os.environ["VIEWS"])):
    app.get(f"/views/{number}/:item_id")(view(number))

if __name__ == "__main__":
    app.start(port=int(os.environ["PORT"]))
