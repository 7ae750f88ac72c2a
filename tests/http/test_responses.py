"""What a view returns is its answer, as the annotation says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from sanic import Blueprint, text
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import Accepted, Created, KeysetPage, NoContent, Page, endpoint
from tests.http.conftest import Serve

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
THIS_FILE = Path(__file__).read_bytes()


class Thing(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    made_at: datetime = Field(default=MOMENT, serialization_alias="madeAt")


class Secret(Thing):
    password: str = "geheim"


class Closed(BaseModel):
    name: str


class Row:
    def __init__(self, name: str, made_at: datetime = MOMENT) -> None:
        self.name = name
        self.made_at = made_at


SHOWN = {"name": "a", "madeAt": "2026-01-02T00:00:00Z"}


@endpoint(public=True)
async def model(request: Request) -> Thing:
    return Thing(name="a")


@endpoint(public=True)
async def narrowed(request: Request) -> Thing:
    return Secret(name="a")


@endpoint(public=True)
async def row(request: Request) -> Thing:
    return Row("a")  # type: ignore[return-value]


@endpoint(public=True)
async def dictionary(request: Request) -> Thing:
    return {"name": "a", "made_at": "2026-01-02T00:00:00Z"}  # type: ignore[return-value]


@endpoint(public=True)
async def nothing(request: Request) -> None:
    return None


@endpoint(public=True)
async def maybe(request: Request) -> Thing | None:
    return None


@endpoint(public=True)
async def rows(request: Request) -> list[Thing]:
    return [Row("a")]  # type: ignore[list-item]


@endpoint(public=True)
async def page(request: Request) -> Page[Thing]:
    return Page((Thing(name="a"),), total=5)


@endpoint(public=True)
async def walked(request: Request) -> KeysetPage[Thing]:
    return KeysetPage([Thing(name="a")], next="n", previous=None)


@endpoint(public=True)
async def anything(request: Request) -> Any:
    return {"a": [Thing(name="a"), 1.5, None]}


@endpoint(public=True)
async def created(request: Request) -> Created[Thing]:
    return Created(Thing(name="a"), location="/things/a")


@endpoint(public=True)
async def accepted(request: Request) -> Accepted[None]:
    return Accepted(None)


@endpoint(public=True)
async def made_or_found(request: Request) -> Created[Thing] | Thing | HTTPResponse:
    match request.args.get("what"):
        case "made":
            return Created(Thing(name="a"))
        case "found":
            return Thing(name="a")
    return text("raw", 418)


@endpoint(public=True)
async def own_response(request: Request) -> HTTPResponse:
    return text("mine")


@endpoint(public=True)
async def stream(request: Request) -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%d;" % number


async def _pieces() -> AsyncIterator[str]:
    yield "中"
    yield "文"


@endpoint(public=True)
async def stream_of_text(request: Request) -> AsyncIterator[str]:
    return _pieces()


@endpoint(public=True)
async def this_file(request: Request) -> Path:
    return Path(__file__)


@endpoint(public=True)
async def done(request: Request) -> NoContent:
    return NoContent()


@endpoint(public=True)
async def done_or_shown(request: Request) -> NoContent | Thing:
    return NoContent() if request.args.get("what") == "done" else Thing(name="a")


@endpoint(public=True)
async def far_away(request: Request) -> Created[Thing]:
    return Created(Thing(name="a"), location="/things/甲?b=c d")


@endpoint(public=True)
async def some_file(request: Request) -> Path:
    return Path(request.args.get("path", ""))


@endpoint(public=True)
async def closed(request: Request) -> Closed:
    return Row("a")  # type: ignore[return-value]


@endpoint(public=True)
async def wrong(request: Request) -> int:
    return "a"  # type: ignore[return-value]


ALL = [
    model, narrowed, row, dictionary, nothing, maybe, rows, page, walked, anything, created, accepted, made_or_found,
    own_response, stream, stream_of_text, this_file, closed, wrong, done, done_or_shown, far_away, some_file,
]  # fmt: skip


@pytest.fixture
def blueprint() -> Blueprint:
    blueprint = Blueprint("answers")
    for view in ALL:
        view.attach(blueprint, f"/{view.name}")
    return blueprint


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [
        ("model", 200, {"data": SHOWN}),
        ("narrowed", 200, {"data": SHOWN}),
        ("row", 200, {"data": SHOWN}),
        ("dictionary", 200, {"data": SHOWN}),
        ("nothing", 200, {"data": None}),
        ("maybe", 200, {"data": None}),
        ("rows", 200, {"data": [SHOWN]}),
        ("page", 200, {"data": [SHOWN], "total": 5}),
        ("walked", 200, {"data": [SHOWN], "next": "n", "previous": None}),
        ("anything", 200, {"data": {"a": [SHOWN, 1.5, None]}}),
        ("created", 201, {"data": SHOWN}),
        ("accepted", 202, {"data": None}),
        ("made_or_found?what=made", 201, {"data": SHOWN}),
        ("made_or_found?what=found", 200, {"data": SHOWN}),
    ],
)
async def test_an_answer_has_its_status_and_its_data(
    serve: Serve, blueprint: Blueprint, path: str, status: int, content: dict[str, object]
) -> None:
    async with serve(blueprint) as client:
        response = await client.get(f"/{path}")
        assert (response.status_code, response.json()) == (status, {"code": 0, "msg": "ok", **content})
        assert response.headers["Content-Type"] == "application/json"


async def test_a_created_resource_has_a_location_header(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.get("/created")).headers["Location"] == "/things/a"
        assert "Location" not in (await client.get("/accepted")).headers


async def test_where_it_is_may_be_written_in_any_script(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.get("/far_away")).headers["Location"] == "/things/%E7%94%B2?b=c%20d"


async def test_an_empty_response_is_204_without_a_body(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        for path in ("/done", "/done_or_shown?what=done"):
            response = await client.get(path)
            assert (response.status_code, response.content) == (204, b"")
            assert "Content-Type" not in response.headers
        assert (await client.get("/done_or_shown")).json()["data"] == SHOWN


@pytest.mark.parametrize("missing", ["", "missing.txt", "file.txt/inside", "a\0b", "é" * 300])
async def test_a_file_that_is_not_there_is_404(
    serve: Serve, blueprint: Blueprint, tmp_path: Path, missing: str
) -> None:
    (tmp_path / "file.txt").write_text("here")
    async with serve(blueprint) as client:
        response = await client.get("/some_file", params={"path": f"{tmp_path}/{missing}"})
        assert response.status_code == 404, response.text
        assert response.json()["msg"] == "The file does not exist."
        assert (await client.get("/some_file", params={"path": f"{tmp_path}/file.txt"})).text == "here"


async def test_responses_streams_and_files_go_out_as_they_are(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.get("/own_response")).text == "mine"
        assert (await client.get("/made_or_found")).status_code == 418
        assert (await client.get("/stream")).content == b"0;1;2;"
        streamed = await client.get("/stream_of_text")
        assert (streamed.text, streamed.headers["Content-Type"]) == ("中文", "text/plain; charset=utf-8")
        sent = await client.get("/this_file")
        assert sent.content == THIS_FILE
        assert sent.headers["Content-Type"] == "text/x-python; charset=utf-8"


@pytest.mark.parametrize("path", ["closed", "wrong"])
async def test_a_result_that_does_not_fit_the_annotation_is_a_bug_of_the_view(
    serve: Serve, blueprint: Blueprint, path: str
) -> None:
    async with serve(blueprint) as client:
        response = await client.get(f"/{path}")
        assert response.status_code == 500
        assert "Row" not in response.text


@pytest.mark.parametrize("path", ["model", "stream", "this_file", "created"])
async def test_head_is_get_without_its_body(serve: Serve, blueprint: Blueprint, path: str) -> None:
    async with serve(blueprint) as client:
        whole, head = await client.get(f"/{path}"), await client.head(f"/{path}")
        assert (head.status_code, head.content) == (whole.status_code, b"")
        for name in ("Content-Type", "Location", "Content-Length"):
            assert head.headers.get(name) == whole.headers.get(name)
