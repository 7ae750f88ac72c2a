"""Parameters that arrive as texts: of the path, the query, headers, cookies and forms."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field
from sanic import Blueprint
from sanic.request import Request

from sanicbase import APIView, Cookie, Header, Query, UploadedFile
from tests.http.conftest import Serve


class Search(BaseModel):
    page: int = Field(1, ge=1)
    size: Annotated[int, Field(alias="page-size")] = 10
    tags: list[str] = []
    on: bool | None = None
    text: str = ""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    page: int = 1


class Form(BaseModel):
    title: str
    tags: list[str] = []
    count: int = 0


class Files(BaseModel):
    picture: UploadedFile
    others: list[UploadedFile] = []


class SearchAPI(APIView, public=True):
    async def get(self, request: Request, query: Search) -> dict[str, Any]:
        return query.model_dump()

    async def delete(self, request: Request, query: Strict) -> int:
        return query.page


class SinglesAPI(APIView, public=True):
    async def get(
        self,
        request: Request,
        text: Annotated[str, Query(alias="q")],
        ids: Annotated[list[int], Query(), Field(max_length=3)] = [],  # noqa: B006
        copy: Annotated[int | None, Query] = None,
        x_trace: Annotated[str, Header()] = "none",
        accept_language: Annotated[list[str], Header()] = [],  # noqa: B006
        seen: Annotated[date | None, Cookie(alias="last-seen")] = None,
    ) -> list[Any]:
        return [text, ids, copy, x_trace, accept_language, seen]


class Grade(IntEnum):
    LOW = 1
    HIGH = 2


class FormAPI(APIView, public=True):
    async def post(self, request: Request, form: Form) -> Form:
        return form

    async def put(self, request: Request, form: Form, files: Files) -> list[Any]:
        return [form.title, files.picture.name, len(files.picture.body), [file.name for file in files.others]]


class PathAPI(APIView, public=True):
    async def get(self, request: Request, number: int, text: str) -> list[Any]:
        return [number, text]


class NumberAPI(APIView, public=True):
    async def get(
        self,
        request: Request,
        number: int,
        grade: Annotated[Grade | None, Query()] = None,
        ratio: Annotated[float, Query()] = 0,
        price: Annotated[Decimal, Query()] = Decimal(0),
        either: Annotated[int | str, Query()] = "",
        many: Annotated[list[int], Query()] = [],  # noqa: B006
        x_count: Annotated[int, Header()] = 0,
        seen: Annotated[int, Cookie()] = 0,
    ) -> list[Any]:
        return [number, grade, ratio, price, either, many, x_count, seen]


class KeyAPI(APIView, public=True):
    async def get(self, request: Request, key: UUID) -> str:
        return key.hex


@pytest.fixture
def blueprint() -> Blueprint:
    blueprint = Blueprint("things")
    SearchAPI.attach(blueprint, "/search")
    SinglesAPI.attach(blueprint, "/singles")
    FormAPI.attach(blueprint, "/form")
    PathAPI.attach(blueprint, "/path/<number:int>/<text:str>")
    NumberAPI.attach(blueprint, "/number/<number>")
    KeyAPI.attach(blueprint, "/key/<key>")
    return blueprint


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"page": 1, "size": 10, "tags": [], "on": None, "text": ""}),
        ("?page=2&page-size=5&tags=a&on=true", {"page": 2, "size": 5, "tags": ["a"], "on": True, "text": ""}),
        ("?tags=a&tags=b,c&unknown=1", {"page": 1, "size": 10, "tags": ["a", "b,c"], "on": None, "text": ""}),
        (
            "?text=%ff+%E4%B8%AD",
            {"page": 1, "size": 10, "tags": [], "on": None, "text": "\N{REPLACEMENT CHARACTER} 中"},
        ),
    ],
)
async def test_a_query_is_understood_leniently(
    serve: Serve, blueprint: Blueprint, query: str, expected: dict[str, Any]
) -> None:
    async with serve(blueprint) as client:
        assert (await client.get(f"/search{query}")).json()["data"] == expected


@pytest.mark.parametrize(
    ("path", "errors"),
    [
        ("/search?page=0", [("query.page", "greater_than_equal")]),
        ("/search?page=x&on=perhaps", [("query.page", "int_parsing"), ("query.on", "bool_parsing")]),
        ("/search?page=", [("query.page", "int_parsing")]),
        ("/search?page=1&page=2", [("query.page", "repeated")]),
        ("/search?page=1.5", [("query.page", "int_parsing")]),
        ("/search?page=" + "9" * 5000, [("query.page", "int_parsing_size")]),
        ("/search?text=%00", [("query.text", "nul_character")]),
        ("/search?text=a%00&page=1&page=2", [("query.text", "nul_character"), ("query.page", "repeated")]),
        ("/search?" + "&".join("a" * 501), [("query", "too_many_parameters")]),
        ("/singles", [("query.q", "missing")]),
        ("/singles?q=a&ids=1&ids=x", [("query.ids.1", "int_parsing")]),
        ("/singles?q=a&ids=1&ids=2&ids=3&ids=4", [("query.ids", "too_long")]),
        ("/singles?q=a&q=b", [("query.q", "repeated")]),
    ],
)
async def test_a_query_that_does_not_fit_is_answered_422(
    serve: Serve, blueprint: Blueprint, path: str, errors: list[tuple[str, str]]
) -> None:
    async with serve(blueprint) as client:
        response = await client.get(path)
        assert response.status_code == 422
        assert [(error["path"], error["code"]) for error in response.json()["data"]] == errors


async def test_an_unknown_parameter_is_ignored_unless_the_model_forbids_it(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.delete("/search?page=2")).json()["data"] == 2
        refused = await client.delete("/search?pages=2")
        assert [error["code"] for error in refused.json()["data"]] == ["extra_forbidden"]


async def test_single_values_come_from_query_headers_and_cookies(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.get("/singles?q=a")).json()["data"] == ["a", [], None, "none", [], None]
        headers = [
            ("X-Trace", "t1"), ("Accept-Language", "zh"), ("Accept-Language", "en"), ("Cookie", "last-seen=2026-01-02"),
        ]  # fmt: skip
        response = await client.get("/singles?q=a&ids=3&ids=4&copy=5", headers=headers)
        assert response.json()["data"] == ["a", [3, 4], 5, "t1", ["zh", "en"], "2026-01-02"]
        wrong = await client.get(
            "/singles?q=a", headers=[("X-Trace", "1"), ("X-Trace", "2"), ("Cookie", "last-seen=never")]
        )
        assert [(error["path"], error["code"]) for error in wrong.json()["data"]] == [
            ("header.x-trace", "repeated"),
            ("cookie.last-seen", "date_from_datetime_parsing"),
        ]


async def test_bytes_in_a_header_that_are_no_text_are_refused(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        response = await client.get("/singles?q=a", headers=[(b"X-Trace", b"\xff")])
        assert (response.status_code, response.json()["data"][0]["code"]) == (422, "lone_surrogate")


@pytest.mark.parametrize(
    ("path", "status", "data"),
    [
        ("/path/7/a%20b", 200, [7, "a b"]),
        ("/path/-7/%E4%B8%AD%2F", 200, [-7, "中/"]),
        ("/path/7/%ff", 200, [7, "\N{REPLACEMENT CHARACTER}"]),
        ("/path/9223372036854775807/a", 200, [2**63 - 1, "a"]),
        ("/path/9223372036854775808/a", 404, None),
        ("/path/" + "9" * 5000 + "/a", 404, None),
        ("/path/7/%00", 404, None),
        ("/path/7/a%00b", 404, None),
        ("/path/x/a", 404, None),
        ("/path/7//a", 404, None),
        ("//path/7/a", 404, None),
        ("/path/7/%2e%2e/%2e", 404, None),
        ("/path/7/a;b", 200, [7, "a;b"]),
        ("/key/12345678123456781234567812345678", 200, "12345678123456781234567812345678"),
        ("/key/1234", 404, None),
    ],
)
async def test_an_invalid_path_parameter_is_not_found(
    serve: Serve, blueprint: Blueprint, path: str, status: int, data: object
) -> None:
    async with serve(blueprint) as client:
        # By hand, for a client tidies up a path before it sends it.
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert head.split()[1] == str(status).encode(), body
    assert json.loads(body)["data"] == data


async def test_a_form_is_url_encoded_or_multipart(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        fields = {"title": "中", "tags": ["a", "b"], "count": "3"}
        expected = {"title": "中", "tags": ["a", "b"], "count": 3}
        assert (await client.post("/form", data=fields)).json()["data"] == expected
        multipart = await client.post("/form", data=fields, files={"ignored": b""})
        assert multipart.json()["data"] == expected
        wrong = await client.post("/form", data={"count": "x"})
        assert [(error["path"], error["code"]) for error in wrong.json()["data"]] == [
            ("form.title", "missing"),
            ("form.count", "int_parsing"),
        ]


async def test_files_come_with_their_names(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        picture = ("picture", ("p.png", b"1234", "image/png"))
        others = [("others", ("a", b"1")), ("others", ("b", b"2"))]
        response = await client.put("/form", data={"title": "t"}, files=[picture, *others])
        assert response.json()["data"] == ["t", "p.png", 4, ["a", "b"]]
        twice = await client.put("/form", data={"title": "t"}, files=[picture, picture])
        assert [(error["path"], error["code"]) for error in twice.json()["data"]] == [("files.picture", "repeated")]
        missing = await client.put("/form", data={"title": "t", "picture": "text"}, files={"others": b"1"})
        assert [(error["path"], error["code"]) for error in missing.json()["data"]] == [("files.picture", "missing")]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/x-www-form-urlencoded", 422),
        (b"title=%00", "application/x-www-form-urlencoded", 422),
        (b"title=\xff", "application/x-www-form-urlencoded", 400),
        (b"title=%ff", "application/x-www-form-urlencoded", 400),
        (b"title=a" + b"&a=1" * 600, "application/x-www-form-urlencoded", 422),
        (b'{"title": "a"}', "application/json", 415),
        (b"title=a", "", 415),
        (b"title=a", "multipart/form-data", 400),
        (b"title=a", "multipart/form-data; boundary=x", 400),
        (b"--x--", "multipart/form-data; boundary=x", 422),
        (b"title=" + b"%" * 2000, "application/x-www-form-urlencoded", 400),
        (b"--x\r\nnothing\r\n--x--", "multipart/form-data; boundary=x", 400),
        (b'--x\r\nContent-Disposition: form-data; name="title"\r\nContent-Type: a; charset=nope\r\n\r\na\r\n--x--',
         "multipart/form-data; boundary=x", 400),
        (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xff\r\n--x--',
         "multipart/form-data; boundary=x", 400),
    ],
)  # fmt: skip
async def test_a_malformed_form_is_refused(
    serve: Serve, blueprint: Blueprint, content: bytes, kind: str, status: int
) -> None:
    async with serve(blueprint) as client:
        response = await client.post("/form", content=content, headers={"Content-Type": kind})
        assert response.status_code == status, response.text


ODD_NUMBERS = ["%2B1", "1_0", "%201", "1%20", "%EF%BC%91", "%D9%A1", "0x1", "--1", "1__0"]


@pytest.mark.parametrize("text", [*ODD_NUMBERS, "1.0", "1e0"])
async def test_an_id_has_one_spelling(serve: Serve, blueprint: Blueprint, text: str) -> None:
    async with serve(blueprint) as client:
        assert (await client.get("/number/-1")).json()["data"][0] == -1
        assert (await client.get(f"/number/{text}")).status_code == 404
        assert (await client.get(f"/path/{text}/a")).status_code == 404


@pytest.mark.parametrize("text", ODD_NUMBERS)
@pytest.mark.parametrize(
    ("name", "code"),
    [("grade", "int_parsing"), ("ratio", "float_parsing"), ("price", "decimal_parsing"), ("many", "int_parsing")],
)
async def test_a_number_in_a_query_is_written_as_json_has_it(
    serve: Serve, blueprint: Blueprint, name: str, code: str, text: str
) -> None:
    async with serve(blueprint) as client:
        response = await client.get(f"/number/1?{name}={text}")
        assert [error["code"] for error in response.json()["data"]] == [code]
        assert (await client.get(f"/number/1?either={text}")).json()["data"][4] == unquote(text)


async def test_a_number_in_a_header_a_cookie_or_a_form_is_written_so_as_well(
    serve: Serve, blueprint: Blueprint
) -> None:
    async with serve(blueprint) as client:
        response = await client.get("/number/1", headers={"X-Count": "7", "Cookie": "seen=-8"})
        assert response.json()["data"][-2:] == [7, -8]
        refused = await client.get("/number/1", headers={"X-Count": "+7", "Cookie": "seen=1_0"})
        assert [error["path"] for error in refused.json()["data"]] == ["header.x-count", "cookie.seen"]
        assert (await client.get("/number/1?ratio=-1.5e3&price=0.10&grade=2")).json()["data"][1:4] == [2, -1500, "0.10"]


async def test_a_nul_in_an_unread_value_is_no_error(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.get("/search?unknown=%00")).status_code == 200
        assert (await client.get("/number/1?unknown=%00")).status_code == 200
