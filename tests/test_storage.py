"""Object storage, on moto's server of S3 and in a folder."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from sanicbase import ConfigError, NotOpenError, ObjectNotFound, ResourceError, Storage
from sanicbase.http.errors.mapping import problem_of
from sanicbase.testing import free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from xi_test.config import XiTestConfig

SECRET = "wJalrXUtnFEMI%2FK7MDENG%2FbPxRfiCYZZQ"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty bucket."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto, a server of S3, is not installed")
    port, log = free_port(), tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            wait_until(lambda: _answers(port), 60, what="an answer of moto")
            assert (
                httpx.put(f"http://127.0.0.1:{port}/shop", trust_env=False, verify=NO_CERTIFICATES).status_code == 200
            )
            yield f"s3://AKIAIOSFODNN7:{SECRET}@127.0.0.1:{port}/shop/files?style=path&tls=false"
        finally:
            server.kill()


def _answers(port: int) -> bool:
    try:
        return (
            httpx.get(f"http://127.0.0.1:{port}/moto-api/", trust_env=False, verify=NO_CERTIFICATES).status_code == 200
        )
    except httpx.TransportError:
        return False


async def blocks(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number]) * 262_144


@pytest.mark.parametrize("kind", ["s3", "folder"])
async def test_objects_are_stored_read_and_deleted(kind: str, s3: str, tmp_path: Path) -> None:
    url = s3 if kind == "s3" else f"file://{tmp_path}/objects"
    async with Storage(XiTestConfig(STORAGE_URL=url)) as storage:
        await storage.ping()
        await storage.put("a/名 1.txt", b"first", content_type="" if kind == "folder" else "text/plain")
        assert (await storage.get("a/名 1.txt"), await storage.size("a/名 1.txt")) == (b"first", 5)
        with pytest.raises(FileExistsError):
            await storage.put("a/名 1.txt", b"second", overwrite=False)
        await storage.put("a/名 1.txt", b"second")
        await storage.put("big", blocks(50))  # in several parts
        parts = [block async for block in storage.stream("big")]
        assert (len(parts) > 10, b"".join(parts)) == (True, b"".join([block async for block in blocks(50)]))
        (tmp_path / "file").write_bytes(b"of a path")
        await storage.put("file", tmp_path / "file")
        assert await storage.get("file") == b"of a path"
        await storage.delete("big")
        await storage.delete("big")
        for call in (storage.get("big"), storage.size("big"), anext(aiter(storage.stream("big")))):
            with pytest.raises(ObjectNotFound, match="no object 'big'") as missing:
                await call
            assert problem_of(missing.value).status == 404
        for key in ("", "/a", "a//b", "../a", "a/..", "a/./b", "a\nb", "a/"):
            with pytest.raises(ValueError, match="is not the key of an object"):
                await storage.get(key)


async def test_a_signed_url_works_without_credentials_and_for_one_object(s3: str) -> None:
    async with (
        Storage(XiTestConfig(STORAGE_URL=s3)) as storage,
        httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as browser,
    ):
        binary = {"Content-Type": "application/octet-stream"}
        put = await browser.put(await storage.upload_url("from/browser"), content=b"hello", headers=binary)
        assert (put.status_code, await storage.get("from/browser")) == (200, b"hello")
        url = await storage.download_url("from/browser", expires=60)
        assert (await browser.get(url)).content == b"hello"
        assert "X-Amz-Expires=60" in url
        assert SECRET not in url


async def test_a_storage_that_does_not_answer_is_a_resource_error_without_secrets(tmp_path: Path) -> None:
    url = f"s3://AKIAIOSFODNN7:{SECRET}@127.0.0.1:{free_port()}/shop?style=path&tls=false"
    config = XiTestConfig(STORAGE_URL=url)
    storage = Storage(config)
    with pytest.raises(NotOpenError):
        await storage.get("a")
    async with storage:
        with pytest.raises(ResourceError) as refused:
            await storage.get("a")
        assert "XI_TEST_STORAGE_URL" in str(refused.value)
        assert "wJalr" not in str(refused.value) + repr(config) + repr(storage)
    async with Storage(XiTestConfig(STORAGE_URL=f"file://{tmp_path}")) as folder:
        with pytest.raises(ResourceError, match="no signed URLs"):
            await folder.download_url("a")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://host/bucket", "s3://key:secret@host/bucket"),
        ("s3:///bucket", "s3://key:secret@host/bucket"),
        ("s3://key:geheim@host", "is not a bucket"),
        ("s3://key:gehe/im@host/bucket", "in a secret write / as %2F"),
        ("s3://key:geheim@host/bucket?tls=no", "its options are"),
        ("s3://key@host/bucket", "a key without a secret"),
        ("file://relative", "file:///folder"),
    ],
)
def test_an_invalid_url_is_refused_with_its_remedy_and_without_its_secret(url: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        XiTestConfig(STORAGE_URL=url)
    assert message in str(refused.value)
    assert "XI_TEST_STORAGE_URL" in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_a_storage_without_its_setting_or_its_library_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="XI_TEST_STORAGE_URL is not set"):
        Storage(XiTestConfig())
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match=r"pip install 'sanicbase\[storage\]'"):
        Storage(XiTestConfig(STORAGE_URL=f"file://{os.devnull}"))
