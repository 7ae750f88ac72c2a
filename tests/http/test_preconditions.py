"""ETag, If-None-Match and If-Match from the version of a model (RFC 9110, 13)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel
from sanic import Blueprint
from sanic.exceptions import NotFound
from sanic.request import Request

from sanicbase import APIView, Created, IfMatch, SanicBaseError, create_app, endpoint
from sanicbase.http.openapi import document, info_of
from sanicbase.http.preconditions import TAGS
from sanicbase.testing import client
from tests.db.opening import LibraryConfig, Store, opened
from tests.http.editions import Edition, EditionOut, EditionRC, Plain, PlainRC

MODULE = "tests.http.editions"
INVALID = ["", "7", '"', '"7', "W/", 'w/"7"', '"7" "8"', '*, "7"', "**", '"a b"', "'7'", ",", '"7"; q=1']


class EditionIn(BaseModel):
    title: str


class EditionAPI(APIView, public=True):
    async def get(self, request: Request, edition_id: int) -> EditionRC:
        return await EditionRC.get_or_fail(edition_id)

    async def patch(self, request: Request, edition_id: int, body: EditionIn, if_match: IfMatch) -> EditionRC:
        return or_404(await EditionRC.update(edition_id, if_match, title=body.title))

    async def put(
        self, request: Request, edition_id: int, body: EditionIn, if_match: IfMatch | None = None
    ) -> EditionRC:
        """Reads, compares, and writes what it has read."""
        edition = await EditionRC.get_or_fail(edition_id)
        if if_match:
            if_match.check(edition)
        if body.title == "late":
            await Edition.filter(id=edition_id).update(title="in between")
        return await edition.model_copy(update={"title": body.title}).save()

    async def delete(self, request: Request, edition_id: int, if_match: IfMatch | None = None) -> None:
        if not await EditionRC.delete(edition_id, if_match):
            raise NotFound("no such edition")


class EditionsAPI(APIView, public=True):
    async def get(self, request: Request) -> list[EditionRC]:
        return [await EditionRC.get_or_fail(edition.id) for edition in await Edition.all()]

    async def post(self, request: Request, body: EditionIn) -> Created[EditionOut]:
        return Created(EditionOut.model_validate(await Edition.create(title=body.title)))


@endpoint(public=True)
async def out(request: Request) -> EditionOut | None:
    return EditionOut(title="tea", version=3) if request.args else None


@endpoint(public=True)
async def plain(request: Request) -> PlainRC:
    return await PlainRC.get_or_fail(1)


@endpoint(public=True)
async def refused(request: Request, if_match: IfMatch) -> PlainRC | None:
    return await PlainRC.update(1, if_match, version=2)


def or_404(edition: EditionRC | None) -> EditionRC:
    if edition is None:
        raise NotFound("no such edition")
    return edition


def blueprint() -> Blueprint:
    blueprint = Blueprint("editions")
    EditionAPI.attach(blueprint, "/editions/<edition_id:int>")
    EditionsAPI.attach(blueprint, "/editions")
    out.attach(blueprint, "/out")
    plain.attach(blueprint, "/plain")
    refused.attach(blueprint, "/refused", methods=("POST",))
    return blueprint


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.xdist_group("embedded")),
        pytest.param("postgres", marks=[pytest.mark.xdist_group("postgres"), pytest.mark.long]),
        pytest.param("aiomysql", marks=[pytest.mark.xdist_group("mysql"), pytest.mark.long]),
    ]
)
async def editions(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    kind = request.param
    if kind == "sqlite":
        url = f"sqlite://{tmp_path}/editions.sqlite3"
    else:
        url = request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url")
    async with opened(Store(kind, url), MODULE):
        await Edition.create(title="tea")
        await Plain.create()
    config = LibraryConfig(DB_URL=url, REDIS_URL=redis_url, MODULES=[MODULE])
    async with client(create_app(config, blueprint())) as session:
        yield session


async def patch(
    editions: httpx.AsyncClient, if_match: str | None, title: str = "coffee", *, method: str = "PATCH"
) -> httpx.Response:
    headers = {} if if_match is None else {"If-Match": if_match}
    return await editions.request(method, "/editions/1", json={"title": title}, headers=headers)


async def test_a_get_has_the_version_as_its_entity_tag(editions: httpx.AsyncClient) -> None:
    assert (await editions.get("/editions/1")).headers["etag"] == '"1"'
    assert (await editions.head("/editions/1")).headers["etag"] == '"1"'


async def test_data_without_a_version_has_no_entity_tag(editions: httpx.AsyncClient) -> None:
    responses = [await editions.get(path) for path in ("/plain", "/editions", "/out")]
    assert [(response.status_code, "etag" in response.headers) for response in responses] == [(200, False)] * 3


async def test_a_model_of_a_response_may_declare_its_version(editions: httpx.AsyncClient) -> None:
    assert (await editions.get("/out?a=1")).headers["etag"] == '"3"'
    created = await editions.post("/editions", json={"title": "tea"})
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')


@pytest.mark.parametrize("sent", ['"1"', 'W/"1"', '"7", "1"', "*", '"7",W/"1"'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_client_that_has_the_version_gets_a_304(editions: httpx.AsyncClient, sent: str, method: str) -> None:
    response = await editions.request(method, "/editions/1", headers={"If-None-Match": sent})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", '"1"')


@pytest.mark.parametrize("sent", ['"2"', '"11"', "1", "nonsense"])
async def test_any_other_client_gets_the_resource(editions: httpx.AsyncClient, sent: str) -> None:
    response = await editions.get("/editions/1", headers={"If-None-Match": sent})
    assert (response.status_code, response.json()["data"]["title"]) == (200, "tea")


async def test_a_get_of_a_version_that_is_gone_is_412(editions: httpx.AsyncClient) -> None:
    refused = await editions.get("/editions/1", headers={"If-Match": '"2"', "If-None-Match": '"1"'})
    assert (refused.status_code, refused.headers["etag"]) == (412, '"1"')
    assert (await editions.get("/editions/1", headers={"If-Match": '"1"'})).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_write_of_the_version_that_was_read_succeeds_once(editions: httpx.AsyncClient, method: str) -> None:
    first = await patch(editions, '"1"', method=method)
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    second = await patch(editions, '"1"', "milk", method=method)
    assert (second.status_code, second.headers["etag"], second.json()["code"]) == (412, '"2"', 412)
    assert (await editions.get("/editions/1")).json()["data"]["title"] == "coffee"


@pytest.mark.parametrize(
    ("sent", "status"), [("*", 200), ('"7", "1"', 200), ('W/"1"', 412), ('"x"', 412), ('"01x"', 412)]
)
async def test_tags_are_compared_strongly(editions: httpx.AsyncClient, sent: str, status: int) -> None:
    assert (await patch(editions, sent)).status_code == status


async def test_a_tag_that_compression_has_made_weak_is_compared(redis_url: str, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/editions.sqlite3"
    async with opened(Store("sqlite", url), MODULE):
        await Edition.create(title="tea")
    config = LibraryConfig(
        DB_URL=url, REDIS_URL=redis_url, MODULES=[MODULE], COMPRESSION=["gzip"], COMPRESSION_MIN_SIZE=1
    )
    async with client(create_app(config, blueprint())) as session:
        tag = (await session.get("/editions/1")).headers["etag"]
        assert tag == 'W/"1"'
        assert (await session.get("/editions/1", headers={"If-None-Match": tag})).status_code == 304
        assert (await patch(session, tag)).status_code == 200
        assert (await patch(session, tag)).status_code == 412


@pytest.mark.parametrize("sent", INVALID)
async def test_an_invalid_list_of_tags_is_400(editions: httpx.AsyncClient, sent: str) -> None:
    response = await patch(editions, sent)
    assert (response.status_code, response.json()["data"][0]["code"]) == (400, "if_match_invalid")


async def test_a_missing_header_is_428_where_it_is_required(editions: httpx.AsyncClient) -> None:
    assert (await patch(editions, None)).status_code == 428
    assert (await patch(editions, None, method="PUT")).status_code == 200


async def test_a_delete_compares_as_well(editions: httpx.AsyncClient) -> None:
    async def delete(if_match: str) -> int:
        return (await editions.delete("/editions/1", headers={"If-Match": if_match})).status_code

    assert [await delete('"2"'), await delete('"1"'), await delete("*")] == [412, 200, 404]


async def test_a_write_in_between_is_412_and_without_the_header_409(editions: httpx.AsyncClient) -> None:
    stale = await patch(editions, '"1"', "late", method="PUT")
    assert (stale.status_code, stale.headers["etag"]) == (412, '"2"')
    assert (await patch(editions, None, "late", method="PUT")).status_code == 409


async def test_of_many_writes_of_one_version_one_succeeds(editions: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(patch(editions, '"1"', f"{number}") for number in range(20)))
    assert sorted(response.status_code for response in responses) == [200] + [412] * 19
    assert (await editions.get("/editions/1")).headers["etag"] == '"2"'


async def test_without_the_header_each_of_them_overwrites_the_one_before(editions: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(patch(editions, "*", f"{number}") for number in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert (await editions.get("/editions/1")).headers["etag"] == '"21"'


async def test_a_model_without_a_version_cannot_be_compared(editions: httpx.AsyncClient) -> None:
    assert (await editions.post("/refused", headers={"If-Match": '"1"'})).status_code == 500
    with pytest.raises(SanicBaseError, match="Plain is not Versioned"):
        await PlainRC.update(1, IfMatch(frozenset({1})), version=2)


def test_a_long_header_is_read_in_time_that_grows_with_its_length() -> None:
    assert TAGS.fullmatch('"a",' * 100_000 + "x") is None
    assert TAGS.fullmatch('"' * 100_001) is None


def test_there_is_one_parameter_for_the_header() -> None:
    with pytest.raises(SanicBaseError, match="there is one If-Match"):

        @endpoint(public=True)
        async def twice(request: Request, first: IfMatch, second: IfMatch) -> None: ...


def test_the_document_has_the_headers_and_the_statuses() -> None:
    app = create_app(LibraryConfig(), blueprint())
    paths = document(app, info_of(app.ctx.config))["paths"]["/editions/{edition_id}"]
    required = {
        method: {item["name"]: item["required"] for item in paths[method]["parameters"]} for method in ("patch", "put")
    }
    assert required == {
        "patch": {"edition_id": True, "If-Match": True},
        "put": {"edition_id": True, "If-Match": False},
    }
    assert {"400", "412", "428"} <= paths["patch"]["responses"].keys()
    assert "428" not in paths["put"]["responses"]
    assert "304" in paths["get"]["responses"]
    assert "ETag" in paths["get"]["responses"]["200"]["headers"]
