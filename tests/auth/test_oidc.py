"""Sign-in at a provider: what it has not confirmed for this browser and this attempt signs nobody in."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey
from sanic import Blueprint
from tortoise import Tortoise

from sanicbase import (
    CodeProvider,
    ConfigError,
    ExternalSignIn,
    Identity,
    InvalidCredentials,
    OpenIDProvider,
    SessionCookies,
    Tokens,
    create_app,
)
from sanicbase.auth.external import Provider
from sanicbase.testing import client
from sanicbase.testing.service import NO_CERTIFICATES
from tests.auth import forging, openid
from tests.auth.club import ClubConfig
from tests.auth.openid import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, LocalProvider

OPTIONS = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": REDIRECT_URI}


class Shop(NamedTuple):
    http: httpx.AsyncClient
    tokens: Tokens
    provider: LocalProvider

    async def begin(self, name: str = "company", prefix: str = "/auth/with") -> tuple[str, dict[str, str]]:
        """The address of the provider's page, and the headers of the browser that has begun."""
        own = {"X-Requested-With": "fetch"}
        answer = await self.http.post(f"{prefix}/{name}/begin", headers=own)
        assert answer.status_code == 200, answer.text
        (line,) = answer.headers.get_list("set-cookie")
        assert line.endswith("; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax")
        self.http.cookies.clear()
        return answer.json()["data"]["url"], own | {"Cookie": line.partition(";")[0]}

    async def consent(self, url: str) -> dict[str, str]:
        """The code and the state with which the provider sends the browser back."""
        async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as browser:
            answer = await browser.get(url)
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        return {name: values[0] for name, values in query.items()}

    async def finish(self, body: dict[str, str], headers: dict[str, str], name: str = "company") -> httpx.Response:
        answer = await self.http.post(f"/auth/with/{name}", json=body, headers=headers)
        self.http.cookies.clear()
        return answer

    async def sign_in(self) -> httpx.Response:
        url, headers = await self.begin()
        return await self.finish(await self.consent(url), headers)


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    with openid.running() as provider:
        yield provider


