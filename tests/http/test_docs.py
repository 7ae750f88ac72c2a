"""The documentation page: closed unless it is opened, served by the service alone, and used in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint

from sanicbase.http.docs import FILES
from sanicbase.testing import ServiceProcess
from tests.http.browser import browser
from tests.http.conftest import ServeAs
from tests.http.inn import TOKEN, inn
from xi_test.config import XiTestConfig

ROOT = Path(__file__).parents[2]
PAGE = files("sanicbase.http") / "page"
PROD = {"ENV": "prod", "ADMIN_TOKEN": "k3Vq9-Zp_1xYwT7uRb2LmN8s", "MODEL_LIST": [], "MODEL_EXTRA": []}


async def test_the_page_and_its_files_are_served_under_a_strict_policy(serve_as: ServeAs) -> None:
    async with serve_as(inn(), DOCS=False) as client:
        for name in ("", *(f"/{name}" for name in FILES)):
            answer = await client.get(f"/docs{name}")
            assert answer.status_code == 200, name
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/docs/nothing.js")).status_code == 404
        assert (await client.get("/docs/..%2fdocs.py")).status_code == 404
        assert (await client.get("/docs/")).status_code == 404  # its files are beside it


@pytest.mark.parametrize(
    ("settings", "status"),
    [({}, 200), ({"DOCS": False}, 404), ({"ENV": "test"}, 200), (PROD, 404), ({**PROD, "DOCS": True}, 200)],
)
async def test_in_prod_it_is_closed_unless_a_setting_opens_it(
    serve_as: ServeAs, settings: dict[str, Any], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XiTestConfig, "project_dir", classmethod(lambda cls: tmp_path))  # which has no migrations
    async with serve_as(Blueprint("empty"), **settings) as client:
        assert (await client.get("/docs")).status_code == status


def test_every_file_of_the_page_is_served_and_none_names_another_host() -> None:
    assert {each.name for each in PAGE.iterdir()} == {*FILES, "docs.html"}
    for each in PAGE.iterdir():
        hosts = re.findall(r"(?:https?:)?//([\w.-]+\.\w+)", each.read_text(encoding="utf-8"))
        assert set(hosts) <= {"example.org"}, each.name  # which stands in an example


@pytest.mark.parametrize(
    ("locale", "send", "required", "other", "needs"),
    [("en-US", "Send", "required", "中文", "需要令牌"), ("zh-CN", "发送", "必填", "English", "needs a token")],
)
async def test_a_reader_finds_an_operation_and_tries_it_with_a_token(
    serve_as: ServeAs, tmp_path: Path, locale: str, send: str, required: str, other: str, needs: str
) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(tmp_path, locale=locale) as watched:
        page, base = watched.page, str(client.base_url).rstrip("/")
        await page.goto(f"{base}/docs")
        operations = page.locator("main .operation")
        await operations.first.wait_for()
        assert [await each.get_attribute("id") for each in await operations.all()] == [
            "get-bookings",
            "post-bookings",
            "delete-rooms-number-",
            "post-photos",
        ]
        assert await page.locator("html").get_attribute("lang") == locale.removesuffix("-US")

        await page.fill("#token", TOKEN)
        post = page.locator("#post-bookings")
        await post.locator("summary").first.click()
        assert required in await post.locator(".properties").first.inner_text()
        await post.get_by_role("button", name=send, exact=True).click()
        answer = await post.locator(".answer pre.content").inner_text()
        assert '"guest": "李白"' in answer
        assert f'"language": "{locale[:2]}"' in answer
        assert "201 Created" in await post.locator(".answer .status").inner_text()
        assert TOKEN not in (await post.locator(".curl").text_content() or TOKEN)

        await page.get_by_role("button", name=other).click()
        assert needs in await post.locator("summary").first.inner_text()
        assert await post.get_attribute("open") is not None  # a reader who changes the language goes on reading
        assert watched.complaints == []
        assert watched.elsewhere(base) == []
        assert f"{base}/openapi.json" in watched.asked


async def test_paths_queries_headers_and_files_are_sent_as_they_were_filled_in(
    serve_as: ServeAs, tmp_path: Path
) -> None:
    picture = tmp_path / "blue.png"
    picture.write_bytes(b"x" * 300)
    async with serve_as(inn(), DOCS=False) as client, browser(tmp_path, locale="en-US") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs#delete-rooms-number-")
        await page.fill("#token", TOKEN)
        room, photo = page.locator("#delete-rooms-number-"), page.locator("#post-photos")
        for operation in (room, photo):
            await operation.locator("summary").first.click()
        await room.locator("input[name=number]").fill("")
        await room.locator(".send").click()
        assert await room.locator(".answer").inner_text() == "Fill in the required fields."
        await room.locator("input[name=number]").fill("7")
        await room.locator(".send").click()
        await room.locator(".answer .status").wait_for()
        assert "204 No Content" in await room.locator(".answer").inner_text()

        await photo.locator("input[name=walls]").fill("north, east & west")
        await photo.locator("input[name=X-Frame]").fill("gold")
        await photo.locator("input[name=title]").fill("海")
        await photo.locator("input[name=photo]").set_input_files(picture)
        await photo.locator(".send").click()
        assert json.loads(await photo.locator(".answer pre.content").inner_text()) == {
            "title": "海",
            "name": "blue.png",
            "size": 300,
            "walls": ["north", "east & west"],
            "frame": "gold",
            "key": TOKEN,
        }
        assert watched.complaints == []


async def test_a_reader_filters_and_unfolds(serve_as: ServeAs, tmp_path: Path) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(tmp_path, locale="en-US") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs#schemas")
        await page.fill("#filter", "tear")
        assert await page.locator("main .operation:visible").count() == 1
        await page.fill("#filter", "")
        await page.locator("#schema-Guest summary").first.click()
        for depth in range(1, 4):  # a schema that holds itself is opened as far as a reader likes
            await page.locator("#schema-Guest details:not([open]) summary").last.click()
            await page.locator("#schema-Guest .properties").nth(depth).wait_for()
        assert "<b>" in await page.locator(".about").inner_text()  # of the document, as the text that it is
        assert watched.complaints == []


async def test_a_document_that_is_not_there_is_told_of(serve_as: ServeAs, tmp_path: Path) -> None:
    async with serve_as(Blueprint("empty")) as client, browser(tmp_path, locale="zh-CN") as watched:
        await watched.page.goto(f"{client.base_url}/docs")
        assert await watched.page.locator("#broken").inner_text() == "无法读取文档：404 Not Found"


async def test_the_example_s_own_document_is_shown_whole(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "xi_test", tmp_path / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "http_xi_test.py", tmp_path)
    with ServiceProcess(tmp_path / "http_xi_test.py", cwd=tmp_path, env={"XI_TEST_ADMIN_TOKEN": TOKEN}) as service:
        service.wait_ready(path="/xi_test/articles")
        async with browser(tmp_path, locale="en-US") as watched:
            page = watched.page
            await page.goto(f"{service.base_url}/docs")
            await page.locator("main .operation").first.wait_for()
            document = service.client.get("/openapi.json").json()
            shown = await page.locator("main .operation").count()
            assert shown == sum(len(operations) for operations in document["paths"].values()) == 9
            await page.fill("#token", TOKEN)
            post = page.locator("#post-xi_test-articles")
            await post.locator("summary").first.click()
            await post.locator("textarea").fill('{"slug": "seen", "title": "Seen"}')
            await post.get_by_role("button", name="Send", exact=True).click()
            assert "201 Created" in await post.locator(".answer .status").inner_text()
            assert watched.complaints == []
            assert watched.elsewhere(service.base_url) == []
