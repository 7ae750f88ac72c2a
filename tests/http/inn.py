"""A small service with a written document of its own, for the documentation page."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from sanic import Blueprint, Websocket
from sanic.request import Request
from sanic.response import HTTPResponse, empty, json

from sanicbase import APIView, bearer_token, success
from sanicbase.http.docs import install_docs

TOKEN = "the-inn-keepers-token"
BOOKING = "#/components/schemas/Booking"
SEALED = {"data": {"$ref": BOOKING}, "code": {"type": "integer", "const": 0}, "msg": {"type": "string"}}
ANSWER = {"type": "object", "properties": SEALED, "required": ["code", "msg", "data"]}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {
        "title": "Inn 客栈",
        "version": "1.2.0",
        "description": "Rooms and <b>guests</b>. 房间与客人。\n\nSend `Accept-Language: zh` for Chinese messages.",
    },
    "tags": [{"name": "bookings", "description": "Who sleeps where."}, {"name": "rooms"}],
    "security": [],
    "paths": {
        "/bookings": {
            "get": {
                "tags": ["bookings"],
                "summary": "List the bookings",
                "parameters": [
                    {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 1}},
                    {"name": "guest", "in": "query", "schema": {"type": ["string", "null"], "maxLength": 40}},
                    {"name": "order", "in": "query", "schema": {"type": "string", "enum": ["night", "-night"]}},
                ],
                "responses": {
                    "200": {"description": "A page of them.", "content": {"application/json": {"schema": ANSWER}}}
                },
            },
            "post": {
                "tags": ["bookings"],
                "summary": "Book a room",
                "description": "One room for some nights.\n\nThe answer has the booking's `id`.",
                "security": [{"bearer": []}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BookingIn"}}},
                },
                "responses": {
                    "201": {"description": "Booked.", "content": {"application/json": {"schema": ANSWER}}},
                    "401": {"$ref": "#/components/responses/Unauthorized"},
                },
            },
        },
        "/rooms/{number}": {
            "parameters": [
                {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
            ],
            "delete": {
                "tags": ["rooms"],
                "summary": "Tear a room down",
                "deprecated": True,
                "security": [{"bearer": []}],
                "responses": {"204": {"description": "Gone."}},
            },
        },
        "/events": {
            "get": {
                "tags": ["rooms"],
                "summary": "Hear what happens",
                "responses": {
                    "200": {"description": "Events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
                    "409": {"description": "Conflict\n\n`92001`: The inn is full."},
                },
            },
        },
        "/photos": {
            "post": {
                "tags": ["rooms"],
                "summary": "Hang a photo up",
                "security": [{"key": []}],
                "parameters": [
                    {"name": "walls", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Frame", "in": "header", "required": True, "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "content": {
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "properties": {
                                    "title": {"type": "string"},
                                    "photo": {"type": "string", "format": "binary"},
                                },
                                "required": ["title", "photo"],
                            }
                        }
                    }
                },
                "responses": {"200": {"description": "Hung."}},
            },
        },
    },
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        },
        "responses": {"Unauthorized": {"description": "Authentication is required."}},
        "schemas": {
            "Guest": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 40, "description": "As in the passport."},
                    "friends": {"type": "array", "items": {"$ref": "#/components/schemas/Guest"}},
                },
                "required": ["name"],
            },
            "BookingIn": {
                "type": "object",
                "description": "A new booking.",
                "properties": {
                    "room": {"type": "integer", "minimum": 1, "maximum": 99, "examples": [7]},
                    "guest": {"type": "string", "examples": ["李白"]},
                    "nights": {"type": "integer", "default": 1},
                    "kind": {"type": "string", "enum": ["plain", "suite"]},
                },
                "required": ["room", "guest"],
            },
            "Booking": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "room": {"type": "integer"},
                    "guest": {"$ref": "#/components/schemas/Guest"},
                    "until": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
                },
                "required": ["id", "room", "guest"],
            },
        },
    },
    "x-websockets": [{"path": "/bell/{room}", "summary": "Ring", "description": "Twice.", "guarded": False}],
    "x-error-codes": [{"code": 92001, "status": 409, "name": "FULL", "en": "The inn is full.", "zh": "客栈已满。"}],
}


class BookingIn(BaseModel):
    room: int
    guest: str
    nights: int = 1
    kind: str = "plain"


class BookingsAPI(APIView, public=True):
    async def get(self, request: Request) -> list[int]:
        return []

    async def post(self, request: Request, body: BookingIn) -> HTTPResponse:
        if bearer_token(request) != TOKEN:
            raise AssertionError("The page has sent another token.")
        return success({"id": 1, "language": request.headers["accept-language"], **body.model_dump()}, 201)


async def tear_down(request: Request, number: int) -> HTTPResponse:
    return empty() if bearer_token(request) == TOKEN else json(number, 403)


async def hang_up(request: Request) -> HTTPResponse:
    """Everything that it was sent."""
    assert request.form is not None
    assert request.files is not None
    photo = request.files["photo"][0]
    sent = {"title": request.form["title"][0], "name": photo.name, "size": len(photo.body)}
    given = {
        "walls": request.args.getlist("walls"),
        "frame": request.headers["x-frame"],
        "key": request.headers["x-key"],
    }
    return json({**sent, **given})


async def happen(request: Request) -> None:
    """Two events, and then none for a long time."""
    response = await request.respond(content_type="text/event-stream")
    assert response is not None
    for number in range(2):
        await response.send(f"data: {number}\n\n")
    await asyncio.sleep(30)


async def ring(request: Request, ws: Websocket, room: str) -> None:
    async for message in ws:
        await ws.send(f"{room}: {message!s}")


async def document(request: Request) -> HTTPResponse:
    return json(DOCUMENT)


def inn(**documents: str) -> Blueprint:
    """The service; its page shows those documents as well, by name."""
    blueprint = Blueprint("inn")
    BookingsAPI.attach(blueprint, "/bookings")
    blueprint.add_route(tear_down, "/rooms/<number:int>", methods=["DELETE"])
    blueprint.add_route(hang_up, "/photos", methods=["POST"])
    blueprint.add_route(happen, "/events")
    blueprint.add_websocket_route(ring, "/bell/<room>")
    blueprint.add_route(document, "/openapi.json")
    install_docs(blueprint, documents={"inn": "openapi.json", **documents})
    return blueprint
