"""Litestar with msgspec, and SQLAlchemy's asyncio extension, as their documentation shows them."""

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, WebSocket, get, patch, post, websocket
from litestar.di import Provide
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct
from redis.asyncio import Redis
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mapped import Item, Note, engine, new_session

redis = Redis.from_url(os.environ["REDIS_URL"])
members: set[WebSocket[Any, Any, Any]] = set()


class Order(Struct):
    customer: Annotated[str, Meta(min_length=1, max_length=80)]
    email: Annotated[str, Meta(pattern=r"^[^@ ]+@[^@ ]+$")]
    street: Annotated[str, Meta(min_length=1, max_length=80)]
    city: Annotated[str, Meta(min_length=1, max_length=80)]
    postcode: Annotated[str, Meta(pattern=r"^[0-9]{5}$")]
    country: Annotated[str, Meta(min_length=2, max_length=2)]
    sku: Annotated[str, Meta(min_length=1, max_length=40)]
    quantity: Annotated[int, Meta(ge=1, le=1000)]
    price: Annotated[float, Meta(ge=0)]
    express: bool


class ItemOut(Struct):
    id: int
    name: str
    category: str
    description: str
    price: int
    stock: int
    active: bool
    created_at: datetime


class ItemPage(Struct):
    items: list[ItemOut]
    total: int


class NoteIn(Struct):
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    author: Annotated[str, Meta(min_length=1, max_length=40)]
    body: str


class NoteOut(NoteIn):
    id: int


class StockIn(Struct):
    stock: Annotated[int, Meta(ge=0)]


class ViewAnswer(Struct):
    view: int
    item_id: int


def item_out(item: Item) -> ItemOut:
    return msgspec.convert(item, ItemOut, from_attributes=True)


async def session() -> AsyncIterator[AsyncSession]:
    async with new_session() as opened:
        yield opened


@get("/plaintext", media_type=MediaType.TEXT)
async def plaintext() -> str:
    return "Hello, World!"


@get("/json")
async def message() -> dict[str, str]:
    return {"message": "Hello, World!"}


@post("/orders", status_code=200)
async def order(data: Order) -> Order:
    return data


@get("/items/{key:int}")
async def row(key: int, session: AsyncSession) -> ItemOut:
    return item_out(await session.get_one(Item, key))


@get("/twenty/{first:int}")
async def twenty(first: int, session: AsyncSession) -> list[ItemOut]:
    return [item_out(await session.get_one(Item, key)) for key in range(first, first + 20)]


@get("/dictionaries")
async def dictionaries(session: AsyncSession) -> list[dict[str, Any]]:
    rows = await session.execute(select(*Item.__table__.columns).order_by(Item.id).limit(100))
    return [dict(row) for row in rows.mappings()]


@get("/models")
async def models(session: AsyncSession) -> list[ItemOut]:
    items = await session.scalars(select(Item).order_by(Item.id).limit(100))
    return [item_out(item) for item in items]


@get("/pages")
async def page(page: int, session: AsyncSession) -> ItemPage:
    total = await session.scalar(select(func.count()).select_from(Item))
    items = await session.scalars(select(Item).order_by(Item.id).offset((page - 1) * 20).limit(20))
    return ItemPage(items=[item_out(item) for item in items], total=total or 0)


@post("/notes")
async def create(data: NoteIn, session: AsyncSession) -> NoteOut:
    note = Note(title=data.title, author=data.author, body=data.body)
    session.add(note)
    await session.commit()
    return msgspec.convert(note, NoteOut, from_attributes=True)


@get("/cached/{key:int}")
async def cached(key: int, session: AsyncSession) -> ItemOut:
    stored = await redis.get(f"item:{key}")
    if stored is not None:
        return msgspec.json.decode(stored, type=ItemOut)
    item = item_out(await session.get_one(Item, key))
    await redis.set(f"item:{key}", msgspec.json.encode(item), ex=3600)
    return item


@patch("/cached/{key:int}")
async def update(key: int, data: StockIn, session: AsyncSession) -> ItemOut:
    item = await session.get_one(Item, key)
    item.stock = data.stock
    await session.commit()
    await redis.delete(f"item:{key}")
    return item_out(item)


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


@websocket("/room")
async def room(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    members.add(socket)
    try:
        while True:
            message = await socket.receive_text()
            for member in list(members):
                await member.send_text(message)
    except WebSocketDisconnect:
        return
    finally:
        members.discard(socket)


def view(number: int) -> HTTPRouteHandler:
    @get(f"/views/{number}/{{item_id:int}}", name=f"view_{number}")
    async def handler(item_id: int) -> ViewAnswer:
        return ViewAnswer(view=number, item_id=item_id)

    return handler


app = Litestar(
    [
        *(plaintext, message, order, row, twenty, dictionaries, models, page, create, cached, update, echo, room),
        *(view(number) for number in range(int(os.environ["VIEWS"]))),
    ],
    dependencies={"session": Provide(session)},
    on_shutdown=[engine.dispose, redis.aclose],
)
