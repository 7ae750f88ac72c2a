"""Files that views return, and folders of static files, as they are on the wire."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic import Blueprint

from sanicbase import Download, Request, SanicBaseError, endpoint, static
from sanicbase.http.files.conditions import Validators
from sanicbase.http.files.names import content_disposition, safe_name
from sanicbase.http.files.ranges import ByteRange, requested_range
from sanicbase.log import flush_logging
from tests.http.conftest import ServeAs
from tests.http.wire import exchange, request

SMALL = bytes(range(256)) * 4
LARGE = os.urandom(1_000_000)
EDGES = pytest.mark.parametrize("edge", ["sanicbase", "sanic"])


@dataclass
class Files:
    """The files of a test, and what is served of them."""

    folder: Path
    outside: Path

    def blueprint(self) -> Blueprint:
        files = self.folder

        @endpoint(public=True)
        async def path(request: Request, name: str) -> Path:
            return files / name

        @endpoint(public=True)
        async def download(request: Request, name: str) -> Download:
            return Download(files / name, name="报告.html", inline="inline" in request.args)

        blueprint = Blueprint("files")
        path.attach(blueprint, "/path/<name:str>", methods=["GET", "POST"])
        download.attach(blueprint, "/download/<name:str>")
        static(blueprint, "/static", files, public=True, immutable=r"\.[0-9a-f]{8,}\.")
        static(blueprint, "/kept", files, public=True, max_age=60)
        return blueprint


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder, outside = tmp_path / "public", tmp_path / "public-secrets"
    (folder / "css").mkdir(parents=True)
    (folder / ".git").mkdir()
    outside.mkdir()
    (tmp_path / "secret.txt").write_text("SECRET")
    (outside / "secret.txt").write_text("SECRET")
    for name in (".env", ".git/config"):
        (folder / name).write_text("SECRET")
    (folder / "small.bin").write_bytes(SMALL)
    (folder / "large.bin").write_bytes(LARGE)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "css/site.3f2a9c1b.css").write_text("body {}")
    (folder / "page.html").write_text("<p>")
    (folder / "报告 1.txt").write_text("report")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "inner.txt").symlink_to("small.bin")
    (folder / "linked").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    return Files(folder, outside)


@pytest.fixture
async def served(files: Files, serve_as: ServeAs) -> AsyncIterator[httpx.AsyncClient]:
    async with serve_as(files.blueprint(), REQUEST_MAX_SIZE=10_000) as client:
        yield client


@EDGES
async def test_a_file_is_sent_whole_in_part_or_not_at_all(
    files: Files, serve_as: ServeAs, tmp_path: Path, edge: str
) -> None:
    async with serve_as(files.blueprint(), EDGE=edge, LOG_FORMAT="text") as client:
        for name, content in (("small.bin", SMALL), ("large.bin", LARGE)):
            size = len(content)
            whole = await client.get(f"/path/{name}")
            tag = whole.headers["ETag"]
            assert (whole.status_code, whole.content) == (200, content)
            assert (whole.headers["Accept-Ranges"], whole.headers["Content-Length"]) == ("bytes", str(size))
            assert "transfer-encoding" not in whole.headers

            head = await client.head(f"/path/{name}")
            assert (head.status_code, head.content) == (200, b"")
            for header in ("Content-Length", "ETag", "Last-Modified", "Content-Type", "Accept-Ranges"):
                assert head.headers[header] == whole.headers[header]

            for asked, start, end in (("0-0", 0, 1), ("10-", 10, size), ("-7", size - 7, size), ("5-9", 5, 10)):
                part = await client.get(f"/path/{name}", headers={"Range": f"bytes={asked}"})
                assert (part.status_code, part.content) == (206, content[start:end]), asked
                assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"

            several = await client.get(f"/path/{name}", headers={"Range": "bytes=0-1,4-5"})
            assert (several.status_code, several.content) == (200, content)
            beyond = await client.get(f"/path/{name}", headers={"Range": f"bytes={size}-"})
            assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
            assert beyond.json()["code"] == 416

            known = await client.get(f"/path/{name}", headers={"If-None-Match": f'"other", W/{tag}'})
            assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", tag)
            since = {"If-Modified-Since": whole.headers["Last-Modified"]}
            assert (await client.get(f"/path/{name}", headers=since)).status_code == 304
            assert (await client.get(f"/path/{name}", headers={"If-Match": '"other"'})).status_code == 412
            for validator, status in ((tag, 206), (whole.headers["Last-Modified"], 206), ('"other"', 200)):
                resumed = await client.get(f"/path/{name}", headers={"Range": "bytes=1-2", "If-Range": validator})
                assert resumed.status_code == status
        posted = await client.post("/path/small.bin", headers={"Range": "bytes=0-0", "If-None-Match": tag})
        assert (posted.status_code, posted.content) == (200, SMALL)
        assert (await client.get("/path/empty.txt", headers={"Range": "bytes=-5"})).content == b""
        flush_logging()
        assert "ERROR" not in (tmp_path / "logs/xi_test/run.log").read_text(encoding="utf-8")


async def test_a_changed_file_has_another_tag_and_a_missing_one_is_404(served: httpx.AsyncClient, files: Files) -> None:
    before = (await served.get("/path/small.bin")).headers["ETag"]
    (files.folder / "small.bin").write_bytes(SMALL[::-1])
    changed = await served.get("/path/small.bin", headers={"If-None-Match": before})
    assert (changed.status_code, changed.content) == (200, SMALL[::-1])
    for name in ("missing", "css", "pipe"):
        response = await served.get(f"/path/{name}")
        assert (response.status_code, response.json()["msg"]) == (404, "The file does not exist."), name


async def test_a_download_has_a_name_in_any_script_and_runs_no_script(served: httpx.AsyncClient) -> None:
    response = await served.get("/download/page.html")
    assert response.headers["Content-Disposition"] == (
        "attachment; filename=\"__.html\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.html"
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" not in response.headers["Content-Security-Policy"]
    shown = await served.get("/download/page.html?inline=1")
    assert shown.headers["Content-Disposition"].startswith("inline; ")
    assert shown.headers["Content-Security-Policy"] == "sandbox; frame-ancestors 'none'"


async def test_a_large_file_is_read_as_its_client_reads(served: httpx.AsyncClient, files: Files) -> None:
    size = 64 * 1024 * 1024
    with (files.folder / "huge.bin").open("wb") as huge:
        huge.truncate(size)
    port = served.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(request(b"/path/huge.bin"))
        await asyncio.to_thread(slow.recv, 1000)
        opened = (files.folder / "huge.bin").stat().st_ino
        assert _times_open(opened) == 1
        assert (await asyncio.to_thread(exchange, port, request(b"/path/small.bin"))).status == 200
        assert _times_open(opened) == 1, "the file of a client that does not read was sent to its end"
    async with asyncio.timeout(10):
        while _times_open(opened):
            await asyncio.sleep(0.02)


async def test_a_file_that_shrinks_meanwhile_breaks_the_response(files: Files, serve_as: ServeAs) -> None:
    with (files.folder / "huge.bin").open("wb") as huge:
        huge.truncate(64 * 1024 * 1024)
    async with serve_as(files.blueprint()) as client, client.stream("GET", "/path/huge.bin") as response:
        os.truncate(files.folder / "huge.bin", 10)
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in response.aiter_raw():
                pass


def _times_open(inode: int) -> int:
    return [_inode(int(link.name)) for link in Path("/proc/self/fd").iterdir()].count(inode)


def _inode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return 0


TRAVERSALS = [
    "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt", ".%2e/secret.txt",
    "%2e./secret.txt",
    "..%5csecret.txt", "..\\secret.txt", "%2e%2e%5csecret.txt", "%252e%252e/secret.txt", "%252e%252e%252fsecret.txt",
    "..%252fsecret.txt", "..%255csecret.txt", "..%c0%afsecret.txt", "%c0%ae%c0%ae/secret.txt", "..%c1%9csecret.txt",
    "%e0%80%ae%e0%80%ae/secret.txt", "..%ef%bc%8fsecret.txt", "%ef%bc%8e%ef%bc%8e/secret.txt", "..%e2%88%95secret.txt",
    "css/../../secret.txt", "css/..%2f..%2fsecret.txt", "css/%2e%2e/%2e%2e/secret.txt", "css/./../../secret.txt",
    "./../secret.txt", "%2e/../secret.txt", "....//secret.txt", "..../secret.txt", ".../secret.txt", "..;/secret.txt",
    "..%3b/secret.txt", "..%00/secret.txt", "..%00%2fsecret.txt", "small.bin%00/../../secret.txt", "..%20/secret.txt",
    "..%09/secret.txt", "..%0d%0a/secret.txt", "..%7f/secret.txt", "..//secret.txt", "/..//secret.txt",
    "//../secret.txt",
    "../public-secrets/secret.txt", "..%2fpublic-secrets%2fsecret.txt", "{absolute}", "/{absolute}", "%2f{absolute}",
    "//{absolute}", "%2f%2f{absolute}", "\\{absolute}", "%5c{absolute}", "file://{absolute}", "file:%2f%2f{absolute}",
    "C:%5c{absolute}", "~/../secret.txt", "linked/secret.txt", "link.txt", "inner.txt", "linked/../secret.txt",
    ".env", "%2eenv", ".git/config", ".git%2fconfig", "css/.%2f..%2f.env", "css/../.env", "x/../../secret.txt",
    "%ff%fe/secret.txt", "%ed%a0%80/secret.txt", "..%uff0fsecret.txt", "", "css", "css/", ".", "..", "%2e", "%2e%2e",
    "/",
    "pipe", "small.bin/", "small.bin/x", "a" * 5000,
]  # fmt: skip


async def test_no_spelling_leaves_a_static_folder(served: httpx.AsyncClient, files: Files) -> None:
    port = served.base_url.port
    assert port is not None
    assert len(TRAVERSALS) > 70
    absolute = str(files.folder.parent / "secret.txt")
    for spelling in TRAVERSALS:
        target = "/static/" + spelling.replace("{absolute}", absolute)
        response = await asyncio.to_thread(exchange, port, request(target.encode()))
        assert response.status in (400, 404), (spelling, response)
        assert b"SECRET" not in response.body, spelling
    for name, content in (("small.bin", SMALL), ("css/site.3f2a9c1b.css", b"body {}"), ("报告 1.txt", b"report")):
        assert (await served.get(f"/static/{name}")).content == content


async def test_a_link_that_replaces_a_folder_is_not_followed(served: httpx.AsyncClient, files: Files) -> None:
    assert (await served.get("/static/css/site.3f2a9c1b.css")).status_code == 200
    (files.folder / "css").rename(files.folder / "old")
    (files.outside / "site.3f2a9c1b.css").write_text("SECRET")
    (files.folder / "css").symlink_to(files.outside)
    assert (await served.get("/static/css/site.3f2a9c1b.css")).status_code == 404


async def test_a_static_folder_has_types_and_caching_by_its_options(served: httpx.AsyncClient) -> None:
    css, page = await served.get("/static/css/site.3f2a9c1b.css"), await served.get("/static/page.html")
    assert css.headers["Content-Type"] == "text/css; charset=utf-8"
    assert css.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert page.headers["Cache-Control"] == "no-cache"
    assert (await served.get("/kept/page.html")).headers["Cache-Control"] == "public, max-age=60"
    unchanged = await served.get("/static/page.html", headers={"If-None-Match": page.headers["ETag"]})
    assert (unchanged.status_code, unchanged.headers["Cache-Control"]) == (304, "no-cache")
    assert (await served.post("/static/page.html")).status_code == 405
    assert (await served.head("/static/page.html")).headers["Content-Length"] == "3"


def test_a_static_folder_is_closed_unless_it_is_public_and_must_exist(tmp_path: Path) -> None:
    blueprint = Blueprint("closed")
    with pytest.raises(SanicBaseError, match="admits nobody"):
        static(blueprint, "/static", tmp_path)
    with pytest.raises(SanicBaseError, match="is no folder"):
        static(blueprint, "/static", tmp_path / "missing", public=True)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-4", ByteRange(0, 5)), ("BYTES= 1-1 ", ByteRange(1, 1)), ("bytes=3-", ByteRange(3, 7)),
        ("bytes=-3", ByteRange(7, 3)), ("bytes=-99", ByteRange(0, 10)), ("bytes=0-" + "9" * 7000, ByteRange(0, 10)),
        ("bytes=10-", ByteRange(0, 0)), ("bytes=" + "9" * 7000 + "-", ByteRange(0, 0)), ("bytes=-0", ByteRange(10, 0)),
        ("bytes=" + "0" * 7000 + "1-2", ByteRange(1, 2)), ("bytes=5-4", None), ("bytes=", None), ("bytes=-", None),
        ("bytes=a-b", None), ("items=0-1", None), ("bytes=٠-١", None), ("bytes=--1", None), ("bytes=1-2-3", None),
        ("bytes=" + "0-0," * 2000, None), ("bytes 0-1", None), ("", None), ("bytes=0x0-0x1", None),
        ("bytes=+1-2", None),
    ],
)  # fmt: skip
def test_a_range_is_one_part_or_the_whole_file(header: str, expected: ByteRange | None) -> None:
    assert requested_range(header, 10) == expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (lambda v: {"if-none-match": "*"}, 304),
        (lambda v: {"if-none-match": '"a,b", ' + v.etag}, 304),
        (lambda v: {"if-none-match": v.etag.strip('"')}, 200),
        (lambda v: {"if-none-match": '"x"', "if-modified-since": v.headers["Last-Modified"]}, 200),
        (lambda v: {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        (lambda v: {"if-modified-since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 200),
        (lambda v: {"if-modified-since": "yesterday"}, 200),
        (lambda v: {"if-modified-since": "Thu, 99 Jan 99999 00:00:00 GMT"}, 200),
        (lambda v: {"if-match": "*"}, 200),
        (lambda v: {"if-match": f"W/{v.etag}"}, 412),
        (lambda v: {"if-match": f'"x", {v.etag}', "if-none-match": v.etag}, 304),
        (lambda v: {"if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412),
        (lambda v: {"if-unmodified-since": v.headers["Last-Modified"]}, 200),
    ],
)
def test_conditions_have_the_order_of_the_standard(
    headers: Callable[[Validators], dict[str, str]], status: int
) -> None:
    validators = Validators.of(1_700_000_000_123_456_789, 10)
    assert validators.status(headers(validators)) == status


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"), ("报告.pdf", "报告.pdf"), ("e\u0301.txt", "\u00e9.txt"),
        ("../../etc/passwd", "_.._etc_passwd"), ("C:\\dir\\a.txt", "C:_dir_a.txt"),
        ("a\0b\r\n\x1b[0m.txt", "ab[0m.txt"),
        ("txt.\u202egpj.exe", "txt.gpj.exe"), ("\u2066a\u2069\ufeff\u200b.txt", "a.txt"), (" .hidden. ", "hidden"),
        ("..", ""), ("///", "_"), ("\ud800.txt", "txt"), ("👩\u200d🚀.png", "👩\u200d🚀.png"),
        ("x" * 10_000 + ".pdf", "x" * 251 + ".pdf"), ("报" * 5000, "报" * 85), ("." * 10_000, ""),
    ],
)  # fmt: skip
def test_a_name_is_a_text_and_no_path(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert len(safe_name(name).encode()) <= 255


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ('a"b\\c%41.txt', "attachment; filename=\"a_b_c_41.txt\"; filename*=UTF-8''a%22b_c%2541.txt"),
        ("a\r\nSet-Cookie: x=1", 'attachment; filename="aSet-Cookie: x=1"'),
        ("é'();.txt", "attachment; filename=\"_'();.txt\"; filename*=UTF-8''%C3%A9%27%28%29%3B.txt"),
        ("..", "attachment"),
    ],
)
def test_the_name_of_a_download_ends_no_header(name: str, header: str) -> None:
    assert content_disposition(name) == header
    assert header.isascii()


def test_ten_thousand_characters_of_marks_cost_little() -> None:
    marks: Any = "a" + "\u0301\u0323" * 5000
    assert len(safe_name(marks).encode()) <= 255
