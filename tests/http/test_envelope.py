"""What views return, in each of the envelopes; and each describes what it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, TypeAdapter
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import APIView, Envelope, KeysetPage, Page, PlainEnvelope, ProblemEnvelope, success
from sanicbase.http.envelope import DataResponse
from tests.http.conftest import ServeAs
from tests.http.failures import failing


class Bed(BaseModel):
    name: str


class Counted(Envelope):
    """What a service writes for itself."""

    media_type = "application/vnd.inn+json"

    def content(self, data: object, marks: Mapping[str, object]) -> object:
        return {"rows": data, "meta": dict(marks)}


BED = {"name": "blue"}
PACKED = TypeAdapter(list[Bed]).dump_json([Bed(name="blue")])
RETURNED: dict[str, tuple[object, object, dict[str, object]]] = {
    "model": (Bed(name="blue"), BED, {}),
    "models": ([Bed(name="blue")], [BED], {}),
    "bytes": (PACKED, [BED], {}),
    "nothing": (None, None, {}),
    "text": ("blue", "blue", {}),
    "page": (Page([Bed(name="blue")], total=7), [BED], {"total": 7}),
    "walked": (KeysetPage([Bed(name="blue")], next="n", previous=None), [BED], {"next": "n", "previous": None}),
}


class RoomsAPI(APIView, public=True):
    async def get(self, request: Request, name: str) -> HTTPResponse:
        return success(RETURNED[name][0])

    async def post(self, request: Request, name: str) -> HTTPResponse:
        return success(RETURNED[name][0], 201)


def rooms() -> Blueprint:
    blueprint = Blueprint("rooms")
    RoomsAPI.attach(blueprint, "/rooms/<name:str>")
    return blueprint


def enveloped(kind: str, data: object, marks: dict[str, object]) -> object:
    if kind == "standard":
        return {"code": 0, "msg": "ok", "data": data, **marks}
    if kind == "own":
        return {"rows": data, "meta": marks}
    return {"items": data, **marks} if marks else data


@pytest.mark.parametrize("kind", ["standard", "plain", "problem", "own"])
async def test_results_are_in_the_envelope_of_the_service(serve_as: ServeAs, kind: str) -> None:
    options: dict[str, Any] = {"envelope": Counted()} if kind == "own" else {"ENVELOPE": kind}
    async with serve_as(rooms(), **options) as client:
        for name, (_, data, marks) in RETURNED.items():
            got, posted = await client.get(f"/rooms/{name}"), await client.post(f"/rooms/{name}")
            assert (got.status_code, posted.status_code) == (200, 201)
            assert got.json() == posted.json() == enveloped(kind, data, marks)
            assert got.headers["content-type"] == ("application/vnd.inn+json" if kind == "own" else "application/json")


async def test_an_envelope_that_is_given_goes_before_the_setting(serve_as: ServeAs) -> None:
    async with serve_as(rooms(), ENVELOPE="plain", envelope=Counted()) as client:
        assert (await client.get("/rooms/text")).json() == {"rows": "blue", "meta": {}}


@pytest.mark.parametrize(
    "envelope", [Envelope(), PlainEnvelope(), ProblemEnvelope()], ids=lambda envelope: type(envelope).__name__
)
async def test_an_envelope_describes_what_it_makes(serve_as: ServeAs, envelope: Envelope) -> None:
    data_schema = {"type": "object", "title": "Bed"}
    async with serve_as(rooms(), envelope=envelope) as client:
        for name, kind in (("models", None), ("page", Page), ("walked", KeysetPage)):
            schema = envelope.success_schema(data_schema, page=kind)
            response = (await client.get(f"/rooms/{name}")).json()
            assert schema == data_schema or set(schema["required"]) == set(schema["properties"]) == set(response)
    async with serve_as(failing(), envelope=envelope) as client:
        response = (await client.get("/failing/column")).json()
        schema = envelope.error_schema()
        assert set(schema["required"]) == set(response)
        (errors,) = (member["items"] for member in schema["properties"].values() if "items" in member)
        field_errors = response.get("data") or response["errors"]
        assert set(errors["required"]) == set(field_errors[0])


@pytest.mark.parametrize("kind", [Envelope, PlainEnvelope, ProblemEnvelope, Counted], ids=lambda kind: kind.__name__)
def test_data_that_is_json_already_is_enclosed_as_all_data_is(kind: type[Envelope]) -> None:
    envelope, data = kind(), b'{"name":"blue","beds":[2,1]}'
    response = envelope.enclose(data)
    assert orjson.loads(response.body or b"") == envelope.content(orjson.loads(data), {})
    assert (response.status, response.content_type) == (200, envelope.media_type)


async def test_every_problem_has_its_type_and_title(serve_as: ServeAs) -> None:
    async with serve_as(failing(), ENVELOPE="problem") as client:
        own, general = (await client.get("/failing/own%20code")).json(), (await client.get("/nowhere?token=1")).json()
    assert (own["type"], own["title"]) == ("urn:problem-type:full", "Full")
    assert (general["type"], general["title"]) == ("about:blank", "Not Found")
    assert general["instance"] == "/nowhere"


def test_a_response_with_data_has_all_that_a_response_of_sanic_has() -> None:
    ours, theirs = DataResponse(b"{}", 201, {"A": "b"}, "x/y"), HTTPResponse(b"{}", 201, {"A": "b"}, "x/y")
    slots = [slot for kind in type(ours).__mro__ for slot in getattr(kind, "__slots__", ())]
    assert len(slots) >= 7
    assert {slot: getattr(ours, slot) for slot in slots} == {slot: getattr(theirs, slot) for slot in slots}
    assert type(ours.headers) is type(theirs.headers)
