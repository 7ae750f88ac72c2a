"""Responses that are compressed where their client accepts it, and bodies of requests that must not be."""

from __future__ import annotations

import gzip
import importlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
from pydantic import BaseModel
from sanic import Blueprint, text
from sanic.response import HTTPResponse

from sanicbase import ConfigError, Request, create_app, endpoint
from sanicbase.http.compression import acceptable
from tests.http.conftest import ServeAs
from xi_test.config import XiTestConfig

zstd: Any = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
LONG = "an article about tea. " * 200
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.decompress,
    "br": brotli.decompress,
    "gzip": gzip.decompress,
}
EDGES = pytest.mark.parametrize("edge", ["sanicbase", "sanic"])


class Body(BaseModel):
    name: str


@endpoint(public=True)
async def long(request: Request) -> str:
    return LONG


@endpoint(public=True)
async def secret(request: Request) -> str:
    return LONG


@endpoint(public=True)
async def short(request: Request) -> str:
    return "tea"


@endpoint(public=True)
async def huge(request: Request) -> str:
    return LONG * 500


@endpoint(public=True)
async def large(request: Request) -> str:
    return LONG * 100


@endpoint(public=True)
async def picture(request: Request) -> HTTPResponse:
    return HTTPResponse(bytes(5000), content_type="image/png")


@endpoint(public=True)
async def encoded(request: Request) -> HTTPResponse:
    return text(LONG, headers={"Content-Encoding": "x", "Vary": "Accept-Language"})


@endpoint(public=True)
async def kept(request: Request) -> HTTPResponse:
    return text(LONG, headers={"Cache-Control": "public, no-transform"})


@endpoint(public=True)
async def varies(request: Request) -> HTTPResponse:
    response = text(LONG, headers={"Vary": "Accept-Language", "ETag": '"1"'})
    response.headers.add("Vary", "Cookie")
    return response


@endpoint(public=True)
async def stream(request: Request) -> AsyncIterator[str]:
    yield LONG


@endpoint(public=True)
async def page(request: Request) -> Path:
    return Path(request.app.ctx.config.LOG_DIR).parent / "page.html"


@endpoint(public=True)
async def takes(request: Request, body: Body) -> str:
    return body.name


async def plain(request: Request) -> HTTPResponse:
    return text(str(request.json if request.args else request.form))


VIEWS = (long, short, huge, large, picture, encoded, kept, varies, stream, page)


def views() -> Blueprint:
    blueprint = Blueprint("compressed")
    for view in VIEWS:
        view.attach(blueprint, f"/{view.name}")
    secret.attach(blueprint, "/secret", compress=False)
    takes.attach(blueprint, "/takes", methods=["POST"])
    blueprint.add_route(plain, "/plain", methods=["POST"])
    return blueprint


@EDGES
async def test_a_response_has_the_coding_that_its_client_prefers(serve_as: ServeAs, edge: str) -> None:
    async with serve_as(views(), EDGE=edge, COMPRESSION=["zstd", "br", "gzip"]) as client:
        whole = await client.get("/long", headers={"Accept-Encoding": "identity"})
        assert ("content-encoding" in whole.headers, whole.headers["vary"]) == (False, "Accept-Encoding")
        for header, expected in (
            ("gzip", "gzip"), ("br, gzip", "br"), ("gzip, deflate, br, zstd", "zstd"), ("*", "zstd"),
            ("X-GZIP", "gzip"), ("zstd;q=0.1, br;q=0.5, gzip;q=0.9", "gzip"), ("zstd;q=0, *;q=0.5", "br"),
            ("gzip;q=0", ""), ("", ""),
            ("identity;q=1, gzip;q=0.5", ""), ("identity;q=0", ""), ("identity;q=0, gzip", "gzip"), ("*;q=0", ""),
            ("deflate", ""), ("gzip;q=2", ""), ("gzip;q=x, br", "br"), ("gzip," * 100 + "br", "br"), ("gzipped", ""),
        ):  # fmt: skip
            for path in ("/long", "/large"):
                async with client.stream("GET", path, headers={"Accept-Encoding": header}) as response:
                    raw = b"".join([piece async for piece in response.aiter_raw()])
                assert (response.status_code, response.headers.get("content-encoding", "")) == (200, expected), header
                assert int(response.headers["content-length"]) == len(raw)
                body = DECOMPRESS[expected](raw) if expected else raw
                assert body.count(b"tea") == (200 if path == "/long" else 20_000)
                head = await client.head(path, headers={"Accept-Encoding": header})
                for name in ("content-length", "content-encoding", "vary", "content-type"):
                    assert head.headers.get(name) == response.headers.get(name), (header, name)


