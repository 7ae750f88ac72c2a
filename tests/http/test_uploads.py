"""Uploads: received onto the disk within limits, refused early, and gone when the view ends."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import puremagic.main as puremagic
import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel
from sanic import Blueprint

from sanicbase import APIView, FileUpload, Request, SanicBaseError, Upload, create_app, endpoint
from sanicbase.http.files import sniffing
from sanicbase.http.openapi import document, info_of
from tests.http.conftest import ServeAs
from tests.http.wire import Answer, exchange, request
from xi_test.config import XiTestConfig

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 100
HTML = b"<!DOCTYPE html><html><script>alert(1)</script>"
PNG_ONLY = Upload(max_size=1_000_000, types=["image/png"])
EDGES = pytest.mark.parametrize("edge", ["sanicbase", "sanic"])


class Profile(BaseModel):
    name: str
    age: int = 0


class Waiting:
    """A view that has received its upload and waits."""

    def __init__(self) -> None:
        self.reached, self.released = asyncio.Event(), asyncio.Event()


waiting: Waiting


class Avatar(APIView, public=True):
    async def post(
        self, request: Request, avatar: Annotated[FileUpload, PNG_ONLY], form: Profile, folder: str
    ) -> dict[str, Any]:
        await avatar.save(Path(request.app.ctx.config.LOG_DIR) / folder)
        digest = hashlib.sha256(await avatar.read()).hexdigest()
        return {"name": avatar.name, "type": avatar.type, "size": avatar.size, "sha256": digest, **form.model_dump()}

    async def put(self, request: Request, body: Profile, folder: str) -> Profile:
        return body


@endpoint(public=True)
async def any_file(
    request: Request,
    file: Annotated[FileUpload | None, Upload(max_size=3_000_000, types=None)] = None,
) -> list[Any] | None:
    return None if file is None else [file.name, file.type, file.size]


@endpoint(public=True)
async def several(
    request: Request, pictures: Annotated[list[FileUpload], Upload(max_size=1000, types=["image/png"], max_files=2)]
) -> list[str]:
    return [picture.name for picture in pictures]


@endpoint(public=True)
async def waits(request: Request, file: Annotated[FileUpload, Upload(max_size=10_000_000, types=None)]) -> None:
    waiting.reached.set()
    await waiting.released.wait()


def uploads() -> Blueprint:
    blueprint = Blueprint("uploads")
    Avatar.attach(blueprint, "/avatar/<folder:str>")
    for view in (any_file, several, waits):
        view.attach(blueprint, f"/{view.name}", methods=["POST"])
    return blueprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "arriving"


@pytest.fixture
async def served(serve_as: ServeAs, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    global waiting
    waiting = Waiting()
    async with serve_as(uploads(), UPLOAD_DIR=folder, REQUEST_MAX_SIZE=100_000) as client:
        yield client


def part(name: str, content: bytes, *, filename: str | None = "a.png", kind: str = "image/png") -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    typed = "" if filename is None else f"\r\nContent-Type: {kind}"
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"{file}{typed}\r\n\r\n'
    return head.encode() + content + b"\r\n"


MULTIPART = b"Content-Type: multipart/form-data; boundary=B"


async def send(client: httpx.AsyncClient, path: str, *parts: bytes, end: bytes = b"--B--\r\n") -> Answer:
    """Send a form with those parts, however it is answered."""
    body = b"".join(parts) + end
    assert client.base_url.port is not None
    sent = request(path.encode(), MULTIPART, b"Content-Length: %d" % len(body), method=b"POST", body=body)
    return await asyncio.to_thread(exchange, client.base_url.port, sent)


@EDGES
async def test_a_file_is_received_with_fields_before_and_after_it(serve_as: ServeAs, tmp_path: Path, edge: str) -> None:
    content = PNG + os.urandom(900_000)
    async with serve_as(uploads(), UPLOAD_DIR=tmp_path / "arriving", EDGE=edge, LOG_DIR=tmp_path) as client:
        response = await client.post(
            "/avatar/saved.png",
            data={"name": "甲", "age": "7"},
            files={"avatar": ("..\\头像\u202e.png", content, "image/png")},
        )
        assert response.status_code == 200, response.text
        digest = hashlib.sha256(content).hexdigest()
        expected = {"name": "甲", "type": "image/png", "size": len(content), "sha256": digest, "age": 7}
        assert response.json()["data"] == expected
        saved = tmp_path / "saved.png"
        assert (saved.read_bytes(), stat.S_IMODE(saved.stat().st_mode)) == (content, 0o600)

        async def chunks() -> AsyncIterator[bytes]:
            for piece in (part("name", b"x", filename=None), part("avatar", PNG), part("age", b"1", filename=None)):
                for start in range(0, len(piece), 1000):
                    yield piece[start : start + 1000]
            yield b"--B--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        chunked = await client.post("/avatar/chunked.png", content=chunks(), headers=headers)
        assert (chunked.status_code, chunked.json()["data"]["size"]) == (200, len(PNG))
        assert (tmp_path / "chunked.png").read_bytes() == PNG
        again = await client.post("/avatar/saved.png", data={"name": "x"}, files={"avatar": ("a", PNG, "image/png")})
        assert again.status_code == 500, "a file that exists is not overwritten"
        assert saved.read_bytes() == content
        assert (await client.put("/avatar/x", json={"name": "plain"})).json()["data"] == {"name": "plain", "age": 0}
        assert (await client.put("/avatar/x", content=b" " * 2000)).status_code == 413


REFUSED: list[tuple[str, list[bytes], int, str | None]] = [
    ("/avatar/x", [part("name", b"x", filename=None)], 422, "missing"),
    ("/avatar/x", [part("avatar", PNG)], 422, "missing"),
    ("/avatar/x", [part("avatar", PNG), part("name", b"x", filename=None), part("avatar", PNG)], 422, "repeated"),
    ("/avatar/x", [part("avatar", JPEG)], 422, "file_type"),
    ("/avatar/x", [part("avatar", JPEG, kind="image/jpeg")], 422, "file_type"),
    ("/avatar/x", [part("avatar", PNG, kind="text/html")], 422, "file_type"),
    ("/avatar/x", [part("avatar", HTML)], 422, "file_type"),
    ("/avatar/x", [part("avatar", b"")], 422, "file_type"),
    ("/avatar/x", [part("avatar", PNG + bytes(1_000_000))], 413, "file_too_large"),
    ("/avatar/x", [part("other", PNG)], 422, "file_unexpected"),
    ("/avatar/x", [part("avatar", PNG, filename="a\0b")], 422, "nul_character"),
    ("/avatar/x", [part("avatar", PNG, filename="x" * 10_000)], 422, "form_headers_too_large"),
    ("/several", [part("pictures", PNG[:900])] * 3, 422, "too_many_files"),
    ("/several", [part("pictures", b"", filename="")] * 101, 422, "too_many_files"),
    ("/any_file", [part("f", b"x", filename=None)] * 10_000, 422, "too_many_fields"),
    ("/any_file", [part("f", b"x")] * 10_000, 422, "file_unexpected"),
    ("/any_file", [part("file", b"", filename="")] * 10_000, 422, "too_many_files"),
    ("/any_file", [part("f", bytes(99_999), filename=None)] * 2, 413, None),
]


async def test_undeclared_uploads_are_refused_and_leave_nothing(served: httpx.AsyncClient, folder: Path) -> None:
    for path, parts, status, code in REFUSED:
        response = await send(served, path, *parts)
        assert response.status == status, (code, response)
        assert code is None or f'"code":"{code}"'.encode() in response.body, response.body
        assert _names(folder) == [".gitignore"]
        assert _open_in(folder) == 0


async def test_an_invalid_multipart_body_is_refused(served: httpx.AsyncClient) -> None:
    assert (await send(served, "/any_file", part("file", PNG), end=b"")).status == 400
    assert (await send(served, "/any_file", end=b"--B--\r\n" + b"x" * 200_000)).status == 400
    assert (await served.post("/any_file", json={})).status_code == 415
    assert (await served.post("/any_file")).json()["data"] is None
    gzip = {"Content-Type": "multipart/form-data; boundary=B", "Content-Encoding": "gzip"}
    assert (await served.post("/any_file", content=b"x", headers=gzip)).status_code == 415


async def test_the_client_is_answered_before_it_has_sent_all(served: httpx.AsyncClient) -> None:
    port = served.base_url.port
    assert port is not None
    huge = b"Content-Length: 100000000000"
    too_long = await asyncio.to_thread(exchange, port, request(b"/any_file", MULTIPART, huge, method=b"POST"))
    assert (too_long.status, too_long.headers["connection"]) == (413, "close")
    wrong_type = request(b"/avatar/x", MULTIPART, b"Content-Length: 900000", method=b"POST")
    response = await asyncio.to_thread(exchange, port, wrong_type + part("avatar", b"GIF89a" + bytes(5000)))
    assert (response.status, response.headers["connection"]) == (422, "close")
    chunked = request(b"/any_file", MULTIPART, b"Transfer-Encoding: chunked", method=b"POST")
    head, block = part("file", b"")[:-2], bytes(100_000)
    sent = (
        chunked
        + b"%x\r\n%b\r\n" % (len(head), head)
        + b"".join(b"%x\r\n%b\r\n" % (len(block), block) for _ in range(31))
    )
    assert (await asyncio.to_thread(exchange, port, sent)).status == 413


async def test_the_files_of_several_are_in_their_order_and_an_empty_choice_is_none(served: httpx.AsyncClient) -> None:
    pictures = [part("pictures", PNG[:900], filename=name) for name in ("b.png", "a.png")]
    assert b'["b.png","a.png"]' in (await send(served, "/several", *pictures)).body
    synonym = part("pictures", PNG[:900], filename="c.png", kind="Image/X-PNG")
    assert b'["c.png"]' in (await send(served, "/several", synonym)).body
    unchosen = part("file", b"", filename="", kind="application/octet-stream")
    assert b'"data":null' in (await send(served, "/any_file", unchosen)).body
    unnamed = await send(served, "/any_file", part("file", b"x", filename="", kind="text/plain"))
    assert b'["","text/plain",1]' in unnamed.body


async def test_an_upload_has_no_name_while_it_exists_and_is_gone_when_its_client_leaves(
    served: httpx.AsyncClient, folder: Path
) -> None:
    port = served.base_url.port
    assert port is not None
    body = part("file", bytes(2_000_000)) + b"--B--\r\n"
    head = request(b"/waits", MULTIPART, b"Content-Length: %d" % len(body), method=b"POST")
    for sent in (head + body[:1_000_000], head + body):  # broken off midway, and while the view runs
        with socket.create_connection(("127.0.0.1", port)) as connection:
            await asyncio.to_thread(connection.sendall, sent)
            await _until_open(folder, 1)
            assert _names(folder) == [".gitignore"]
            if sent == head + body:
                await waiting.reached.wait()
        await _until_open(folder, 0)
    waiting.released.set()
    assert (await send(served, "/waits", part("file", b"x"))).status == 200, "the service is well"


async def _until_open(folder: Path, count: int) -> None:
    async with asyncio.timeout(10):
        while _open_in(folder) != count:
            await asyncio.sleep(0.02)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _open_in(folder: Path) -> int:
    """How many files of the folder the process has open, with a name or without."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            targets.append(link.readlink())
        except OSError:
            continue
    return sum(target.is_relative_to(folder) for target in targets)


