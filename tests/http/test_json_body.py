"""JSON is taken by the letter: what two parsers could understand differently is refused."""

from __future__ import annotations

import json
import math
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from sanic import Blueprint
from sanic.request import Request

from sanicbase import APIView
from sanicbase.http.errors.exceptions import CODES, InvalidParameters, UnreadableBody
from sanicbase.http.parameters.json_body import _is_canonical, _parse_error, _raise_for, check_json
from tests.http.conftest import Serve, ServeAs

JSON = {"Content-Type": "application/json"}


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field("", alias="Name", max_length=10)
    count: int = 0
    ratio: float = 0
    on: bool = False
    day: date | None = None
    key: UUID | None = None
    anything: Any = None


class ThingsAPI(APIView, public=True):
    async def post(self, request: Request, body: Thing) -> dict[str, object]:
        return body.model_dump(mode="json", exclude_unset=True, by_alias=True)

    async def put(self, request: Request, body: Annotated[Cat | Dog, Field(discriminator="kind")]) -> str:
        return type(body).__name__

    async def patch(self, request: Request, body: list[Cat] | None = None) -> int:
        return -1 if body is None else len(body)


@pytest.fixture
def blueprint() -> Blueprint:
    blueprint = Blueprint("things")
    ThingsAPI.attach(blueprint, "/things")
    return blueprint


REFUSED: list[tuple[bytes, int, str, str]] = [
    (b"", 422, "body", "missing"),
    (b"{", 400, "body", "json_invalid"),
    (b"nope", 400, "body", "json_invalid"),
    (b"{'name': 1}", 400, "body", "json_invalid"),
    (b'{"count": 1,}', 400, "body", "json_invalid"),
    (b'{"count": 1} {}', 400, "body", "json_invalid"),
    (b'\xef\xbb\xbf{"count": 1}', 400, "body", "json_invalid"),
    (b'{"Name": "\xff"}', 400, "body", "json_encoding"),
    ('{"Name": "a"}'.encode("utf-16"), 400, "body", "json_encoding"),
    (b'{"Name": "\x00"}', 400, "body", "json_invalid"),
    (b'{"Name": "\\ud800"}', 400, "body", "json_invalid"),
    (b'{"Name": "\\u0000"}', 422, "body", "nul_character"),
    (b'{"anything": {"\\u0000": 1}}', 422, "body", "nul_character"),
    (b'{"anything": [{"a": ["\\u0000"]}]}', 422, "body", "nul_character"),
    (b'{"Name": "\\\\u0000"}', 200, "", ""),
    (b'{"count": 1, "count": 2}', 422, "body", "json_duplicate_key"),
    (b'{"anything": [{"a": 1, "\\u0061": 2}]}', 422, "body", "json_duplicate_key"),
    (b'{"anything": {"\\ud800": 1, "\\ud800": 2}}', 422, "body", "json_duplicate_key"),
    (b'{"ratio": NaN}', 400, "body", "json_invalid"),
    (b'{"ratio": -Infinity}', 400, "body", "json_invalid"),
    (b'{"ratio": 1e400}', 422, "body", "finite_number"),
    (b'{"ratio": ' + b"9" * 300 + b"e10}", 422, "body", "finite_number"),
    (b'{"ratio": 1E+0400}', 422, "body", "finite_number"),
    (b'{"ratio": 1e-400}', 200, "", ""),
    (b'{"count": ' + b"9" * 500 + b"}", 200, "", ""),
    (b'{"count": "1"}', 422, "body.count", "int_type"),
    (b'{"count": true}', 422, "body.count", "int_type"),
    (b'{"count": 1.5}', 422, "body.count", "int_type"),
    (b'{"count": null}', 422, "body.count", "int_type"),
    (b'{"on": 1}', 422, "body.on", "bool_type"),
    (b'{"on": "true"}', 422, "body.on", "bool_type"),
    (b'{"ratio": "1.5"}', 422, "body.ratio", "float_type"),
    (b'{"Name": 1}', 422, "body.Name", "string_type"),
    (b'{"Name": "aaaaaaaaaaa"}', 422, "body.Name", "string_too_long"),
    (b'{"day": "2026-02-30"}', 422, "body.day", "date_parsing"),
    (b'{"key": 5}', 422, "body.key", "uuid_type"),
    (b'{"name": "a"}', 422, "body.name", "extra_forbidden"),
    (b"[" * 450 + b"]" * 450, 422, "body", "json_too_deep"),
    (b"[" * 900, 422, "body", "json_too_deep"),  # whatever comes after the level that is too deep
    (b"[" * 150, 400, "body", "json_invalid"),
    (b'{"anything":' * 70 + b"1" + b"}" * 70, 422, "body.anything", ""),
]


@pytest.mark.parametrize(("content", "status", "path", "code"), REFUSED, ids=lambda value: repr(value)[:30])
async def test_a_body_is_validated_strictly(
    serve: Serve, blueprint: Blueprint, content: bytes, status: int, path: str, code: str
) -> None:
    async with serve(blueprint) as client:
        response = await client.post("/things", content=content, headers=JSON)
    if not code:
        assert response.status_code == 200
        return
    assert response.status_code == status, response.text
    (error,) = response.json()["data"]
    assert (error["path"], error["code"]) == (path, code)


