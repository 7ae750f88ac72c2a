"""The guide on errors says what the code does: its code is run, and its answers are those of a service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from sanic import Blueprint
from sanic.request import Request

from sanicbase import APIView, Config, ErrorCode, SanicBaseError
from tests.docs.blocks import code, text_of
from tests.http.conftest import ServeAs

ENGLISH, CHINESE = (text_of(f"docs/{language}/errors.md") for language in ("en", "zh"))
ID = "5b0e2f6c-6d3e-4d0b-9a53-0c3c5d3c8a55"


def test_both_name_the_settings() -> None:
    for name in ("ENVELOPE", "LANGUAGE", "DOCS"):
        assert name in Config.model_fields
        assert name in ENGLISH
        assert name in CHINESE


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """What the guide's code makes, but for its last block, which makes the app."""
    names: dict[str, Any] = {"__name__": "guide"}
    *parts, app = code("errors", "python")
    for part in parts:
        exec(compile(part, "docs/en/errors.md", "exec", dont_inherit=True), names)
    assert "create_app(config, blueprint, envelope=ShopEnvelope(), messages=messages)" in app
    return names


class Amount(BaseModel):
    amount: Annotated[int, Field(ge=1)]


def shop(guide: dict[str, Any]) -> Blueprint:
    class ItemAPI(APIView, public=True):
        async def get(self, request: Request) -> dict[str, object]:
            return {"id": 1, "name": "tea"}

        async def post(self, request: Request, body: Amount) -> None:
            guide["sell"]("tea", 0)

        async def put(self, request: Request, body: Any) -> None: ...

        put.__annotations__["body"] = guide["Order"]

    blueprint = Blueprint("shop")
    ItemAPI.attach(blueprint, "/item")
    return blueprint


async def test_the_answers_are_those_of_a_service(serve_as: ServeAs, guide: dict[str, Any]) -> None:
    shown = [json.loads(block) for block in code("errors", "json")]
    async with serve_as(shop(guide), TRUSTED_PROXIES=["127.0.0.1"]) as client:
        headers = {"X-Request-ID": ID}
        responses = [
            await client.get("/item"),
            await client.post("/item", json={"amount": 1}, headers=headers),
            await client.post("/item", json={"amount": 0}, headers={**headers, "Accept-Language": "zh"}),
        ]
    assert [response.json() for response in responses] == shown
    assert [response.status_code for response in responses] == [200, 409, 422]


async def test_an_envelope_and_messages_of_ones_own_work_as_shown(serve_as: ServeAs, guide: dict[str, Any]) -> None:
    envelope = guide["ShopEnvelope"]()
    async with serve_as(shop(guide), envelope=envelope, messages=guide["messages"]) as client:
        assert (await client.get("/item")).json() == {"result": {"id": 1, "name": "tea"}, "meta": {}}
        response = await client.put("/item", json={"amount": 7}, headers={"Accept-Language": "zh"})
        assert response.json() == {
            "error": "UNPROCESSABLE_CONTENT",
            "message": "参数有误。",
            "fields": {"body.amount": "数量应为 12 的倍数。"},
        }
        assert (await client.get("/nowhere")).json()["error"] == "NOT_FOUND"


def test_the_message_of_a_duplicate_code_is_that_of_the_guide() -> None:
    make: Any = ErrorCode
    make("DepotError", {"EMPTY": (93001, 409, "a", "b")}, module="depot.config.errors")
    with pytest.raises(SanicBaseError) as excinfo:
        make("ShopError", {"SOLD_OUT": (93001, 409, "a", "b")}, module="shop.config.errors")
    assert f"```\n{excinfo.value}\n```".replace("93001", "2001") in ENGLISH


def from_views(begin: str) -> dict[str, Any]:
    """What the block of the guide on views makes that begins with this code."""
    (block,) = [block for block in code("views", "python") if block.startswith(begin)]
    names: dict[str, Any] = {
        "Annotated": Annotated,
        "BaseModel": BaseModel,
        "ConfigDict": ConfigDict,
        "Field": Field,
        "UTC": UTC,
        "datetime": datetime,
        "to_camel": to_camel,
    }
    exec(compile(block, "docs/en/views.md", "exec", dont_inherit=True), names)
    return names


async def test_camel_case_names_are_those_of_requests_responses_and_errors(serve_as: ServeAs) -> None:
    names = from_views("class Body(BaseModel)")
    assert names["sent"] == '{"createdAt":"2026-01-01T00:00:00Z"}'
    article = names["ArticleOut"]

    class ArticleAPI(APIView, public=True):
        async def post(self, request: Request, body: Any) -> Any:
            return body

        post.__annotations__.update({"body": article, "return": article})

    blueprint = Blueprint("shop")
    ArticleAPI.attach(blueprint, "/article")
    async with serve_as(blueprint) as client:
        response = await client.post("/article", json={"createdAt": "2026-01-01T00:00:00Z"})
        assert response.json()["data"] == {"createdAt": "2026-01-01T00:00:00Z"}
        refused = await client.post("/article", json={})
        assert refused.json()["data"][0]["path"] == "body.createdAt"
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
        assert list(schemas["ArticleOut"]["properties"]) == ["createdAt"]


def test_a_partial_update_distinguishes_omitted_fields_from_null() -> None:
    names = from_views("class ArticlePatch(BaseModel)")
    patch = names["ArticlePatch"]
    assert names["fields"] == {"summary": None}
    assert patch.model_validate_json('{"title": "Hello"}').model_dump(exclude_unset=True) == {"title": "Hello"}
    for refused in ('{"title": null}', '{"title": ""}'):
        with pytest.raises(ValidationError):
            patch.model_validate_json(refused)
    assert patch.model_json_schema()["properties"]["title"] == {"minLength": 1, "title": "Title", "type": "string"}
