"""Bare Sanic with Tortoise and redis-py, as their documentation shows them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from pydantic import TypeAdapter
from redis.asyncio import Redis
from sanic import HTTPResponse, Request, Sanic
from sanic.response import json, raw, text
from tortoise import Tortoise

from shapes import Item as ItemOut
from shapes import Note as NoteOut
from shapes import NoteIn, Order, StockIn
from tables import Item, Note

app = Sanic("bench", dumps=orjson.dumps)
items_adapter = TypeAdapter(list[ItemOut])


@app.before_server_start
async def connect(app: Sanic[Any, Any]) -> None:
    url = f"{os.environ['DB_URL']}?minsize=1&maxsize=10".replace("postgres://", "asyncpg://")
    await Tortoise.init(db_url=url, modules={"models": ["tables"]}, _enable_global_fallback=True)
    app.ctx.redis = Redis.from_url(os.environ["REDIS_URL"])


@app.after_server_stop
async def disconnect(app: Sanic[Any, Any]) -> None:
    await Tortoise.close_connections()
    await app.ctx.redis.aclose()


@app.get("/plaintext")
async def plaintext(request: Request) -> HTTPResponse:
    return text("Hello, World!")


@app.get("/json")
async def message(request: Request) -> HTTPResponse:
    return json({"message": "Hello, World!"})


@app.post("/orders")
async def order(request: Request) -> HTTPResponse:
    order = Order.model_validate_json(request.body)
    return raw(order.model_dump_json().encode(), content_type="application/json")


@app.get("/items/<key:int>")
async def row(request: Request, key: int) -> HTTPResponse:
    return answer(ItemOut.model_validate(await Item.get(id=key)))


@app.get("/twenty/<first:int>")
async def twenty(request: Request, first: int) -> HTTPResponse:
    items = await asyncio.gather(*(Item.get(id=key) for key in range(first, first + 20)))
    return answer_list(items)


@app.get("/dictionaries")
async def dictionaries(request: Request) -> HTTPResponse:
    return json(await Item.all().order_by("id").limit(100).values())


@app.get("/models")
async def models(request: Request) -> HTTPResponse:
    return answer_list(await Item.all().order_by("id").limit(100))


@app.get("/pages")
async def page(request: Request) -> HTTPResponse:
    skipped = (int(request.args["page"][0]) - 1) * 20
    total = await Item.all().count()
    return json({"items": await Item.all().order_by("id").offset(skipped).limit(20).values(), "total": total})


@app.post("/notes")
async def create(request: Request) -> HTTPResponse:
    note = await Note.create(**NoteIn.model_validate_json(request.body).model_dump())
    return answer(NoteOut.model_validate(note), status=201)


@app.get("/cached/<key:int>")
async def cached(request: Request, key: int) -> HTTPResponse:
    stored = await request.app.ctx.redis.get(f"item:{key}")
    if stored is not None:
        return json(orjson.loads(stored))
    item = ItemOut.model_validate(await Item.get(id=key))
    await request.app.ctx.redis.set(f"item:{key}", item.model_dump_json(), ex=3600)
    return answer(item)


@app.patch("/cached/<key:int>")
async def update(request: Request, key: int) -> HTTPResponse:
    item = await Item.get(id=key)
    item.stock = StockIn.model_validate_json(request.body).stock
    await item.save(update_fields=["stock"])
    await request.app.ctx.redis.delete(f"item:{key}")
    return answer(ItemOut.model_validate(item))


def answer(model: ItemOut | NoteOut, status: int = 200) -> HTTPResponse:
    return raw(model.model_dump_json().encode(), status=status, content_type="application/json")


def answer_list(items: list[Item]) -> HTTPResponse:
    models = items_adapter.validate_python(items, from_attributes=True)
    return raw(items_adapter.dump_json(models), content_type="application/json")


def view(number: int) -> Callable[[Request, int], Awaitable[HTTPResponse]]:
    async def handler(request: Request, item_id: int) -> HTTPResponse:
        return json({"view": number, "item_id": item_id})

    return handler


for number in range(int(os.environ["VIEWS"])):
    app.add_route(view(number), f"/views/{number}/<item_id:int>", name=f"view_{number}")

if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), single_process=True)