async def test_a_response_is_left_where_compression_does_not_pay_or_must_not_be(serve_as: ServeAs) -> None:
    async with serve_as(views(), COMPRESSION=["gzip"]) as client:
        for path in ("/secret", "/short", "/huge", "/picture", "/kept", "/stream"):
            response = await client.get(path)
            assert "content-encoding" not in response.headers, path
            assert "vary" not in response.headers, path
        async with client.stream("GET", "/encoded") as response:
            assert (response.headers["content-encoding"], response.headers["vary"]) == ("x", "Accept-Language")
        varied = (await client.get("/varies")).headers
        assert (varied["vary"], varied["etag"]) == ("Accept-Language, Cookie, Accept-Encoding", 'W/"1"')
        missing = await client.get("/" + "x" * 500)
        assert (missing.status_code, missing.json()["code"]) == (404, 404)


async def test_a_compressed_file_has_a_weak_tag_that_still_validates_and_no_ranges(
    serve_as: ServeAs, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(LONG)
    async with serve_as(views(), COMPRESSION=["gzip"], LOG_DIR=tmp_path / "logs") as client:
        whole, head = await client.get("/page"), await client.head("/page")
        assert (whole.text, whole.headers["content-encoding"]) == (LONG, "gzip")
        assert whole.headers["etag"].startswith('W/"')
        assert "accept-ranges" not in whole.headers
        assert head.headers["content-length"] == whole.headers["content-length"]
        known = await client.get("/page", headers={"If-None-Match": whole.headers["etag"]})
        assert (known.status_code, known.headers["vary"]) == (304, "Accept-Encoding")
        resumed = {"Range": "bytes=1-2", "If-Range": whole.headers["etag"]}
        assert (await client.get("/page", headers=resumed)).status_code == 200
        part = await client.get("/page", headers={"Range": "bytes=1-2000"})
        assert (part.status_code, "content-encoding" in part.headers, part.text) == (206, False, LONG[1:2001])


async def test_nothing_is_compressed_by_default(serve_as: ServeAs) -> None:
    async with serve_as(views()) as client:
        response = await client.get("/long")
        assert ("content-encoding" in response.headers, "vary" in response.headers) == (False, False)


async def test_a_compressed_request_is_refused_with_what_is_accepted(serve_as: ServeAs) -> None:
    async with serve_as(views()) as client:
        for path in ("/takes", "/plain", "/plain?json=1"):
            for coding in ("gzip", "GZIP", "deflate", "identity, gzip", "nonsense"):
                headers = {"Content-Type": "application/json", "Content-Encoding": coding}
                response = await client.post(path, content=gzip.compress(b'{"name": "a"}'), headers=headers)
                refused = (response.status_code, response.headers.get("accept-encoding"))
                assert refused == (415, "identity"), (path, coding)
                assert response.json()["data"][0]["code"] == "content_encoding"
            plain = {"Content-Type": "application/json", "Content-Encoding": "identity"}
            assert (await client.post(path, content=b'{"name": "a"}', headers=plain)).status_code == 200


def test_a_coding_without_its_library_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    with pytest.raises(ConfigError, match=r"pip install 'sanicbase\[compression\]'"):
        create_app(XiTestConfig(COMPRESSION=["br"], DB_URL="sqlite://:memory:"), views())


def test_a_long_header_is_read_once_and_in_linear_time() -> None:
    assert acceptable("a" * 8000) == {"a" * 8000: 1.0}
    assert acceptable(";q=" * 2500) == {}
    assert acceptable("gzip ; q=0.5 ,\tbr;q=1.000, zstd;q=1.001") == {"gzip": 0.5, "br": 1.0}
