"""Lists over HTTP: pages in the envelope, and 400 for whatever is asked that the query's class does not declare."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel, ConfigDict
from sanic import Blueprint
from sanic.request import Request
from tortoise import Tortoise

from sanicbase import APIView, KeysetPage, KeysetQuery, OffsetQuery, Page, PageQuery, create_app
from sanicbase.testing import client
from tests.db.opening import LibraryConfig
from tests.db.shelf import Note

UNKNOWN = "unknown_parameter"

Serve = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]


class NoteOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    text: str


class NumberedQuery(PageQuery):
    class Meta:
        source = Note
        filters = ("text__icontains", "id__in", "id")
        orders = ("text", "id")
        default_order = "-id"
        size = 2
        max_size = 3


class SlicedQuery(OffsetQuery):
    class Meta:
        source = Note
        filters = ("text__icontains",)
        orders = ("text",)
        default_order = "text"
        size = 2
        max_size = 3


class WalkedQuery(KeysetQuery):
    class Meta:
        source = Note
        filters = ("text__icontains",)
        orders = ("text",)
        default_order = "text"


class EstimatedQuery(PageQuery):
    class Meta:
        source = Note
        orders = ("id",)
        default_order = "id"
        size = 2
        total = ("estimate", "none")


class EstimatedAPI(APIView, public=True):
    async def get(self, request: Request, query: EstimatedQuery) -> Page[NoteOut]:
        page = await query.fetch(Note.all())
        return page.map(NoteOut.model_validate)


class NumberedAPI(APIView, public=True):
    async def get(self, request: Request, query: NumberedQuery) -> Page[NoteOut]:
        page = await query.fetch(Note.filter(id__gt=1))
        return page.map(NoteOut.model_validate)


class SlicedAPI(APIView, public=True):
    async def get(self, request: Request, query: SlicedQuery) -> Page[NoteOut]:
        page = await query.fetch(Note.all())
        return page.map(NoteOut.model_validate)


class WalkedAPI(APIView, public=True):
    async def get(self, request: Request, query: WalkedQuery) -> KeysetPage[NoteOut]:
        page = await query.fetch(Note.all())
        return page.map(NoteOut.model_validate)


@pytest.fixture
def served(redis_url: str, tmp_path: Path) -> Serve:
    """Six notes, `f` to `a`, behind both kinds of lists."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[httpx.AsyncClient]:
        blueprint = Blueprint("notes")
        NumberedAPI.attach(blueprint, "/numbered")
        WalkedAPI.attach(blueprint, "/walked")
        SlicedAPI.attach(blueprint, "/sliced")
        EstimatedAPI.attach(blueprint, "/estimated")
        config = LibraryConfig(
            DB_URL=f"sqlite://{tmp_path}/notes.sqlite3", REDIS_URL=redis_url, MODULES=["tests.db.shelf"]
        )
        async with client(create_app(config, blueprint)) as http:
            await Tortoise.generate_schemas()
            await Note.bulk_create([Note(text=text) for text in "fedcba"])
            yield http

    return serve


async def test_a_numbered_page_has_its_rows_and_the_total(served: Serve) -> None:
    async with served() as client:
        response = (await client.get("/numbered")).json()
        assert response == {
            "code": 0,
            "msg": "ok",
            "data": [{"id": 6, "text": "a"}, {"id": 5, "text": "b"}],
            "total": 5,
        }
        response = (await client.get("/numbered?page=2&size=3&order=text")).json()
        assert ([note["text"] for note in response["data"]], response["total"]) == (["d", "e"], 5)
        response = (await client.get("/numbered?id__in=2&id__in=3&order=-text,id&page=&id=")).json()
        assert [note["text"] for note in response["data"]] == ["e", "d"]
        response = (await client.get("/numbered?text__icontains=%25")).json()
        assert (response["data"], response["total"]) == ([], 0)


async def test_total_of_a_page_is_what_the_request_chooses(served: Serve) -> None:
    async with served() as client:
        response = (await client.get("/estimated")).json()
        assert (len(response["data"]), response["total"], response["estimated"]) == (2, 6, False)  # SQLite counts
        response = (await client.get("/estimated?total=none")).json()
        assert (len(response["data"]), response["total"], response["estimated"]) == (2, None, False)
        response = await client.get("/estimated?total=exact")
        assert response.status_code == 400
        assert [error["path"] for error in response.json()["data"]] == ["total"]


