"""Sessions in a cookie: no script reads it, no other site uses it, and it ends as other sessions do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis
from tortoise import Tortoise
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sanicbase import AccessToken, ConfigError, Request, SessionCookies, WSView
from sanicbase.testing import client
from tests.auth.club import ClubAccounts, Member, club, passwords

PASSWORD = "four ravens over the harbour"
BODY = {"account": "ann@example.org", "password": PASSWORD}
OWN = {"X-Requested-With": "fetch"}
COOKIE = "__Host-session"
CORS_ORIGIN = "https://app.example.com"


@pytest.fixture
async def here(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, ClubAccounts]]:
    settings = {"DB_URL": f"sqlite://{tmp_path}/club.sqlite3", "REDIS_URL": redis_url, "LOG_DIR": tmp_path / "logs"}
    app, accounts = club(cookies=True, ENV="test", CORS_ORIGINS=[CORS_ORIGIN], CORS_CREDENTIALS=True, **settings)

    class InboxWS(WSView):
        user: AccessToken

        @classmethod
        async def admit(cls, request: Request) -> AccessToken:
            assert accounts.cookies is not None
            return await accounts.cookies.authenticate(request)

        async def on_connect(self) -> None:
            await self.send(self.user.subject)

    InboxWS.attach(app, "/inbox")
    async with client(app) as http:
        await Tortoise.generate_schemas()
        await Member.create(email="ann@example.org", password_hash=await passwords.hash(PASSWORD))
        yield http, accounts


async def signed_in(http: httpx.AsyncClient) -> dict[str, str]:
    """The headers with the cookie of a browser that has signed in."""
    answer = await http.post("/auth/sign-in", json=BODY, headers=OWN)
    assert answer.status_code == 204, answer.text
    (line,) = answer.headers.get_list("set-cookie")
    http.cookies.clear()  # httpx has no TLS here, and would not send it
    return {"Cookie": line.partition(";")[0]}


async def test_the_cookie_has_every_attribute_and_no_token_is_in_the_body(
    here: tuple[httpx.AsyncClient, ClubAccounts],
) -> None:
    answer = await here[0].post("/auth/sign-in", json=BODY, headers=OWN)
    (line,) = answer.headers.get_list("set-cookie")
    value, *attributes = line.split("; ")
    assert value.startswith(f"{COOKIE}=")
    assert attributes == ["Path=/", "Max-Age=7776000", "Secure", "HttpOnly", "SameSite=Lax"]
    assert (answer.content, answer.headers["cache-control"]) == (b"", "no-store")


async def test_a_browser_signs_in_reads_changes_and_signs_out(here: tuple[httpx.AsyncClient, ClubAccounts]) -> None:
    http, _ = here
    cookie = await signed_in(http)
    me = await http.get("/auth/me", headers=cookie)
    assert (me.json()["data"]["email"], me.headers["cache-control"]) == ("ann@example.org", "no-store")
    (device,) = (await http.get("/auth/devices", headers=cookie)).json()["data"]
    assert device["current"]
    left = await http.post("/auth/sign-out", headers=cookie | OWN)
    assert left.status_code == 204
    assert left.headers["set-cookie"] == f"{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    refused = await http.get("/auth/me", headers=cookie)
    assert (refused.status_code, refused.json()["msg"]) == (401, "The session has ended. Sign in again.")
    assert (await http.post("/auth/refresh", json={"refresh_token": "a"}, headers=OWN)).status_code == 404


FORGED = [
    ({}, "no header of its own"),
    ({"X-Requested-With": ""}, "an empty one"),
    ({"X-Requested-With": "fetch", "Origin": "https://evil.example"}, "another site"),
    ({"X-Requested-With": "fetch", "Origin": "https://sub.127.0.0.1"}, "a sibling domain"),
    ({"X-Requested-With": "fetch", "Origin": "null"}, "a sandboxed frame"),
    ({"X-Requested-With": "fetch", "Origin": "{own}x"}, "a longer host"),
    ({"X-Requested-With": "fetch", "Origin": "{own}", "origin": "https://evil.example"}, "two origins"),
    ({"X-Requested-With": "fetch", "Sec-Fetch-Site": "cross-site"}, "no origin, another site"),
    ({"X-Requested-With": "fetch", "Sec-Fetch-Site": "same-site"}, "no origin, a sibling domain"),
    ({"X-Requested-With": "fetch", "Sec-Fetch-Site": "none"}, "no origin, no page"),
]
OWN_PAGES = [
    {"X-Requested-With": "fetch"},
    {"X-Requested-With": "fetch", "Origin": "{own}"},
    {"X-Requested-With": "fetch", "Origin": CORS_ORIGIN, "Sec-Fetch-Site": "cross-site"},
    {"X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"},
]


async def test_no_other_site_changes_anything_or_signs_a_browser_in(
    here: tuple[httpx.AsyncClient, ClubAccounts],
) -> None:
    http, accounts = here
    cookie = await signed_in(http)
    own = str(http.base_url).rstrip("/").replace("127.0.0.1", "shop.example.com")  # pages of loopback pass in tests

    def headers(given: dict[str, str]) -> list[tuple[str, str]]:
        filled = [(name, value.format(own=own)) for name, value in given.items()]
        return [*filled, ("Host", own.removeprefix("http://")), ("Cookie", cookie["Cookie"])]

    for given, why in FORGED:
        for path, body in (("sign-out-everywhere", None), ("sign-in", BODY)):
            answer = await http.post(f"/auth/{path}", json=body, headers=headers(given))
            assert answer.status_code == 403, (why, answer.text)
            assert "set-cookie" not in answer.headers
        assert (await http.get("/auth/me", headers=headers(given))).status_code == 200  # which changes nothing
    assert len(await accounts.tokens.devices(1)) == 1
    for given in OWN_PAGES:
        answer = await http.post("/auth/sign-in", json=BODY, headers=headers(given))
        assert answer.status_code == 204, (given, answer.text)


async def test_a_websocket_is_opened_by_the_cookie_and_by_no_other_site(
    here: tuple[httpx.AsyncClient, ClubAccounts],
) -> None:
    http, _ = here
    cookie = await signed_in(http)
    url = f"ws://127.0.0.1:{http.base_url.port}/inbox"
    async with connect(url, additional_headers=cookie, proxy=None) as socket:
        assert await socket.recv() == "1"
    for headers, status in ((cookie | {"Origin": "https://evil.example"}, 403), ({}, 401)):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=headers, proxy=None):
                pass
        assert refused.value.response.status_code == status


async def test_an_invalid_session_cookie_is_a_401(here: tuple[httpx.AsyncClient, ClubAccounts]) -> None:
    http, accounts = here
    cookie = await signed_in(http)
    value = cookie["Cookie"].partition("=")[2]
    session, _, secret = value.partition(".")
    pair = await accounts.tokens.sign_in(1)
    stolen = pair.refresh_token.rpartition(".")[0]  # the two parts that a cookie has
    hostile = ["", "a", session, f"{session}.", f"{session}.{'a' * 22}", f"{session}.{secret}x", f"{secret}.{session}"]
    hostile += [stolen, pair.refresh_token, pair.access_token, "a" * 4000, f'"{value}', f"{value}.a"]
    for text in hostile:
        answer = await http.get("/auth/me", headers={"Cookie": f"{COOKIE}={text}"})
        assert answer.status_code == 401, text
        assert "www-authenticate" in answer.headers
    twice = await http.get("/auth/me", headers={"Cookie": f"{COOKIE}={value}; {COOKIE}={'a' * 22}"})
    assert twice.status_code == 401
    assert (await http.get("/auth/me", headers=cookie)).status_code == 200
    bearer = {"Authorization": f"Bearer {pair.access_token}"}  # of a program; its requests need no other header
    assert (await http.post("/auth/sign-out", headers=bearer)).status_code == 204


async def test_a_session_is_extended_by_its_use_and_ends_in_any_case(
    here: tuple[httpx.AsyncClient, ClubAccounts], redis_url: str
) -> None:
    http, _ = here
    cookie = await signed_in(http)
    session = cookie["Cookie"].partition("=")[2].partition(".")[0]
    async with Redis.from_url(redis_url) as redis:
        (key,) = [key async for key in redis.scan_iter(f"*:{session}")]
        await redis.pexpire(key, 1000_000)
        assert (await http.get("/auth/me", headers=cookie)).status_code == 200
        assert await redis.pttl(key) <= 1000_000  # it was noted less than a minute ago
        used = float(await redis.hget(key, "used") or 0)
        await redis.hset(key, "used", str(used - 61_000))
        assert (await http.get("/auth/me", headers=cookie)).status_code == 200
        assert await redis.pttl(key) > 1_000_000_000
        await redis.hset(key, "ends", str(used - 1))
        assert (await http.get("/auth/me", headers=cookie)).status_code == 401


async def test_without_redis_a_cookie_is_a_503(tmp_path: Path) -> None:
    settings = {"DB_URL": f"sqlite://{tmp_path}/club.sqlite3", "LOG_DIR": tmp_path / "logs"}
    app, _ = club(cookies=True, REDIS_URL="redis://127.0.0.1:1/0", **settings)
    app.ctx.check = False
    async with client(app) as http:
        cookie = {"Cookie": f"{COOKIE}={'0' * 16}-{'a' * 22}.{'b' * 22}"}
        assert (await http.get("/auth/me", headers=cookie)).status_code == 503


def test_a_name_that_a_cookie_cannot_have_is_refused() -> None:
    _, accounts = club()
    for name in ("", "a b", "a;b", "a=b", "茶", "a\n"):
        with pytest.raises(ConfigError, match="letters, digits, - and _ only"):
            SessionCookies(accounts.tokens, name=name)