async def test_a_file_is_saved_at_once_and_on_any_file_system(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("/dev/shm")):
        upload = FileUpload("a", "text/plain", folder)
        await upload.write(b"content")
        target = tmp_path / f"saved-{folder.name}"
        await upload.save(target, mode=0o640)
        assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"content", 0o640)
        with pytest.raises(FileExistsError):
            await upload.save(target)
        target.unlink()
        target.write_bytes(b"old")
        await upload.save(target, overwrite=True)
        assert target.read_bytes() == b"content"
        await upload.save(tmp_path / f"second-{folder.name}")
        (tmp_path / f"second-{folder.name}").write_bytes(b"changed")
        assert target.read_bytes() == b"content", "a second save is a file of its own"
        with pytest.raises(FileNotFoundError):
            await upload.save(tmp_path / "missing" / "file")
        upload.close()
        upload.close()
    assert [name for name in _names(tmp_path) if name.startswith((".", "tmp"))] == []


async def test_a_file_is_saved_where_the_system_has_no_files_without_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    upload = FileUpload("a", "text/plain", tmp_path)
    await upload.write(b"content")
    assert _names(tmp_path) == []
    await upload.save(tmp_path / "saved", mode=0o644)
    await upload.save(tmp_path / "saved", overwrite=True, mode=0o644)
    upload.close()
    assert _names(tmp_path) == ["saved"]
    assert ((tmp_path / "saved").read_bytes(), stat.S_IMODE((tmp_path / "saved").stat().st_mode)) == (b"content", 0o644)


