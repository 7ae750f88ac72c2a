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
from tests.http.browser import browser
from tests.http.conftest import ServeAs
from tests.http.inn import TOKEN, inn
from tests.preloaded import PreloadedService
from xi_test.config import XiTestConfig

ROOT = Path(__file__).parents[2]
PAGE = files("sanicbase.http") / "page"
BRANCH = {
    "openapi": "3.1.0",
    "info": {"title": "Branch", "version": "1"},
    "paths": {"/beds": {"get": {"summary": "Count the beds", "responses": {"200": {"description": "Counted."}}}}},
}
PROD = {"ENV": "prod", "ADMIN_TOKEN": "k3Vq9-Zp_1xYwT7uRb2LmN8s", "MODEL_LIST": [], "MODEL_EXTRA": []}


async def test_the_page_and_its_files_are_served_under_a_strict_policy(serve_as: ServeAs) -> None:
    async with serve_as(inn(), DOCS=False) as client:
        for name in ("", *(f"/{name}" for name in FILES)):
            response = await client.get(f"/docs{name}")
            assert response.status_code == 200, name
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert response.headers["x-content-type-options"] == "nosniff"
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
    assert {file.name for file in PAGE.iterdir()} == {*FILES, "docs.html"}
    for file in PAGE.iterdir():
        hosts = re.findall(r"(?:https?:)?//([\w.-]+\.\w+)", file.read_text(encoding="utf-8"))
        assert set(hosts) <= {"example.org"}, file.name  # which stands in an example


@pytest.mark.parametrize(
    ("locale", "send", "required", "refusal", "other", "needs"),
    [
        ("en-US", "Send", "required", "Authentication is required.", "中文", "需要令牌"),
        ("zh-CN", "发送", "必填", "需要身份认证。", "English", "needs a token"),
    ],
)
async def test_a_reader_finds_an_operation_and_tries_it_with_a_token(
    serve_as: ServeAs, locale: str, send: str, required: str, refusal: str, other: str, needs: str
) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale=locale) as watched:
        page, base = watched.page, str(client.base_url).rstrip("/")
        await page.goto(f"{base}/docs")
        operations = page.locator("main .operation")
        await operations.first.wait_for()
        assert [await operation.get_attribute("id") for operation in await operations.all()] == [
            "get-bookings",
            "post-bookings",
            "delete-rooms-number-",
            "get-events",
            "post-photos",
            "websocket-bell-room-",
        ]
        assert await page.locator("html").get_attribute("lang") == locale.removesuffix("-US")

        await page.fill("#token", TOKEN)
        post = page.locator("#post-bookings")
        await post.locator("summary").first.click()
        assert required in await post.locator(".properties").first.inner_text()
        assert f"401 {refusal}" in await post.locator(".response > summary").all_inner_texts()
        await post.get_by_role("button", name=send, exact=True).click()
        response = await post.locator(".answer pre.content").inner_text()
        assert '"guest": "李白"' in response
        assert f'"language": "{locale[:2]}"' in response
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
    async with serve_as(inn(), DOCS=False) as client, browser(locale="en-US") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs#delete-rooms-number-")
        await page.fill("#token", TOKEN)
        room, photo = page.locator("#delete-rooms-number-"), page.locator("#post-photos")
        await photo.locator("summary").first.click()  # the address has opened the other one
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


async def test_a_reader_filters_and_unfolds(serve_as: ServeAs) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale="en-US") as watched:
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


async def test_a_link_opens_its_operation_and_an_operation_has_a_link(serve_as: ServeAs) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale="en-US") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs#post-photos")
        await page.locator("#post-photos .try").wait_for()
        assert await page.locator("details.operation[open]").count() == 1
        await page.locator("#post-bookings > summary").click()
        await page.locator("#post-bookings .try").wait_for()
        assert page.url.endswith("/docs#post-bookings")
        await page.evaluate("location.hash = '#get-bookings'")
        await page.locator("#get-bookings .try").wait_for()
        assert watched.complaints == []


async def test_the_filter_has_a_key_and_finds_error_codes(serve_as: ServeAs) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale="en-US") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs")
        await page.locator("main .operation").first.wait_for()
        await page.keyboard.press("/")
        await page.keyboard.type("92001")
        assert await page.locator("#filter").input_value() == "92001"
        assert await page.locator("main .group .operation:visible").evaluate_all("all => all.map(each => each.id)") == [
            "get-events"
        ]
        await page.keyboard.press("Enter")
        await page.locator("#get-events .try").wait_for()
        await page.locator("#filter").press("Escape")
        assert await page.locator("main .group .operation:visible").count() == 5
        assert watched.complaints == []


