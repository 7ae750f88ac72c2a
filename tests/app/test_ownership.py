"""In the example, articles and comments belong to their authors, and nobody else sees what is not published."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from http_xi_test import app
from sanicbase import token_digest
from sanicbase.testing import client
from ws_xi_test import app as ws_app
from xi_test.config import XiTestConfig
from xi_test.handler.policy import EDITOR, policy
from xi_test.model_db.main import User

PATH = "/xi_test/articles"


def token_of(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-token-of-a-test"}


AUTHOR, OTHER = token_of("author"), token_of("other")


@pytest.fixture
def config(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> XiTestConfig:
    """Settings with an embedded database of their own, which has the tables."""
    monkeypatch.setattr(XiTestConfig, "private_dir", classmethod(lambda cls: tmp_path / "private"))
    return XiTestConfig(REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")


async def create_users() -> None:
    for name in ("author", "other"):
        await User.create(name=name, token_digest=token_digest(f"{name}-token-of-a-test"))


@pytest.fixture
async def http(config: XiTestConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with client(app, config) as http:
        await create_users()
        yield http


async def written(http: httpx.AsyncClient, slug: str, *, published: bool) -> str:
    """The path of a new article of the author's."""
    body = {"slug": slug, "title": "A title", "published": published}
    response = await http.post(PATH, json=body, headers=AUTHOR)
    assert response.status_code == 201
    return f"{PATH}/{response.json()['data']['id']}"


async def test_only_the_author_changes_and_deletes_an_article(http: httpx.AsyncClient) -> None:
    path = await written(http, "published", published=True)
    for headers, status in ((OTHER, 403), ({}, 401), (token_of("nobody"), 401)):
        assert (await http.patch(path, json={"title": "Changed"}, headers=headers)).status_code == status
        assert (await http.delete(path, headers=headers)).status_code == status
        read = await http.get(path, headers=headers if status == 403 else {})
        assert (read.status_code, read.json()["data"]["title"]) == (200, "A title")
    assert (await http.patch(path, json={"title": "Changed"}, headers=AUTHOR)).json()["data"]["title"] == "Changed"
    assert (await http.delete(path, headers=AUTHOR)).status_code == 200
    assert (await http.delete(path, headers=AUTHOR)).status_code == 404


async def test_nobody_but_the_author_learns_of_an_unpublished_article(http: httpx.AsyncClient) -> None:
    path = await written(http, "draft", published=False)
    missing = await http.get(f"{PATH}/999999", headers=OTHER)
    for headers in (OTHER, {}):
        reads = [await http.get(url, headers=headers) for url in (path, f"{PATH}/by-slug/draft", f"{path}/comments")]
        assert [read.status_code for read in reads] == [404] * 3
        assert {read.json()["code"] for read in reads} == {missing.json()["code"]}
    assert (await http.patch(path, json={"title": "b"}, headers=OTHER)).status_code == 404
    assert (await http.delete(path, headers=OTHER)).status_code == 404
    assert (await http.post(f"{path}/comments", json={"body": "b"}, headers=OTHER)).status_code == 404
    assert (await http.get(PATH)).json()["data"] == []
    for url in (path, f"{PATH}/by-slug/draft", f"{path}/comments"):
        assert (await http.get(url, headers=AUTHOR)).status_code == 200
    assert (await http.patch(path, json={"published": True}, headers=AUTHOR)).status_code == 200
    assert (await http.get(path)).status_code == 200  # from the next request on
    assert (await http.patch(path, json={"published": False}, headers=AUTHOR)).status_code == 200
    assert (await http.get(path)).status_code == 404


async def test_an_editor_changes_what_others_have_written(http: httpx.AsyncClient) -> None:
    path = await written(http, "draft", published=False)
    assert (await http.patch(path, json={"title": "Edited"}, headers=OTHER)).status_code == 404
    await User.update_by({"name": "other"}, role=EDITOR)
    assert (await http.patch(path, json={"title": "Edited"}, headers=OTHER)).json()["data"]["title"] == "Edited"
    await User.update_by({"name": "author"}, role="reader")  # which the policy does not have
    body = {"slug": "more", "title": "More"}
    assert (await http.post(PATH, json=body, headers=AUTHOR)).status_code == 403
    assert (await http.post(PATH, json=body, headers=OTHER)).status_code == 201


async def test_only_its_author_deletes_a_comment(http: httpx.AsyncClient) -> None:
    path = await written(http, "commented", published=True)
    comment = (await http.post(f"{path}/comments", json={"body": "hello"}, headers=OTHER)).json()["data"]["id"]
    url = f"{path}/comments/{comment}"
    assert (await http.delete(url, headers=AUTHOR)).status_code == 403
    assert (await http.delete(url)).status_code == 401
    assert (await http.delete(url, headers=OTHER)).status_code == 200
    assert (await http.delete(url, headers=OTHER)).status_code == 404


async def test_a_websocket_knows_the_same_users(config: XiTestConfig) -> None:
    async with client(ws_app, config) as ws:
        await create_users()
        url = f"ws://127.0.0.1:{ws.base_url.port}/xi_test/room/tea"

        async def status(headers: dict[str, str]) -> int:
            try:
                async with connect(url, additional_headers=headers, proxy=None) as websocket:
                    await websocket.send("hello")
                    return 101 if await websocket.recv() == "hello" else 0
            except InvalidStatus as exc:
                return exc.response.status_code

        assert [await status(headers) for headers in ({}, AUTHOR, token_of("nobody"))] == [101, 101, 401]


def test_who_can_do_what_with_articles() -> None:
    assert str(policy).splitlines() == [
        "action           anonymous  author  editor",
        "articles.change             rule    yes",
        "articles.read    rule       rule    yes",
        "articles.write              yes     yes",
        "comments.delete             rule    yes",
        "comments.write              yes     yes",
    ]
