"""A service whose orders are idempotent, and which a request may kill at a chosen point, once."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, field_serializer
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse
from tortoise import fields

from sanicbase import (
    APIView,
    Created,
    DBModel,
    ErrorCode,
    IdempotencyRecord,
    create_app,
    idempotent,
    on_commit,
)
from sanicbase.server.context import App
from tests.db.opening import LibraryConfig

POINTS = ("admitted", "begun", "written", "serialized", "committed", "answered")
MODULE = "tests.http.orders"


class Order(DBModel):
    id = fields.IntField(primary_key=True)
    customer = fields.CharField(max_length=20)
    item = fields.CharField(max_length=40)


class OrderKey(IdempotencyRecord):
    class Meta:
        table = "order_key"


class OrderError(ErrorCode):
    SOLD_OUT = 1901, 409, "Sold out."


class Customer(BaseModel):
    id: str


class OrderIn(BaseModel):
    item: str


class OrderOut(BaseModel):
    id: int
    item: str

    @field_serializer("item")
    def item_as_text(self, item: str) -> str:
        die_at("serialized")
        return item


class OrdersBase(APIView):
    @classmethod
    async def admit(cls, request: Request) -> Customer | None:
        die_at("admitted")
        name = request.headers.get("x-user")
        return Customer(id=name) if name else None


class OrdersAPI(OrdersBase):
    async def get(self, request: Request) -> dict[str, int]:
        """How often each item was ordered."""
        items = [order.item for order in await Order.all()]
        return {item: items.count(item) for item in items}

    @idempotent
    async def post(self, request: Request, body: OrderIn, user: Customer | None) -> Created[OrderOut]:
        die_at("begun")
        order = await Order.create(customer=user.id if user else "", item=body.item)
        die_at("written")
        if body.item.startswith("sold-out"):
            raise OrderError.SOLD_OUT()
        if body.item.startswith("bug") or (body.item.startswith("flaky") and once(body.item)):
            raise RuntimeError("a bug")
        await on_commit(lambda: die_at("committed"))
        return Created(OrderOut(id=order.id, item=order.item), location=f"/orders/{order.id}")

    @idempotent(required=True)
    async def patch(self, request: Request, body: OrderIn) -> HTTPResponse:
        """Answers 503 the first time, without raising."""
        await Order.create(customer="", item=body.item)
        status = 503 if once(f"unavailable {body.item}") else 200
        return HTTPResponse(b"as it is", status, {"X-Kind": "raw", "Set-Cookie": "a=b"}, "text/plain")


class ChargesAPI(OrdersBase):
    """Payments, which are made elsewhere: in a file."""

    @idempotent(transaction=False)
    async def post(self, request: Request, body: OrderIn) -> Created[OrderOut]:
        die_at("begun")
        if body.item.startswith("sold-out") and once(body.item):
            raise OrderError.SOLD_OUT()
        with (folder() / "charges").open("a") as file:
            file.write(f"{body.item}\n")
        die_at("written")
        if body.item.startswith("bug"):
            raise RuntimeError("a bug")
        if body.item.startswith("slow"):
            await asyncio.Event().wait()
        return Created(OrderOut(id=1, item=body.item))


def folder() -> Path:
    return Path(os.environ["ORDERS_FOLDER"])


def once(name: str) -> bool:
    """Whether it is the first time, in any process."""
    try:
        (folder() / name.replace("/", "_")).open("x").close()
    except FileExistsError:
        return False
    return True


def die_at(point: str) -> None:
    """Kill this process if the request says so: `X-Kill: begun 7`, for the first of all with these words."""
    kill = Request.get_current().headers.get("x-kill", "")
    if kill.partition(" ")[0] == point and once(f"killed {kill}"):
        os.kill(os.getpid(), signal.SIGKILL)


def answered(request: Any, response: Any) -> None:
    if request is not None and request.method != "NONE":
        die_at("answered")


def orders_app(**settings: Any) -> App:
    blueprint = Blueprint("orders")
    OrdersAPI.attach(blueprint, "/orders")
    ChargesAPI.attach(blueprint, "/charges")
    app = create_app(LibraryConfig(MODULES=[MODULE], **settings), blueprint)
    app.ctx.response_hooks.append(answered)
    return app
