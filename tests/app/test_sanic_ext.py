"""Sanic Extensions beside ours: the document, HEAD and OPTIONS stay as they are, CORS and injection are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, text
from sanic_ext import Extend

from sanicbase import create_app, endpoint
from sanicbase.server.context import App
from sanicbase.testing import client
from xi_test.config import XiTestConfig

ORIGIN = {"Origin": "http://page.example"}


class Clock:
    hour = 7


class Thing(BaseModel):
    id: int


@endpoint(public=True)
async def one(request: Request, number: int) -> Thing:
    return Thing(id=number)


@endpoint(public=True)
async def create_thing(request: Request, body: Thing) -> Thing:
    return body


@pytest.fixture
def app(redis_url: str, tmp_path: Path) -> App:
    blueprint = Blueprint("things")
    one.attach(blueprint, "/things/<number:int>")
    create_thing.attach(blueprint, "/things", methods=("POST",))

    @blueprint.get("/hour")
    async def hour(request: Request, clock: Clock) -> HTTPResponse:
        return text(str(clock.hour))

    return create_app(XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url), blueprint)


async def test_sanic_ext_adds_to_the_features_of_the_library(app: App) -> None:
    app.config.CORS_ORIGINS = "http://page.example"
    Extend(app).add_dependency(Clock)
    async with client(app) as http:
        response = await http.get("/things/7", headers=ORIGIN)
        assert (response.status_code, response.json()["data"]) == (200, {"id": 7})
        assert response.headers["Access-Control-Allow-Origin"] == "http://page.example"
        assert (await http.get("/hour")).text == "7"
        assert (await http.post("/things", json={"id": "x"})).json()["data"][0]["path"] == "body.id"
        assert (await http.options("/things/7")).headers["Allow"] == "GET, HEAD, OPTIONS"
        assert (await http.head("/things/7")).status_code == 200
        assert (await http.put("/things/7")).status_code == 405
        assert "/things/{number}" in (await http.get("/openapi.json")).json()["paths"]
        assert (await http.get("/docs")).headers["Content-Type"].startswith("text/html")
        assert (await http.get("/docs/openapi.json")).status_code == 404


async def test_it_does_nothing_by_being_installed(app: App) -> None:
    async with client(app) as http:
        response = await http.get("/things/7", headers=ORIGIN)
        assert "Access-Control-Allow-Origin" not in response.headers
        assert getattr(app, "_ext", None) is None