FOOTERS = [(row.byte_match, row.mime_type) for row in puremagic.magic_footer_array if row.mime_type]


@pytest.mark.parametrize(
    ("kind", "head", "expected"),
    [
        ("image/png", PNG, True), ("image/jpeg", JPEG, True), ("image/gif", b"GIF89a" + bytes(50), True),
        ("image/webp", b"RIFF\x10\0\0\0WEBPVP8 " + bytes(50), True),
        ("application/pdf", b"%PDF-1.7\n" + bytes(50), True),
        ("video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(50), True),
        ("application/zip", b"PK\3\4\x14" + bytes(50), True),
        ("text/csv", "a,名\n1,2\n".encode(), True), ("application/json", b'{"a": 1}', True), ("text/plain", b"", True),
        ("text/plain", "名".encode() * 1366, True), ("text/html", HTML, True), ("text/plain", HTML, False),
        ("text/plain", b"a\0b", False), ("text/csv", b"\xff\xfe", False), ("image/png", b"", False),
        ("image/png", HTML, False), ("image/gif", PNG, False), ("image/svg+xml", PNG, False),
        *((kind, bytes(4000) + footer, False) for footer, kind in FOOTERS),
        ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"/>', True), ("text/html", b"plain", False),
    ],
)  # fmt: skip
def test_a_type_must_fit_the_first_bytes(kind: str, head: bytes, expected: bool) -> None:
    assert sniffing.fits(kind, head[: sniffing.HEAD]) is expected


def test_the_document_has_uploads_as_files_of_a_form_with_their_types() -> None:
    config = XiTestConfig()
    spec = document(create_app(config, uploads()), info_of(config))
    validate(spec)
    file = {"type": "string", "format": "binary", "title": "Avatar"}
    content = spec["paths"]["/avatar/{folder}"]["post"]["requestBody"]["content"]
    assert content == {
        "multipart/form-data": {
            "schema": {
                "allOf": [
                    {"$ref": "#/components/schemas/Profile"},
                    {"type": "object", "properties": {"avatar": file}, "required": ["avatar"]},
                ]
            },
            "encoding": {"avatar": {"contentType": "image/png"}},
        }
    }
    several = spec["paths"]["/several"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert several["properties"]["pictures"]["maxItems"] == 2
    assert several["properties"]["pictures"]["items"]["format"] == "binary"
    optional = spec["paths"]["/any_file"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (optional["properties"]["file"]["format"], "required" in optional) == ("binary", False)
    assert {"413", "415", "422"} < spec["paths"]["/avatar/{folder}"]["post"]["responses"].keys()
    assert set(spec["components"]["schemas"]) == {"Profile", "Failure"}


def test_a_signature_that_makes_no_sense_is_refused() -> None:
    def refused(function: Any, message: str, method: str = "POST") -> None:
        with pytest.raises(SanicBaseError, match=message):
            endpoint(public=True)(function).attach(Blueprint("b"), "/", methods=[method])

    async def gets(request: Request, avatar: Annotated[FileUpload, PNG_ONLY]) -> None: ...
    async def with_body(request: Request, avatar: Annotated[FileUpload, PNG_ONLY], body: Profile) -> None: ...
    async def text(request: Request, avatar: Annotated[str, PNG_ONLY]) -> None: ...
    async def none(request: Request, avatar: Annotated[FileUpload, Upload(max_size=0, types=None)]) -> None: ...

    refused(gets, "a GET request has no body", "GET")
    refused(with_body, "declare all files of the form as uploads")
    refused(text, "a FileUpload or a list")
    refused(none, "max_size")


async def test_a_folder_that_cannot_keep_uploads_ends_the_start(serve_as: ServeAs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="XI_TEST_UPLOAD_DIR"):
        async with serve_as(uploads(), UPLOAD_DIR=tmp_path / "file"):
            pass