@pytest.fixture
async def shop(provider: LocalProvider, redis_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    provider.reset()
    stores: dict[str, Any] = {"DB_URL": f"sqlite://{tmp_path}/club.sqlite3", "REDIS_URL": redis_url}
    config = ClubConfig(JWT_SECRET=forging.SECRET, LOG_DIR=tmp_path / "logs", **stores)
    tokens = Tokens(config)

    async def wechat_identity(code: str) -> Identity:
        params = {"appid": CLIENT_ID, "secret": CLIENT_SECRET, "code": code, "grant_type": "authorization_code"}
        async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            answer = (await http.get(f"{provider.issuer}/sns/oauth2/access_token", params=params)).json()
        if "openid" not in answer:  # it answers 200 to an invalid code
            raise InvalidCredentials("WeChat did not confirm the sign-in.")
        return Identity("wechat", answer["unionid"], answer)

    async def user_of(identity: Identity) -> str:
        if identity.claims.get("blocked"):
            raise InvalidCredentials("The user is blocked.")
        return f"{identity.issuer} {identity.subject}"

    page = "https://open.weixin.qq.com/connect/qrconnect?appid=club#wechat_redirect"
    providers: dict[str, Provider] = {
        "company": OpenIDProvider(provider.issuer, **OPTIONS),
        "wechat": CodeProvider(page, wechat_identity),
        "away": OpenIDProvider("http://127.0.0.1:1", **OPTIONS),
    }
    blueprint = Blueprint("club")
    ExternalSignIn(tokens, providers, user_of).attach(blueprint)
    ExternalSignIn(tokens, providers, user_of, cookies=SessionCookies(tokens)).attach(blueprint, "/cookie")
    async with client(create_app(config, blueprint)) as http:
        await Tortoise.generate_schemas()
        yield Shop(http, tokens, provider)


async def test_a_user_signs_in_at_a_provider(shop: Shop) -> None:
    answer = await shop.sign_in()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    token = await shop.tokens.verify(answer.json()["data"]["access_token"])
    assert token.subject == f"{shop.provider.issuer} ann"
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_a_browser_gets_a_session_cookie(shop: Shop) -> None:
    url, headers = await shop.begin(prefix="/cookie")
    answer = await shop.http.post("/cookie/company", json=await shop.consent(url), headers=headers)
    assert answer.status_code == 204
    lines = answer.headers.get_list("set-cookie")
    assert [line.partition("=")[0] for line in lines] == ["__Host-sign-in", "__Host-session"]
    cookie = lines[1].partition(";")[0].partition("=")[2]
    assert (await shop.tokens.verify_cookie(cookie)).subject == f"{shop.provider.issuer} ann"


async def test_a_code_of_another_browser_or_attempt_is_refused(shop: Shop) -> None:
    (url, ours), (other_url, theirs) = await shop.begin(), await shop.begin()
    mine, other = await shop.consent(url), await shop.consent(other_url)
    assert (await shop.finish(mine, theirs)).status_code == 401  # the victim's browser, with the attacker's code
    assert (await shop.finish(mine, ours)).status_code == 401  # the attempt is used up
    stolen = {"code": other["code"], "state": (await shop.consent((await shop.begin())[0]))["state"]}
    assert (await shop.finish(stolen, theirs)).status_code == 401
    assert (await shop.finish(other, {})).status_code == 401
    url, ours = await shop.begin()
    fresh, begun = await shop.consent(url), await shop.begin()
    injected = {"code": fresh["code"], "state": (await shop.consent(begun[0]))["state"]}
    assert (await shop.finish(injected, begun[1])).status_code == 401  # PKCE: the code is of another attempt
    url, ours = await shop.begin()
    assert (await shop.finish(await shop.consent(url), ours, name="wechat")).status_code == 401  # another provider
    assert (await shop.sign_in()).status_code == 200


FORGED: list[tuple[str, dict[str, Any]]] = [
    ("another issuer", {"iss": "https://evil.example"}),
    ("another audience", {"aud": "other"}),
    ("another party", {"aud": [CLIENT_ID, "other"], "azp": "other"}),
    ("another nonce", {"nonce": "a"}),
    ("no nonce", {"nonce": None}),
    ("no subject", {"sub": None}),
    ("expired", {"exp": int(time.time()) - 3600}),
    ("no expiry", {"exp": None}),
    ("of the future", {"iat": int(time.time()) + 3600}),
]


@pytest.mark.parametrize(("why", "claims"), FORGED, ids=[why for why, _ in FORGED])
async def test_an_id_token_for_something_else_signs_nobody_in(shop: Shop, why: str, claims: dict[str, Any]) -> None:
    shop.provider.change = lambda good: {name: value for name, value in (good | claims).items() if value is not None}
    answer = await shop.sign_in()
    assert (answer.status_code, answer.json()["msg"]) == (
        401,
        "The provider did not confirm the sign-in. Begin again.",
    ), why


async def test_a_signature_of_another_key_or_algorithm_signs_nobody_in(shop: Shop) -> None:
    for header, key in (
        ({"alg": "RS256", "kid": "one"}, RSAKey.generate_key(2048, {"kid": "one"})),
        ({"alg": "HS256", "kid": "one"}, OctKey.import_key(CLIENT_SECRET.ljust(32), {"kid": "one"})),
    ):
        shop.provider.header, shop.provider.signing = header, key
        assert (await shop.sign_in()).status_code == 401
    shop.provider.reset()
    assert (await shop.sign_in()).status_code == 200


async def test_a_provider_that_is_away_is_a_503(shop: Shop) -> None:
    assert (await shop.http.post("/auth/with/away/begin")).status_code == 503
    assert (await shop.http.post("/auth/with/nobody/begin")).status_code == 404


async def test_a_service_refuses_an_identity(shop: Shop) -> None:
    shop.provider.change = lambda claims: claims | {"blocked": True}
    answer = await shop.sign_in()
    assert (answer.status_code, answer.json()["msg"]) == (401, "The user is blocked.")


async def test_a_provider_with_its_own_protocol_is_one_function(shop: Shop) -> None:
    url, headers = await shop.begin("wechat")
    address, _, fragment = url.partition("#")
    assert (address.partition("&")[0], fragment) == (
        "https://open.weixin.qq.com/connect/qrconnect?appid=club",
        "wechat_redirect",
    )
    state = parse_qs(urlsplit(url).query)["state"][0]
    answer = await shop.finish({"code": "good", "state": state}, headers, name="wechat")
    token = await shop.tokens.verify(answer.json()["data"]["access_token"])
    assert token.subject == "wechat o6_bmasdasdsad6"
    url, headers = await shop.begin("wechat")
    state = parse_qs(urlsplit(url).query)["state"][0]
    assert (await shop.finish({"code": "bad", "state": state}, headers, name="wechat")).status_code == 401


def test_an_issuer_needs_tls() -> None:
    for issuer in ("http://login.example.com", "login.example.com", "", "ftp://127.0.0.1"):
        with pytest.raises(ConfigError, match="must begin with https://"):
            OpenIDProvider(issuer, **OPTIONS)