async def test_earlier_tries_are_kept_and_used_again(serve_as: ServeAs) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale="en-US") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs#post-bookings")
        await page.fill("#token", TOKEN)
        booking = page.locator("#post-bookings")
        body = booking.locator("textarea")
        for guest in ("Ann", "Bob"):
            await body.fill(json.dumps({"room": 7, "guest": guest}))
            await body.press("Control+Enter")
            await booking.locator(".answer pre.content", has_text=guest).wait_for()
        await page.reload()
        await booking.locator(".history > summary").click()
        assert await booking.locator(".history li").count() == 2
        await booking.locator(".history li button").last.click()
        assert json.loads(await body.input_value()) == {"room": 7, "guest": "Ann"}
        assert TOKEN not in (await page.evaluate("sessionStorage.getItem('sanicbase.docs.tries')"))
        assert watched.complaints == []


async def test_streams_and_websockets_are_followed(serve_as: ServeAs) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale="en-US") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs#get-events")
        events = page.locator("#get-events")
        await events.locator(".send").click()
        await events.locator(".answer pre.content", has_text="data: 1").wait_for()
        await events.get_by_role("button", name="Stop").click()
        await events.get_by_role("button", name="Send", exact=True).wait_for()

        bell = page.locator("#websocket-bell-room-")
        await bell.locator("summary").first.click()
        await bell.locator("input[name=room]").fill("7 & 8")
        await bell.get_by_role("button", name="Connect", exact=True).click()
        await bell.locator(".messages .note", has_text="connected").wait_for()
        await bell.locator("textarea").fill("<b>ding</b>")
        await bell.get_by_role("button", name="Send", exact=True).click()
        assert await bell.locator(".messages .received span").inner_text() == "7%20%26%208: <b>ding</b>"
        await bell.get_by_role("button", name="Disconnect").click()
        await bell.locator(".messages .note", has_text="closed 1000").wait_for()
        assert watched.complaints == []


async def test_one_page_shows_several_services(serve_as: ServeAs) -> None:
    served = serve_as(inn(branch="/branch/openapi.json"), DOCS=False)
    async with served as client, browser(locale="en-US") as watched:
        page = watched.page
        await page.route("**/branch/openapi.json", lambda route: route.fulfill(json=BRANCH))
        await page.route("**/branch/beds", lambda route: route.fulfill(json={"beds": 3}))
        await page.goto(f"{client.base_url}/docs")
        await page.select_option("#document", "branch")
        await page.locator("#get-beds > summary").click()
        assert await page.title() == "Branch"
        await page.locator("#get-beds .send").click()
        assert '"beds": 3' in await page.locator("#get-beds pre.content").inner_text()
        assert watched.complaints == []


async def test_it_may_connect_to_the_origins_of_its_documents_only(serve_as: ServeAs) -> None:
    async with serve_as(inn(a="http://127.0.0.1:81/openapi.json", b="/b/openapi.json"), DOCS=False) as client:
        policy = (await client.get("/docs")).headers["content-security-policy"]
    assert "connect-src 'self' http://127.0.0.1:81 ws://127.0.0.1:81;" in policy


@pytest.mark.parametrize("width", [1280, 390])
async def test_it_fits_wide_and_narrow_screens_in_light_and_dark(serve_as: ServeAs, width: int) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale="zh-CN") as watched:
        page = watched.page
        await page.set_viewport_size({"width": width, "height": 800})
        await page.goto(f"{client.base_url}/docs#post-bookings")
        await page.locator("#post-bookings .try").wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.locator("header .source:visible").get_attribute("download") == "Inn 客栈.openapi.json"
        grounds = set()
        for _ in range(3):
            grounds.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
            await page.locator("header .theme").click()
        assert grounds == {"rgb(255, 255, 255)", "rgb(20, 24, 31)"}
        assert watched.complaints == []


async def test_a_missing_document_is_reported(serve_as: ServeAs) -> None:
    async with serve_as(Blueprint("empty")) as client, browser(locale="zh-CN") as watched:
        await watched.page.goto(f"{client.base_url}/docs")
        assert await watched.page.locator("#broken").inner_text() == "无法读取文档：404 Not Found"


async def test_the_example_s_own_document_is_shown_whole(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "xi_test", tmp_path / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "http_xi_test.py", tmp_path)
    with PreloadedService(tmp_path / "http_xi_test.py", cwd=tmp_path, env={"XI_TEST_ADMIN_TOKEN": TOKEN}) as service:
        service.wait_ready(path="/xi_test/articles")
        async with browser(locale="en-US") as watched:
            page = watched.page
            await page.goto(f"{service.base_url}/docs")
            await page.locator("main .operation").first.wait_for()
            document = service.client.get("/openapi.json").json()
            shown = await page.locator("main .operation").count()
            assert shown == sum(len(operations) for operations in document["paths"].values()) == 21
            await page.fill("#token", TOKEN)
            post = page.locator("#post-xi_test-articles")
            await post.locator("summary").first.click()
            await post.locator("textarea").fill('{"slug": "seen", "title": "Seen"}')
            await post.get_by_role("button", name="Send", exact=True).click()
            assert "201 Created" in await post.locator(".answer .status").inner_text()
            assert watched.complaints == []
            assert watched.elsewhere(service.base_url) == []