async def test_types_that_json_lacks_are_strings(serve: Serve, blueprint: Blueprint) -> None:
    thing = {"Name": "a\\u0000", "day": "2026-02-28", "key": "12345678-1234-5678-1234-567812345678", "ratio": 1}
    async with serve(blueprint) as client:
        response = await client.post("/things", json=thing)
        assert response.json()["data"] == thing


async def test_a_body_is_one_of_several_kinds_a_list_or_may_be_missing(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.put("/things", json={"kind": "dog"})).json()["data"] == "Dog"
        wrong = (await client.put("/things", json={"kind": "cow"})).json()["data"]
        assert [error["code"] for error in wrong] == ["union_tag_invalid"]
        assert (await client.patch("/things", json=[{"kind": "cat", "lives": 9}])).json()["data"] == 1
        assert (await client.patch("/things")).json()["data"] == -1


async def test_all_errors_are_reported_up_to_a_hundred(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        response = await client.post("/things", json={"count": "1", "on": 1, "x" * 90: 1})
        assert [error["path"] for error in response.json()["data"]] == ["body.count", "body.on", "body." + "x" * 50]
        many = await client.patch("/things", content=b"[" + b"1," * 170 + b"1]", headers=JSON)
        assert len(many.json()["data"]) == 100


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ("application/merge-patch+json", 200),
        ("", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=latin-1", 415),
        ("text/json+json", 415),
        (";", 415),
    ],
)
async def test_a_body_of_another_kind_is_answered_415(
    serve: Serve, blueprint: Blueprint, kind: str, status: int
) -> None:
    async with serve(blueprint) as client:
        response = await client.post("/things", content=b"{}", headers={"Content-Type": kind})
        assert response.status_code == status
        if status == 415:
            assert response.json()["data"][0]["code"] == "content_type"


async def test_a_body_without_content_type_is_answered_415(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        request = httpx.Request("POST", client.base_url.join("/things"), content=b"{}")
        assert "content-type" not in request.headers
        assert (await client.send(request)).status_code == 415


def test_every_error_type_has_a_message() -> None:
    assert all(sentence[0].isupper() for sentence in CODES.values())
    assert list(CODES) == sorted(CODES)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=30,
)


@given(documents, st.booleans())
def test_output_of_json_writers_is_accepted(document: Any, ascii_only: bool) -> None:
    check_json(json.dumps(document, ensure_ascii=ascii_only).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_and_nothing_else_is_raised(body: bytes) -> None:
    try:
        check_json(body)
    except (InvalidParameters, UnreadableBody):
        return
    assert not isinstance(parsed := json.loads(body.decode()), float) or math.isfinite(parsed)


@given(st.binary(max_size=200) | documents.map(lambda document: json.dumps(document).encode()))
def test_the_exact_parser_accepts_what_the_fast_one_does(body: bytes) -> None:
    if _parse_error(body) is None:
        _raise_for(body, "")


NO_JSON_OF_ORJSON = [
    b'{"a":1,"a":1}',
    b'{"a": 1, "a": 1}',
    b'{"a, b":1,"a, b":2}',
    b'[{"b":{"a":1,"a":2}}]',
    b'{"a":1,"\\u0061":1}',
    b"NaN",
    b"[Infinity]",
    b"1e999",
    b"1" * 400,
    b'"\\ud800"',
    b'"\xff"',
    b"[1,]",
    b"",
]


@pytest.mark.parametrize("body", NO_JSON_OF_ORJSON)
def test_a_body_that_parsers_may_read_differently_is_not_canonical(body: bytes) -> None:
    assert not _is_canonical(body)


pieces = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b", ", b": ", b'"', b'"a"', b'"a,b"', b'"a, b"', b"\\", b"1", b"1e9"]
)


@given(
    st.lists(pieces, max_size=16).map(b"".join)
    | documents.map(lambda document: json.dumps(document, separators=(",", ":")).encode())
    | documents.map(lambda document: json.dumps(document).encode())
)
def test_canonical_bodies_are_those_of_the_exact_parser(body: bytes) -> None:
    if _is_canonical(body):
        _raise_for(body, "")


def test_bodies_of_browsers_are_canonical() -> None:
    document = {"name": 'tea, "green" 茶', "price": 1.5, "sold": [1, -2, None, True], "maker": {"name": "a"}, "": {}}
    assert _is_canonical(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())


async def test_a_body_with_too_many_items_is_refused(serve_as: ServeAs, blueprint: Blueprint) -> None:
    async with serve_as(blueprint, JSON_MAX_ITEMS=10) as client:
        refused = await client.post("/things", json={"anything": [[]] * 10, "count": 1})
        assert (refused.status_code, refused.json()["data"][0]["code"]) == (422, "json_too_many_items")
        taken = await client.post("/things", json={"anything": ",[{" * 10})
        assert taken.status_code == 200