async def test_document_shows_which_totals_there_are(served: Serve) -> None:
    async with served() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        (choice,) = (one for one in paths["/estimated"]["get"]["parameters"] if one["name"] == "total")
        assert choice["schema"] == {"type": "string", "enum": ["estimate", "none"], "default": "estimate"}
        page = paths["/estimated"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert page["properties"]["total"] == {"type": ["integer", "null"], "minimum": 0}
        assert page["properties"]["estimated"] == {"type": "boolean"}
        numbered = paths["/numbered"]["get"]
        assert "total" not in [one["name"] for one in numbered["parameters"]]
        page = numbered["responses"]["200"]["content"]["application/json"]["schema"]
        assert page["properties"]["total"] == {"type": "integer", "minimum": 0}


async def test_a_part_of_a_list_begins_behind_an_offset(served: Serve) -> None:
    async with served() as client:
        response = (await client.get("/sliced")).json()
        assert ([note["text"] for note in response["data"]], response["total"]) == (["a", "b"], 6)
        response = (await client.get("/sliced?offset=4&limit=3")).json()
        assert ([note["text"] for note in response["data"]], response["total"]) == (["e", "f"], 6)
        assert (await client.get("/sliced?offset=6")).json()["data"] == []
        response = await client.get("/sliced?offset=-1&limit=4&page=2")
        assert response.status_code == 400
        assert {error["path"]: error["code"] for error in response.json()["data"]} == {
            "offset": "greater_than_equal",
            "limit": "less_than_equal",
            "page": UNKNOWN,
        }


@pytest.mark.parametrize("path", ["/numbered?page=", "/numbered?size=", "/sliced?offset=", "/numbered?id__in="])
@pytest.mark.parametrize("number", ["%2B1", "1_0", "%201", "%EF%BC%91", "1.0"])
async def test_a_number_has_one_spelling(served: Serve, path: str, number: str) -> None:
    async with served() as client:
        response = await client.get(path + number)
        assert response.status_code == 400
        assert [error["code"] for error in response.json()["data"]] == ["int_parsing"]


async def test_a_list_is_walked_along_in_both_directions(served: Serve) -> None:
    async with served() as client:
        first = (await client.get("/walked?size=4")).json()
        assert set(first) == {"code", "msg", "data", "next", "previous"}
        assert first["previous"] is None
        second = (await client.get("/walked", params={"size": 4, "cursor": first["next"]})).json()
        assert ([note["text"] for note in second["data"]], second["next"]) == (["e", "f"], None)
        back = (await client.get("/walked", params={"size": 4, "cursor": second["previous"]})).json()
        assert (back["data"], back["next"], back["previous"]) == (first["data"], first["next"], None)


@pytest.mark.parametrize(
    ("path", "errors"),
    [
        ("/numbered?page=0", [("page", "greater_than_equal")]),
        ("/numbered?size=4", [("size", "less_than_equal")]),
        ("/numbered?page=99999999999999999999999999", [("page", "less_than_equal")]),
        ("/numbered?order=body", [("order", "unknown_order")]),
        ("/numbered?titel=", [("titel", UNKNOWN)]),
        (
            "/numbered?titel=x&page=x&id=1&id=2",
            [("page", "int_parsing"), ("id", "repeated"), ("titel", UNKNOWN)],
        ),
        ("/numbered?id=99999999999999999999", [("id", "less_than_equal")]),
        ("/numbered?text__icontains=%00", [("text__icontains", "nul_character")]),
        ("/walked?page=1", [("page", UNKNOWN)]),
        ("/walked?cursor=abc", [("cursor", "invalid_cursor")]),
        ("/walked?cursor=%ff%00", [("cursor", "invalid_cursor")]),
        ("/walked?%ED%A0%80=1", [("\N{REPLACEMENT CHARACTER}" * 3, UNKNOWN)]),
    ],
)
async def test_an_unsupported_query_gets_a_400_with_all_errors(
    served: Serve, path: str, errors: list[tuple[str, str]]
) -> None:
    async with served() as client:
        response = await client.get(path)
        assert (response.status_code, response.json()["code"]) == (400, 400)
        field_errors = response.json()["data"]
        assert [(error["path"], error["code"]) for error in field_errors] == errors
        assert all(set(error) == {"path", "code", "message"} for error in field_errors)


async def test_other_methods_get_the_allowed_ones(served: Serve) -> None:
    async with served() as client:
        (error,) = (await client.get("/numbered?titel=x")).json()["data"]
        allowed = "page, size, order, text__icontains, id__in, id"
        assert error["message"] == f"There is no filter 'titel'. Allowed: {allowed}."


async def test_bytes_that_are_no_text_are_answered_and_not_with_500(served: Serve) -> None:
    async with served() as client:
        for path in ["/walked?text__icontains=%ED%A0%80", "/walked?text__icontains=%ff"]:
            assert (await client.get(path)).status_code == 200
