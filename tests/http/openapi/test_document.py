"""The document says what the signatures say, and is valid."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel, Field
from sanic import Blueprint
from sanic.exceptions import NotFound, Unauthorized
from sanic.request import Request
from sanic.response import HTTPResponse, text

from http_xi_test import app as xi_test
from sanicbase import (
    Accepted,
    APIView,
    Cookie,
    Created,
    Deprecation,
    ErrorCode,
    Header,
    KeysetPage,
    KeysetQuery,
    NoContent,
    Page,
    Query,
    SanicBaseError,
    UploadedFile,
    create_app,
    endpoint,
    raises,
)
from sanicbase.codes import StatusError
from sanicbase.db.pagination.cursor import encode_cursor
from sanicbase.http.openapi import Info, document
from sanicbase.server.context import App
from tests.http.conftest import Serve
from xi_test.config import XiTestConfig
from xi_test.handler.article import ArticleQuery


class Cat(BaseModel):
    kind: Literal["cat"]
    kittens: list[Cat] = []


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = Field("Rex", serialization_alias="dogName", examples=["Bello"])


Animal = Annotated[Cat | Dog, Field(discriminator="kind")]


class Form(BaseModel):
    title: str


class Files(BaseModel):
    picture: UploadedFile


class BaseAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> str | None:
        return None


class AnimalsAPI(BaseAPI):
    """Animals."""

    async def get(self, request: Request, query: ArticleQuery) -> Page[Dog]:
        """All of them.

        In pages.
        """
        raise NotImplementedError

    async def post(self, request: Request, body: Animal, user: str) -> Created[Dog]:
        """Take one in."""
        raise NotImplementedError

    async def put(self, request: Request, user: str | None, body: list[Dog] | None = None) -> Accepted[None] | None:
        """Change some."""
        raise NotImplementedError


class ZooError(ErrorCode):
    ESCAPED = 1951, 409, "{name} has escaped.", "{name} 跑了。"
    ASLEEP = 1952, 409, "{name} is asleep.", "{name} 睡着了。"
    PAID = 1953, 402, "Pay first.", "请先付费。"


class AnimalAPI(APIView, public=True):
    async def get(
        self,
        request: Request,
        number: Annotated[int, Field(ge=1, description="Its number.")],
        depth: Annotated[int, Query(alias="how-deep"), Field(le=3)] = 1,
        tags: Annotated[list[str], Query()] = [],  # noqa: B006
        x_trace: Annotated[str | None, Header()] = None,
        session: Annotated[str, Cookie()] = "",
    ) -> Cat:
        """One of them."""
        raise NotImplementedError

    async def post(self, request: Request, number: int, form: Form, files: Files) -> HTTPResponse:
        """Add a picture."""
        raise NotImplementedError

    @raises(ZooError, NotFound)
    async def delete(self, request: Request, number: int) -> NoContent:
        """Let it go."""
        raise NotImplementedError


@endpoint(public=True)
async def export(request: Request) -> AsyncIterator[bytes]:
    """Everything."""
    yield b""


@endpoint(public=True)
@raises(Unauthorized, ZooError.PAID)
@raises(StatusError.TOO_MANY_REQUESTS)
async def ticket(request: Request) -> Path:
    """A file."""
    raise NotImplementedError


@endpoint(public=True)
async def walked(request: Request) -> KeysetPage[Dog]:
    """Without end."""
    raise NotImplementedError


@pytest.fixture
def spec() -> dict[str, Any]:
    blueprint = Blueprint("zoo", url_prefix="/zoo")
    AnimalsAPI.attach(blueprint, "/animals")
    AnimalAPI.attach(blueprint, "/animals/<number:int>", version=1, deprecated=Deprecation(date(2026, 7, 1)))
    AnimalAPI.attach(blueprint, "/animals/<number:int>", version=2)
    export.attach(blueprint, "/export")
    walked.attach(blueprint, "/walked")
    ticket.attach(blueprint, "/ticket")

    @blueprint.get("/plain")
    async def plain(request: Request) -> HTTPResponse:
        return text("plain")

    config = XiTestConfig(DB_URL="sqlite://:memory:", REDIS_URL="redis://127.0.0.1:1/0")
    return document(create_app(config, blueprint), Info("zoo", "1.2"))


def test_the_document_is_valid(spec: dict[str, Any]) -> None:
    validate(spec)
    assert (spec["openapi"], spec["info"]) == ("3.1.0", {"title": "zoo", "version": "1.2"})
    assert set(spec["paths"]) == {
        "/v1/zoo/animals/{number}", "/v2/zoo/animals/{number}", "/zoo/animals", "/zoo/export", "/zoo/ticket",
        "/zoo/walked",
    }  # fmt: skip


def test_the_examples_document_is_valid_and_complete() -> None:
    spec = document(xi_test, Info("xi_test", "1"))
    validate(spec)
    operations = [operation for methods in spec["paths"].values() for operation in methods.values()]
    assert all(operation["summary"] and operation["tags"] and operation["responses"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    own = [operation for operation in operations if operation["tags"] != ["account"]]
    assert (len(own), len(operations)) == (9, 21)
    writing = [operation for operation in own if not operation["operationId"].endswith("_get")]
    assert all(operation["security"] == [{"bearer": []}] for operation in writing)


def test_parameters_have_their_place_name_and_schema(spec: dict[str, Any]) -> None:
    parameters = {
        parameter["name"]: parameter for parameter in spec["paths"]["/v2/zoo/animals/{number}"]["get"]["parameters"]
    }
    assert {name: parameter["in"] for name, parameter in parameters.items()} == {
        "number": "path", "how-deep": "query", "tags": "query", "x-trace": "header", "session": "cookie",
    }  # fmt: skip
    assert parameters["number"]["required"]
    assert parameters["number"]["description"] == "Its number."
    assert parameters["number"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    assert parameters["how-deep"]["schema"] == {"type": "integer", "maximum": 3, "minimum": -(2**63), "default": 1}
    assert parameters["tags"]["schema"] == {"type": "array", "items": {"type": "string"}, "default": []}
    assert parameters["x-trace"]["schema"] == {"type": "string"}


def test_a_list_says_what_it_may_be_asked(spec: dict[str, Any]) -> None:
    get = spec["paths"]["/zoo/animals"]["get"]
    assert (get["summary"], get["description"]) == ("All of them", "In pages.")
    parameters = {parameter["name"]: parameter for parameter in get["parameters"]}
    assert parameters["created_at__gte"]["schema"] == {"type": "string", "format": "date-time"}
    assert parameters["order"]["schema"]["items"]["enum"][:2] == ["id", "-id"]
    assert all(parameter["allowEmptyValue"] for parameter in parameters.values())


def test_bodies_are_json_or_forms(spec: dict[str, Any]) -> None:
    animals = spec["paths"]["/zoo/animals"]
    body = animals["post"]["requestBody"]
    assert body["required"]
    assert body["content"]["application/json"]["schema"]["discriminator"]["propertyName"] == "kind"
    assert not animals["put"]["requestBody"]["required"]
    form = spec["paths"]["/v2/zoo/animals/{number}"]["post"]["requestBody"]["content"]
    (parts,) = form.values()
    assert list(form) == ["multipart/form-data"]
    names = [part["$ref"].rpartition("/")[2] for part in parts["schema"]["allOf"]]
    assert names == ["Form", "Files"]
    assert spec["components"]["schemas"]["Files"]["properties"]["picture"]["format"] == "binary"


def test_answers_are_in_the_envelope_with_their_statuses(spec: dict[str, Any]) -> None:
    animals = spec["paths"]["/zoo/animals"]
    page = animals["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert list(page["properties"]) == ["code", "msg", "data", "total"]
    created = animals["post"]["responses"]["201"]
    assert "Location" in created["headers"]
    assert [status for status in animals["put"]["responses"] if status < "400"] == ["200", "202"]
    assert list(spec["paths"]["/zoo/export"]["get"]["responses"]["200"]["content"]) == ["application/octet-stream"]
    walked = spec["paths"]["/zoo/walked"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert list(walked["properties"]) == ["code", "msg", "data", "next", "previous"]


def test_input_and_output_schemas_differ(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    assert "name" in schemas["Dog-Input"]["properties"]
    assert "dogName" in schemas["Dog-Output"]["properties"]
    assert schemas["Dog-Input"]["properties"]["name"]["examples"] == ["Bello"]


def test_only_what_is_used_is_named(spec: dict[str, Any]) -> None:
    assert set(spec["components"]["schemas"]) == {
        "Cat-Input", "Cat-Output", "Dog-Input", "Dog-Output", "Failure", "Files", "Form",
    }  # fmt: skip


def test_failures_follow_from_the_signature(spec: dict[str, Any]) -> None:
    def statuses(path: str, method: str) -> list[int]:
        return [int(status) for status in spec["paths"][path][method]["responses"] if status >= "400"]

    assert statuses("/zoo/walked", "get") == [500, 503]
    assert statuses("/zoo/animals", "get") == [400, 401, 403, 500, 503]
    assert statuses("/zoo/animals", "post") == [400, 401, 403, 409, 413, 415, 422, 500, 503]
    assert statuses("/v1/zoo/animals/{number}", "get") == [404, 422, 500, 503]


def test_declared_errors_are_documented_with_their_codes(spec: dict[str, Any]) -> None:
    responses = spec["paths"]["/v2/zoo/animals/{number}"]["delete"]["responses"]
    assert responses["204"] == {"description": "No Content"}
    assert responses["404"] == {"$ref": "#/components/responses/NotFound"}
    assert responses["409"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Failure"}
    assert responses["409"]["description"].split("\n\n")[1:] == [
        "`1951` ESCAPED: {name} has escaped. {name} 跑了。",
        "`1952` ASLEEP: {name} is asleep. {name} 睡着了。",
    ]
    assert "1953" in responses["402"]["description"]
    assert "200" not in responses
    ticket = spec["paths"]["/zoo/ticket"]["get"]["responses"]
    assert set(ticket) == {"200", "401", "402", "404", "429", "500", "503"}
    assert ticket["429"]["description"] == StatusError.TOO_MANY_REQUESTS.en


@pytest.mark.parametrize("wrong", [404, "NotFound", ValueError, NotFound("gone")])
def test_only_an_error_with_a_status_can_be_declared(wrong: Any) -> None:
    with pytest.raises(SanicBaseError, match="pass a code"):
        raises(wrong)


def test_a_cursor_has_its_pattern(spec: dict[str, Any]) -> None:
    schema = KeysetQuery.model_json_schema()["properties"]["cursor"]["anyOf"][0]
    cursor = encode_cursor(b"any", "scope")
    assert re.fullmatch(schema["pattern"], cursor)
    assert len(cursor) <= schema["maxLength"]


def test_security_follows_from_the_user(spec: dict[str, Any]) -> None:
    animals = spec["paths"]["/zoo/animals"]
    assert "security" not in animals["get"]
    assert animals["post"]["security"] == [{"bearer": []}]
    assert animals["put"]["security"] == [{}, {"bearer": []}]
    assert spec["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}


def test_deprecation_and_names_of_operations(spec: dict[str, Any]) -> None:
    old, new = (spec["paths"][f"/v{version}/zoo/animals/{{number}}"]["get"] for version in (1, 2))
    assert old["deprecated"]
    assert "deprecated" not in new
    assert old["description"] == "Deprecated since 2026-07-01."
    assert (old["operationId"], new["operationId"]) == ("zoo_AnimalAPI_v1_get", "zoo_AnimalAPI_v2_get")
    assert spec["tags"] == [{"name": "test_document", "description": (__doc__ or "").strip()}]


async def test_it_is_served_beside_the_documentation_page(serve: Serve) -> None:
    blueprint = Blueprint("zoo", url_prefix="/zoo")
    walked.attach(blueprint, "/walked")
    async with serve(blueprint) as client:
        response = await client.get("/openapi.json")
        assert response.headers["Content-Type"] == "application/json"
        assert response.json()["info"] == {"title": "xi_test", "version": "0.1.0"}
        assert (await client.get("/docs")).status_code == 200


def test_an_app_without_views_has_no_document() -> None:
    config = XiTestConfig(DB_URL="sqlite://:memory:", REDIS_URL="redis://127.0.0.1:1/0")
    assert not has_document(create_app(config, Blueprint("empty")))
    blueprint = Blueprint("zoo")
    walked.attach(blueprint, "/walked")
    assert has_document(create_app(config, blueprint))
    assert not has_document(create_app(config.model_copy(update={"DOCS": False}), blueprint))


def has_document(app: App) -> bool:
    return any(route.path == "openapi.json" for route in app.router.routes)
