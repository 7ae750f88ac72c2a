"""Numbers in texts, and integers of 64 bits for JavaScript."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from sanic import Blueprint
from sanic.request import Request

from sanicbase import BigIntStr, Created, Query, RCModel, create_app, endpoint, lifespan
from sanicbase.http.openapi import Info, document
from sanicbase.http.validation.bounded_type import BoundedType
from sanicbase.numerals import integer_text
from sanicbase.testing import client
from tests.db.opening import LibraryConfig

LARGEST = 2**63 - 1


class Thing(BaseModel):
    id: BigIntStr
    owner: BigIntStr | None = None
    older: list[BigIntStr] = []


class SnowRC(RCModel):
    id: BigIntStr
    name: str

    class Meta:
        key = "id"
        ttl = 60


@endpoint(public=True)
async def one(request: Request, number: BigIntStr, parent: Annotated[BigIntStr | None, Query()] = None) -> Thing:
    return Thing(id=number, owner=parent)


@endpoint(public=True)
async def create_thing(request: Request, body: Thing) -> Created[Thing]:
    return Created(body)


def config(redis_url: str, tmp_path: Any) -> LibraryConfig:
    return LibraryConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url)


@given(st.integers(-(2**63), LARGEST))
def test_an_integer_goes_out_as_text_and_comes_back(number: int) -> None:
    sent = Thing(id=number, owner=number, older=[number]).model_dump_json()
    assert json.loads(sent) == {"id": str(number), "owner": str(number), "older": [str(number)]}
    for text in (sent, sent.replace('"' + str(number) + '"', str(number))):
        assert BoundedType(TypeAdapter(Thing)).validate_json(text.encode(), 5) == Thing(
            id=number, owner=number, older=[number]
        )
    assert Thing(id=number).model_dump()["id"] == number
    schema = Thing.model_json_schema()["properties"]["id"]
    assert re.fullmatch(schema["pattern"], str(number))
    assert schema["type"] == "string"


@pytest.mark.parametrize("text", ["+1", "1_0", " 1", "1.0", "1e3", "", "x", "0x1", "１", str(2**63), "9" * 5000])
def test_an_invalid_integer_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        BoundedType(TypeAdapter(Thing)).validate_json(json.dumps({"id": text}).encode(), 1)


@pytest.mark.parametrize("value", [True, 1.5, None, [1]])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        BoundedType(TypeAdapter(Thing)).validate_json(json.dumps({"id": value}).encode(), 1)


async def test_it_is_served_and_documented(redis_url: str, tmp_path: Any) -> None:
    blueprint = Blueprint("things")
    one.attach(blueprint, "/things/<number:int>")
    create_thing.attach(blueprint, "/things", methods=("POST",))
    app = create_app(config(redis_url, tmp_path), blueprint)
    async with client(app) as http:
        thing = (await http.get(f"/things/{LARGEST}?parent=-{2**63}")).json()["data"]
        assert thing == {"id": str(LARGEST), "owner": str(-(2**63)), "older": []}
        assert (await http.get(f"/things/{LARGEST + 1}")).status_code == 404
        assert (await http.post("/things", json={"id": str(LARGEST)})).json()["data"]["id"] == str(LARGEST)
        assert (await http.post("/things", json={"id": LARGEST})).json()["data"]["id"] == str(LARGEST)
        assert (await http.post("/things", json={"id": str(LARGEST + 1)})).status_code == 422
    paths = document(app, Info("things", "1"))
    number = paths["paths"]["/things/{number}"]["get"]["parameters"][0]["schema"]
    assert (number["type"], number["format"]) == ("string", "int64")
    assert paths["components"]["schemas"]["Thing"]["properties"]["id"]["type"] == "string"


async def test_a_cache_model_has_it_as_its_key(redis_url: str, tmp_path: Any) -> None:
    async with lifespan(config(redis_url, tmp_path)):
        await SnowRC.create(id=LARGEST, name="snow")
        snow = await SnowRC.get(LARGEST)
        assert snow == SnowRC(id=LARGEST, name="snow")
        assert type(snow.id) is int
        assert await SnowRC.get(str(LARGEST)) == snow


def test_a_field_that_is_not_strict_is_converted_in_a_body() -> None:
    class Loose(BaseModel):
        loose: Annotated[int, Field(strict=False)]
        inner: list[Annotated[float, Field(strict=False)]] = []
        strict: int = 0
        on: bool = False

    bounded = BoundedType(TypeAdapter(list[Loose]))
    assert bounded.validate_json(b'[{"loose": "7", "inner": ["1.5"]}]', 5) == [Loose(loose=7, inner=[1.5])]
    for wrong in (b'{"loose": 1, "strict": "7"}', b'{"loose": 1, "on": 1}', b'{"loose": "x"}'):
        with pytest.raises(ValidationError):
            bounded.validate_json(b"[" + wrong + b"]", 5)
    many = b"[" + b",".join([b'{"loose": "7"}'] * 20_000) + b"]"
    assert len(bounded.validate_json(many, bounded.check_items(many, 100_000))) == 20_000
    with pytest.raises(ValidationError) as refused:
        wrong = many[:-1] + b',{"loose": 1, "strict": "7"}]'
        bounded.validate_json(wrong, bounded.check_items(wrong, 100_000))
    assert refused.value.errors()[0]["loc"] == (20_000, "strict")


@given(st.text(max_size=6))
def test_a_text_is_an_integer_as_json_has_it_or_none(text: str) -> None:
    written = re.fullmatch(r"-?[0-9]+", text) is not None
    try:
        integer_text(text)
    except ValueError:
        assert not written
    else:
        assert written
