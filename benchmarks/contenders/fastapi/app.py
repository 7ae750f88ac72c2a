"""FastAPI with SQLAlchemy's asyncio extension, as their documentation shows them."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse
from redis.asyncio import Redis
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mapped import Item, Note, engine, new_session
from shapes import Item as ItemOut
from shapes import ItemPage, NoteIn, Order, StockIn, ViewAnswer
from shapes import Note as NoteOut

redis = Redis.from_url(os.environ["REDIS_URL"])
members: set[WebSocket] = set()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()
    await redis.aclose()


async def session() -> AsyncIterator[AsyncSession]:
    async with new_session() as opened:
        yield opened


app = FastAPI(lifespan=lifespan)
Session = Annotated[AsyncSession, Depends(session)]


@app.get("/plaintext", response_class=PlainTextResponse)
async def plaintext() -> str:
    return "Hello, World!"


@app.get("/json")
async def message() -> dict[str, str]:
    return {"message": "Hello, World!"}


@app.post("/orders")
async def order(body: Order) -> Order:
    return body


@app.get("/items/{key}")
async def row(key: int, session: Session) -> ItemOut:
    return ItemOut.model_validate(await session.get_one(Item, key))


@app.get("/twenty/{first}")
async def twenty(first: int, session: Session) -> list[ItemOut]:
    return [ItemOut.model_validate(await session.get_one(Item, key)) for key in range(first, first + 20)]


@app.get("/dictionaries")
async def dictionaries(session: Session) -> list[dict[str, Any]]:
    rows = await session.execute(select(*Item.__table__.columns).order_by(Item.id).limit(100))
    return [dict(row) for row in rows.mappings()]


@app.get("/models")
async def models(session: Session) -> list[ItemOut]:
    items = await session.scalars(select(Item).order_by(Item.id).limit(100))
    return [ItemOut.model_validate(item) for item in items]


@app.get("/pages")
async def page(page: int, session: Session) -> ItemPage:
    total = await session.scalar(select(func.count()).select_from(Item))
    items = await session.scalars(select(Item).order_by(Item.id).offset((page - 1) * 20).limit(20))
    return ItemPage(items=[ItemOut.model_validate(item) for item in items], total=total or 0)


@app.post("/notes", status_code=201)
async def create(body: NoteIn, session: Session) -> NoteOut:
    note = Note(**body.model_dump())
    session.add(note)
    await session.commit()
    return NoteOut.model_validate(note)


@app.get("/cached/{key}")
async def cached(key: int, session: Session) -> ItemOut:
    stored = await redis.get(f"item:{key}")
    if stored is not None:
        return ItemOut.model_validate_json(stored)
    item = ItemOut.model_validate(await session.get_one(Item, key))
    await redis.set(f"item:{key}", item.model_dump_json(), ex=3600)
    return item


@app.patch("/cached/{key}")
async def update(key: int, body: StockIn, session: Session) -> ItemOut:
    item = await session.get_one(Item, key)
    item.stock = body.stock
    await session.commit()
    await redis.delete(f"item:{key}")
    return ItemOut.model_validate(item)


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        return


@app.websocket("/room")
async def room(websocket: WebSocket) -> None:
    await websocket.accept()
    members.add(websocket)
    try:
        while True:
            message = await websocket.receive_text()
            for member in list(members):
                await member.send_text(message)
    except WebSocketDisconnect:
        return
    finally:
        members.discard(websocket)


def view(number: int) -> Callable[[int], Awaitable[ViewAnswer]]:
    async def handler(item_id: int) -> ViewAnswer:
        return ViewAnswer(view=number, item_id=item_id)

    return handler


for number in range(int(os.environ["VIEWS"])):
    app.get(f"/views/{number}/{{item_id}}", name=f"view_{number}")(view(number))
